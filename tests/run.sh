#!/usr/bin/env bash
# Set-up, then every test that needs neither a GPU nor a network. Arguments go to ctest:
#   bash tests/run.sh -R tokenizer     bash tests/run.sh -L fuzz     TRIREME_FUZZ_SECONDS=60 bash tests/run.sh -L fuzz
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
bash launch/setup.sh --tests
exec ctest --preset release --parallel "$(nproc)" --label-exclude '^(gpu|network)$' "$@"
