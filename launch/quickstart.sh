#!/usr/bin/env bash
# From a fresh machine to a trained, evaluated, exported retriever and its report, in one go: set-up and build, the
# Pictograms dataset out of Debian packages, a tiny Qwen2-VL from scratch, LamRA-Ret's two stages with LoRA, the table.
#   bash launch/quickstart.sh [--ranks N] [--seed N]
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

. launch/quickstart_options.sh

bash launch/setup.sh --data

begin=$SECONDS
"$trireme" prepare pictograms --out data/pictograms
for stage in base ret_stage1 ret_stage2; do
  printf '\n==> train %s\n' "$stage"
  run train "$experiments/$stage.yaml" "seed=$seed"
  "$trireme" export --run "runs/pictograms/$stage" --format merged
done
"$trireme" export --run runs/pictograms/ret_stage2 --format adapter

# One column each in the report: the base in the prompt it was trained with and in LamRA's, then both stages.
last=runs/pictograms/ret_stage2
evaluate() {
  local column=$1 model=$2
  shift 2
  printf '\n==> evaluate %s\n' "$column"
  run eval "$experiments/eval.yaml" "out=$last/eval/$column" "embed.model=$model" "$@"
}
main_only=('benchmark.sets=[main]' 'queries.pools=[local]')
evaluate 0_base runs/pictograms/base/export/merged embed.prompt=bare queries.instruction=none "${main_only[@]}"
evaluate 1_base_lamra_prompt runs/pictograms/base/export/merged "${main_only[@]}"
evaluate 2_stage1 runs/pictograms/ret_stage1/export/merged "${main_only[@]}"
evaluate 3_stage2 "$last/export/merged"
"$trireme" report "$last"
printf '\nData, training and evaluation took %d s. The report: %s\n' "$((SECONDS - begin))" "$last/report.html"
