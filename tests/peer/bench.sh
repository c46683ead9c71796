#!/usr/bin/env bash
# Throughput beside transformers; options as in tests/peer/bench.py. Leave the machine alone while it runs.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."
bash launch/setup.sh
bash tests/peer/setup.sh
exec .venv-peer/bin/python -B tests/peer/bench.py "$@"
