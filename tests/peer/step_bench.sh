#!/usr/bin/env bash
# A training step beside transformers + PEFT; options as in tests/peer/step_bench.py. Leave the machine alone while it
# runs.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."
bash launch/setup.sh
bash tests/peer/setup.sh
exec .venv-peer/bin/python -B tests/peer/step_bench.py "$@"
