"""Random runs with ties and graded judgements, and what pytrec_eval says of them.

For tests/golden/metrics/make.py and tests/peer/metrics_parity.py. A case is what tests/support/metrics_case.h reads.
"""
import json

import numpy as np
import pytrec_eval

CUTOFFS = (1, 2, 5, 10, 100)
MEASURES = ({f"recall@{k}": f"success_{k}" for k in CUTOFFS} | {f"ndcg@{k}": f"ndcg_cut_{k}" for k in CUTOFFS} |
            {f"map@{k}": f"map_cut_{k}" for k in CUTOFFS} | {"mrr": "recip_rank", "map": "map", "ndcg": "ndcg"})
ALPHABETS = ("ab", "0123456789", "aAbBzZ09_:-", "aéß東京")


def draw_ids(rng, count: int) -> list[str]:
    letters = list(ALPHABETS[rng.integers(len(ALPHABETS))])
    ids = set()
    while len(ids) < count:
        ids.add("".join(rng.choice(letters, size=rng.integers(1, 12))))
    return [str(each) for each in rng.permutation(sorted(ids))]


def draw_case(rng, max_depth: int = 120, max_queries: int = 6) -> dict:
    depth = int(rng.integers(1, max_depth + 1))
    levels = int(rng.choice([1, 2, 5, 1000]))  # few levels: many ties
    docs = draw_ids(rng, depth + int(rng.integers(0, 40)))
    queries, judgements = [], {}
    for query in draw_ids(rng, int(rng.integers(1, max_queries + 1))):
        listed = [str(each) for each in rng.choice(docs, size=depth, replace=False)]
        scores = np.sort(rng.integers(0, levels, depth).astype(np.float32) / np.float32(levels) - np.float32(0.3))[::-1]
        judged = rng.choice(docs, size=int(rng.integers(1, min(len(docs), 20) + 1)), replace=False)
        grades = rng.choice([-1, 0, 1, 1, 2, 3], size=len(judged))
        grades[rng.integers(len(judged))] = rng.integers(1, 4)  # one relevant document at least
        queries.append({"id": query, "docs": listed, "scores": [float(each) for each in scores]})
        judgements[query] = {str(doc): int(grade) for doc, grade in zip(judged, grades)}
    return {"queries": queries, "judgements": judgements, "metrics": list(MEASURES)}


def reference(case: dict) -> dict[str, list[float]]:
    """Per query, in the case's order."""
    names = {"success": CUTOFFS, "ndcg_cut": CUTOFFS, "map_cut": CUTOFFS}
    measures = {f"{name}.{','.join(map(str, cutoffs))}" for name, cutoffs in names.items()}
    evaluator = pytrec_eval.RelevanceEvaluator(case["judgements"], measures | {"recip_rank", "map", "ndcg"})
    values = evaluator.evaluate({each["id"]: dict(zip(each["docs"], each["scores"])) for each in case["queries"]})
    return {ours: [values[each["id"]][theirs] for each in case["queries"]] for ours, theirs in MEASURES.items()}


def dump(case: dict) -> str:
    return json.dumps(case, ensure_ascii=False)
