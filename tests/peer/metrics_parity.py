"""Our retrieval metrics against pytrec_eval's, on random runs full of ties: lists of equal length, and all that pools
mostly smaller than the cutoffs have for queries that exclude documents or are judged with some that the pool lacks.

    python tests/peer/metrics_parity.py --build build/release --runs 1000 [--seed 1]

Every query's value of recall@k (its success_k), mrr (recip_rank), ndcg@k and map@k must agree to 1e-9. The reference
sorts equal scores by descending id, so this is the tie rule trec_eval. Exit code 1 when anything differs. The last
line sums up.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import metric_cases  # noqa: E402

TOLERANCE = 1e-9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    cases = [(metric_cases.draw_pool_case if number % 2 else metric_cases.draw_case)(rng)
             for number in range(options.runs)]
    ran = subprocess.run([options.build / "bin/metrics_pipe"], input="\n".join(map(metric_cases.dump, cases)),
                         capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(cases), f"{len(answers)} answers to {len(cases)} cases"
    values = differing = 0
    worst = 0.0
    for number, (case, ours) in enumerate(zip(cases, answers)):
        for metric, expected in metric_cases.reference(case).items():
            difference = np.abs(np.array(ours[metric]) - np.array(expected))
            values += len(expected)
            worst = max(worst, float(difference.max()))
            if not (difference <= TOLERANCE).all():
                differing += 1
                print(f"run {number}, {metric}: {ours[metric]} against {expected}")
    print(f"metrics: {options.runs} runs, {values} values of {len(metric_cases.MEASURES)} metrics, worst difference "
          f"{worst:.1e}, {differing} lists of values beyond {TOLERANCE:g}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
