"""Writes cases.jsonl: random runs with ties, pool_cases.jsonl: lists of what small pools hold, and eval_cases.jsonl:
whole pools for `trireme eval`; each with pytrec_eval's values of each query.

    python tests/golden/metrics/make.py
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import metric_cases  # noqa: E402

# By hand: what one query excludes is not the others' loss; a relevant document that a small pool lacks is one missed.
EVAL_CASES = (
    {"pool": {f"9:{101 + i}": 10 * i for i in range(8)},
     "queries": {"9:1": {"degrees": 0.25, "excluded": [], "relevant": {"9:108": 1}},
                 "9:2": {"degrees": 0.25, "excluded": ["9:101", "9:103", "9:105"], "relevant": {"9:108": 1}}}},
    {"pool": {"9:101": 1, "9:102": 20, "9:103": 40},
     "queries": {"9:1": {"degrees": 0.25, "excluded": [],
                         "relevant": {"9:101": 1, "9:102": 1, "9:103": 1, "9:104": 1}}}},
)
EVAL_DEPTH = 50


def write(name: str, cases: list[dict], reference) -> None:
    with open(pathlib.Path(__file__).with_name(name), "w", encoding="utf-8") as file:
        for case in cases:
            file.write(metric_cases.dump(case | {"expected": reference(case)}) + "\n")


def eval_reference(case: dict) -> dict[str, list[float]]:
    return metric_cases.reference(metric_cases.searched(case, EVAL_DEPTH))


rng = np.random.default_rng(1)
write("cases.jsonl", [metric_cases.draw_case(rng, max_depth=30, max_queries=3) for _ in range(24)],
      metric_cases.reference)
rng = np.random.default_rng(2)
write("pool_cases.jsonl", [metric_cases.draw_pool_case(rng, max_pool=20, max_queries=3) for _ in range(24)],
      metric_cases.reference)
write("eval_cases.jsonl", [*EVAL_CASES, *(metric_cases.draw_eval_case(rng) for _ in range(16))], eval_reference)
