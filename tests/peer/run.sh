#!/usr/bin/env bash
# The live parity suite: our program against tokenizers, Pillow, transformers and PEFT, on inputs drawn by seed.
#   bash tests/peer/run.sh [--seed N] [--long]     --long: ten times as many drawings
# Each check prints one summary line; the last line counts them. Exit status 1 when any failed.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."

seed=1
times=1
while (($#)); do
  case $1 in
    --seed) seed=$2 && shift ;;
    --long) times=10 ;;
    *) echo "error: [peer] options must be --seed N or --long; got '$1'; correct the call." >&2 && exit 2 ;;
  esac
  shift
done

bash launch/setup.sh --tests
bash tests/peer/setup.sh
# Small models: more threads than one only wait for each other.
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1

passed=0
failed=0
check() {
  local log=build/logs/peer_$1.log begin=$SECONDS
  if .venv-peer/bin/python "tests/peer/$1.py" --build build/release "${@:2}" >"$log" 2>&1; then
    passed=$((passed + 1))
    printf 'passed  %4d s  %s\n' "$((SECONDS - begin))" "$(tail -n 1 "$log")"
  else
    failed=$((failed + 1))
    tail -n 40 "$log"
    printf 'FAILED  %4d s  %s (all of its output: %s)\n' "$((SECONDS - begin))" "$1" "$log"
  fi
}

check tokenizer_parity --strings $((100000 * times)) --seed "$seed"
check image_parity --images $((200 * times)) --seed "$seed"
check prompts_parity --turns $((2000 * times)) --seed "$seed"
check metrics_parity --runs $((1000 * times)) --seed "$seed"
check search_bench --queries 2000 --corpus 60000 --seed "$seed"
check embed_parity --configs $((45 * times)) --first-seed "$seed"
check generate_parity --configs $((12 * times)) --first-seed "$seed"
check ranks_parity --seed "$seed"
check train_parity --configs $((9 * times)) --first-seed "$seed"
check rank_parity --configs $((9 * times)) --first-seed "$seed"
check export_parity --configs $((9 * times)) --first-seed "$seed"

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
