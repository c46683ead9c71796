"""Writes cases.jsonl: random runs with ties, and pytrec_eval's values of each query.

    python tests/golden/metrics/make.py
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import metric_cases  # noqa: E402

rng = np.random.default_rng(1)
with open(pathlib.Path(__file__).with_name("cases.jsonl"), "w", encoding="utf-8") as file:
    for _ in range(24):
        case = metric_cases.draw_case(rng, max_depth=30, max_queries=3)
        file.write(metric_cases.dump(case | {"expected": metric_cases.reference(case)}) + "\n")
