#!/usr/bin/env bash
# Makes .venv-peer: transformers, peft, tokenizers and Pillow, to compare with. torch itself is the one that
# launch/setup.sh has installed, so both sides run the same kernels. Safe to run again; needs no root.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."

fail() {
  printf 'error: [peer setup] %s\n' "$1" >&2
  exit 1
}

[[ -x .venv/bin/python ]] || fail "the environment .venv must exist; it does not; run bash launch/setup.sh first."
begin=$SECONDS
log=build/logs/peer-environment.log
mkdir -p build/logs
.venv-peer/bin/python -c '' 2>/dev/null || .venv/bin/python -m venv --clear .venv-peer ||
  fail "an environment must be made in .venv-peer; python -m venv failed; remove .venv-peer and run this again."
pip=(.venv-peer/bin/python -m pip --disable-pip-version-check install --no-deps)
"${pip[@]}" -r tests/peer/requirements.txt >"$log" 2>&1 ||
  { tail -n 20 "$log" >&2; fail "pip must install tests/peer/requirements.txt; it failed; check the network."; }

# A .pth file is read at each start of Python: a folder to search, and libraries to load before torch asks for them.
imports() { .venv-peer/bin/python -c 'import torch, torchvision, peft' >"$log" 2>&1; }
if ! imports; then
  site=$(.venv-peer/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/torch_of_trireme.pth"
  .venv-peer/bin/python tests/peer/cuda_stand_ins.py .venv-peer/lib/cuda_stand_ins >>"$site/torch_of_trireme.pth"
  imports || { tail -n 5 "$log" >&2; fail "torch and peft must import; they do not; remove .venv-peer and try again."; }
fi
echo "reference environment .venv-peer ready after $((SECONDS - begin)) s"
