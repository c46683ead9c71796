"""`trireme search` beside the same search in PyTorch: products in blocks, topk of each block, topk of what is left.

    python tests/peer/search_bench.py --build build/release [--queries 5000 --corpus 100000 --dim 512 --k 50 --seed 1]

Unit vectors, a tenth of them copies of others, so that scores tie. The lists are checked against float64: scores within
1e-6 of the true ones and of each other, the ids of every tie in ascending order, and no document left out that is
better by more than float32 can tell. Prints the seconds of both (search alone, without start-up and writing) and the
share of the lists that PyTorch's float32 orders otherwise. Exit code 1 when a list of ours is wrong.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np
import torch

TOLERANCE = 1e-6


def unit_rows(rng, count: int, dim: int, copies: float) -> np.ndarray:
    rows = rng.standard_normal((count, dim), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    same = rng.random(count) < copies
    rows[same] = rows[rng.integers(0, count, same.sum())]
    return rows


def write(path: pathlib.Path, ids: list[str], rows: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["embedding"] = rows
        file.create_dataset("id", data=ids, dtype=h5py.string_dtype())
        file.attrs.update(trireme_format="embeddings", format_version=1, created_by="search_bench", config_sha256="",
                          model="drawn", model_sha256="", adapter_sha256="", rope_mode="mrope", normalized=1)


def torch_search(queries, corpus, k: int, corpus_block: int = 65536, query_block: int = 1024):
    best_scores, best_rows = [], []
    for q in queries.split(query_block):
        scores = torch.empty(len(q), 0)
        rows = torch.empty(len(q), 0, dtype=torch.int64)
        for first in range(0, len(corpus), corpus_block):
            block = q @ corpus[first:first + corpus_block].T
            top = block.topk(min(k, block.shape[1]))
            scores, keep = torch.cat([scores, top.values], 1).topk(min(k, scores.shape[1] + top.values.shape[1]))
            rows = torch.cat([rows, top.indices + first], 1).gather(1, keep)
        best_scores.append(scores)
        best_rows.append(rows)
    return torch.cat(best_scores), torch.cat(best_rows)


def wrong_lists(queries, corpus, ids, run_docs, run_scores, reference_scores) -> int:
    row_of = {each: row for row, each in enumerate(ids)}
    wrong = 0
    for query, docs, scores, reference in zip(queries, run_docs, run_scores, reference_scores):
        exact = corpus[[row_of[each] for each in docs]].astype(np.float64) @ query.astype(np.float64)
        falling = all(a > b or (a == b and x.encode() < y.encode())
                      for a, b, x, y in zip(scores, scores[1:], docs, docs[1:]))
        right = np.abs(exact - scores).max() < TOLERANCE and np.abs(scores - reference).max() < TOLERANCE
        wrong += not (falling and right and len(set(docs)) == len(docs))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    for name, default in (("queries", 5000), ("corpus", 100_000), ("dim", 512), ("k", 50), ("seed", 1), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    queries = unit_rows(rng, options.queries, options.dim, 0)
    corpus = unit_rows(rng, options.corpus, options.dim, 0.1)
    ids = [f"d{number}" for number in rng.permutation(options.corpus)]
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write(folder / "q.h5", [f"q{number}" for number in range(options.queries)], queries)
        write(folder / "c.h5", ids, corpus)
        subprocess.run([options.build / "bin/trireme", "search", "--queries", folder / "q.h5", "--corpus",
                        folder / "c.h5", "--k", str(options.k), "--out", folder / "run.h5", "--metrics",
                        folder / "metrics.json", "--threads", str(options.threads)], check=True, capture_output=True)
        ours_s = json.loads((folder / "metrics.json").read_text())["search_s"]
        with h5py.File(folder / "run.h5") as file:
            run_docs, run_scores = file["doc_id"].asstr()[:], file["score"][:]
    begin = time.perf_counter()
    scores, rows = torch_search(torch.from_numpy(queries), torch.from_numpy(corpus), options.k)
    torch_s = time.perf_counter() - begin
    wrong = wrong_lists(queries, corpus, ids, run_docs, run_scores, scores.numpy())
    other_order = sum([ids[row] for row in listed] != list(docs) for listed, docs in zip(rows.tolist(), run_docs))
    print(f"search: {options.queries} x {options.corpus} x {options.dim}, k {options.k}: trireme {ours_s:.2f} s, "
          f"PyTorch {torch_s:.2f} s ({torch_s / ours_s:.2f} x); {wrong} wrong lists, {other_order} that PyTorch orders "
          "otherwise")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
