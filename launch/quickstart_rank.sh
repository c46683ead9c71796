#!/usr/bin/env bash
# LamRA-Rank on top of the retriever that launch/quickstart.sh has trained: hard negatives, pointwise and listwise
# training in one model, its first results reranked, the table with and without.
#   bash launch/quickstart_rank.sh [--ranks N] [--seed N]
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

. launch/quickstart_options.sh

retriever=runs/pictograms/ret_stage2/export/merged
[[ -x $trireme && -f $retriever/config.json ]] ||
  fail "the retriever must have been trained; got no $retriever; run launch/quickstart.sh first."

rank=runs/pictograms/rank
begin=$SECONDS
printf '\n==> mine\n'
run mine "$experiments/mine.yaml"
printf '\n==> train rank\n'
run train "$experiments/rank.yaml" "seed=$seed"
"$trireme" export --run "$rank" --format merged
printf '\n==> evaluate\n'
run eval "$experiments/eval_rank.yaml"
"$trireme" report "$rank"
# What was fitted belongs to the weights: rerank --fuse fitted finds it beside them.
"$trireme" export --run "$rank" --format merged
printf '\n==> rerank a run: the weight fitted for the row, and the retriever alone\n'
lists=$rank/eval/runs/task4_noto_to_emojione_test.pointwise.h5
"$trireme" rerank --run "$lists" --fuse "$rank/fusion.yaml" --row task4 --depth 5 --out "$rank/eval/first_five.h5"
"$trireme" rerank --run "$lists" --fuse 1 --out "$rank/eval/retriever.h5"
printf '\nMining, training and evaluation took %d s. The report: %s\n' "$((SECONDS - begin))" "$rank/report.html"
