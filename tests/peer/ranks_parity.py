"""The embeddings file of 2 and 3 ranks under mpirun against that of one rank: same ids, same order, same rows.

    .venv-peer/bin/python tests/peer/ranks_parity.py [--records 41] [--seed 1]

Ranks pack other batches than one rank does, so rows may differ where a kernel's result depends on the batch: at most
1e-6 per element is allowed, and how many rows are equal to the bit is printed. Fewer records than ranks must work too.
"""
import argparse
import pathlib
import random
import sys
import tempfile

import transformers

import drawing
import embedders
import qwen_files

BAR = 1e-6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=41)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    options = parser.parse_args()
    transformers.logging.disable_progress_bar()
    rng = random.Random(options.seed)
    figures, failures = [], 0
    with tempfile.TemporaryDirectory(prefix="ranks_parity_") as name:
        folder = pathlib.Path(name)
        tokenizer = qwen_files.train_tokenizer(1000)
        checkpoint = drawing.draw_checkpoint(rng, folder / "model", tokenizer, "qwen2_vl")
        for count, rank_counts in ((options.records, (1, 2, 3)), (1, (2,))):
            data = folder / f"records_{count}"
            data.mkdir()
            drawing.write_records(rng, data, count, with_images=True)

            def embedded(ranks: int):
                return embedders.embed_with_trireme(options.build, checkpoint.folder, data / "records.jsonl",
                                                    folder / f"e_{count}_{ranks}.h5", ranks=ranks)

            ids, rows = embedded(0)
            for ranks in rank_counts:
                their_ids, their_rows = embedded(ranks)
                difference = abs(their_rows - rows).max()
                equal = int((their_rows == rows).all(axis=1).sum())
                failures += their_ids != ids or not difference <= BAR
                figures.append(f"{count} records on {ranks} ranks: {equal} rows equal to the bit, others within "
                               f"{difference:.1e}{'' if their_ids == ids else ', IDS DIFFER'}")
    print(f"ranks_parity (bar {BAR:.0e}): {'; '.join(figures)}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
