#!/usr/bin/env bash
# Two builds of the program train the same: for changes that must not change any result.
#   bash tests/peer/same_bits.sh OLD_PROGRAM NEW_PROGRAM [STEPS]      (200 steps a stage; after launch/setup.sh --data)
# Both run the stages of launch/quickstart.sh and launch/quickstart_rank.sh, cut to STEPS steps, with equal threads, and
# what they leave is compared byte by byte: metrics, weights, optimiser, mined negatives, every exported file.
# Exit status 1 when any differs.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."
root=$PWD old=$(realpath "$1") new=$(realpath "$2") steps=${3:-200}
work=$(mktemp -d "${TMPDIR:-/tmp}/same_bits_XXXXXX")
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=2

"$new" prepare pictograms --out "$work/pictograms" >/dev/null
run_all() {
  local program=$1 stage
  mkdir -p "$2/data" && cd "$2"
  ln -s "$root/experiments" experiments && ln -s "$work/pictograms" data/pictograms
  for stage in base ret_stage1 ret_stage2; do
    "$program" train "experiments/pictograms/$stage.yaml" seed=1 "train.steps=$steps"
    "$program" export --run "runs/pictograms/$stage" --format merged
  done
  "$program" export --run runs/pictograms/ret_stage2 --format adapter
  "$program" mine experiments/pictograms/mine.yaml
  "$program" train experiments/pictograms/rank.yaml seed=1 "train.steps=$steps"
  "$program" export --run runs/pictograms/rank --format merged
}
(run_all "$old" "$work/old") >"$work/old.log" 2>&1 || { tail -n 5 "$work/old.log"; exit 1; }
(run_all "$new" "$work/new") >"$work/new.log" 2>&1 || { tail -n 5 "$work/new.log"; exit 1; }

compared=0 different=0
while IFS= read -r file; do
  compared=$((compared + 1))
  cmp -s "$work/old/$file" "$work/new/$file" || { different=$((different + 1)) && echo "differs: $file"; }
done < <(cd "$work/old" && find -L runs -type f \( -name metrics.jsonl -o -name trainable.json -o -path '*/export/*' \
  -o -name '*.safetensors' -o -name config.yaml -o -name '*.h5' \) ! -path '*/eval/*' | sort)
echo "same_bits: $compared files of $steps steps a stage compared, $different differ"
((compared > 0 && different == 0))
