"""Random runs with ties and graded judgements, and what pytrec_eval says of them.

For tests/golden/metrics/make.py and tests/peer/metrics_parity.py. A case is what tests/support/metrics_case.h reads:
draw_case() draws lists of equal length, draw_pool_case() all that pools of any size have for queries that exclude
documents, and draw_eval_case() a whole pool of vectors, as `trireme eval` searches it.
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


def draw_judgements(rng, pool: list[str], absent: list[str]) -> dict[str, int]:
    """Of one query: some of the pool, and some that it lacks; one relevant document at least."""
    judged = [str(each) for each in rng.choice(pool, size=int(rng.integers(0, min(len(pool), 12) + 1)), replace=False)]
    judged += absent[:int(rng.choice([0, 0, 1, 3]))]
    judged = judged or [str(rng.choice(pool))]
    grades = {doc: int(rng.choice([-1, 0, 1, 1, 2, 3])) for doc in judged}
    grades[str(rng.choice(judged))] = int(rng.integers(1, 4))
    return grades


def draw_excluded(rng, pool: list[str]) -> set[str]:
    """Documents of the pool that one query is not given: mostly few, now and then all but one."""
    most = len(pool) - 1
    count = min(most, int(rng.choice([0, 0, 1, 2, 3, most])))
    return {str(each) for each in rng.choice(pool, size=count, replace=False)}


def draw_pool_case(rng, max_pool: int = 130, max_queries: int = 6) -> dict:
    """A pool mostly smaller than the largest cutoffs; each query has what it does not exclude, up to the depth."""
    size = int(rng.integers(1, int(rng.choice([4, 12, max_pool])) + 1))
    docs = draw_ids(rng, size + 3)
    pool, absent = docs[:size], docs[size:]
    depth = min(max(CUTOFFS), size)
    levels = int(rng.choice([1, 2, 5, 1000]))
    queries, judgements = [], {}
    for query in draw_ids(rng, int(rng.integers(1, max_queries + 1))):
        excluded = draw_excluded(rng, pool)
        listed = [str(each) for each in rng.permutation([doc for doc in pool if doc not in excluded])][:depth]
        scores = np.sort(rng.integers(0, levels, len(listed)).astype(np.float32) / np.float32(levels))[::-1]
        queries.append({"id": query, "docs": listed, "scores": [float(each) for each in scores]})
        judgements[query] = draw_judgements(rng, pool, absent)
    return {"queries": queries, "judgements": judgements, "metrics": list(MEASURES), "depth": depth,
            "candidates": size}


def draw_eval_case(rng, max_pool: int = 14, max_queries: int = 4) -> dict:
    """Directions in the plane: whole degrees for candidates, .25 behind them for queries: no two are as near."""
    size = int(rng.integers(1, max_pool + 1))
    docs = [f"9:{number}" for number in range(101, 101 + size + 3)]
    pool, absent = docs[:size], docs[size:]
    degrees = rng.choice(90, size=size, replace=False)
    case = {"pool": {doc: int(degree) for doc, degree in zip(pool, degrees)}, "queries": {}}
    for number in range(1, int(rng.integers(1, max_queries + 1)) + 1):
        relevant = {doc: max(1, grade) for doc, grade in draw_judgements(rng, pool, absent).items()}
        case["queries"][f"9:{number}"] = {"degrees": int(rng.integers(90)) + 0.25,
                                          "excluded": sorted(draw_excluded(rng, pool)), "relevant": relevant}
    return case


def searched(case: dict, depth: int) -> dict:
    """An eval case's ranked lists, in the form of draw_pool_case()."""
    queries = []
    for qid, query in case["queries"].items():
        near = {doc: float(np.cos(np.radians(degrees - query["degrees"]))) for doc, degrees in case["pool"].items()
                if doc not in query["excluded"]}
        listed = sorted(near, key=near.get, reverse=True)[:depth]
        queries.append({"id": qid, "docs": listed, "scores": [near[doc] for doc in listed]})
    return {"queries": queries, "judgements": {qid: query["relevant"] for qid, query in case["queries"].items()}}


def reference(case: dict) -> dict[str, list[float]]:
    """Per query, in the case's order."""
    names = {"success": CUTOFFS, "ndcg_cut": CUTOFFS, "map_cut": CUTOFFS}
    measures = {f"{name}.{','.join(map(str, cutoffs))}" for name, cutoffs in names.items()}
    evaluator = pytrec_eval.RelevanceEvaluator(case["judgements"], measures | {"recip_rank", "map", "ndcg"})
    values = evaluator.evaluate({each["id"]: dict(zip(each["docs"], each["scores"])) for each in case["queries"]})
    return {ours: [values[each["id"]][theirs] for each in case["queries"]] for ours, theirs in MEASURES.items()}


def dump(case: dict) -> str:
    return json.dumps(case, ensure_ascii=False)
