"""Pointwise reranking by Trireme and by transformers on the same lists, side by side in one run.

    .venv-peer/bin/python tests/peer/rerank_bench.py [--lists 2] [--repetitions 3] [--checkpoint DIR --file LISTS.jsonl]

A query with a picture of 64 visual tokens and 120 tokens of text has 50 candidates with picture and text; weights are
random (22 M parameters in the decoder, 5 M in the vision tower). transformers repeats the query in each of its prompts,
in batches of 10: as it comes, and with the two settings that Trireme gives itself (see bench.py). Trireme shares the
prefix, and is measured without that too. Repetitions are taken in turn. Items a second, decoding, resizing and
tokenising included, and for transformers of its model alone. Exit status 1 when the bar is missed, or when scores
differ by more than 1e-3 in float32.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys

from PIL import Image

import bench
import bench_files
import embedders
import qwen_files

FOLDER = embedders.ROOT / "build" / "bench"
CANDIDATES = 50
SCORE_BAR = 1e-3  # random weights give scores of the vocabulary of 100 and more, and rounding errors in proportion
QUERY_TOKENS, QUERY_SIDE = 120, 224  # text of the query, and sides of its picture: 64 visual tokens
RATIO_BAR = {"float32": 3.0, "bfloat16": 3.0}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtypes", nargs="+", choices=list(RATIO_BAR), default=list(RATIO_BAR))
    parser.add_argument("--checkpoint", type=pathlib.Path, help="another checkpoint; its tokenizer knows Yes and No")
    parser.add_argument("--file", type=pathlib.Path, help="other lists, with their images beside them")
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    return parser.parse_args()


def write_lists(folder: pathlib.Path, count: int, checkpoint: pathlib.Path) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(count)
    words = bench_files.words_of(checkpoint)

    def record(name: str) -> dict:
        bench_files.write_picture(rng, folder / f"{name}.png")
        return dict(id=name, txt=bench_files.draw_sentence(rng, words), img_path=f"{name}.png")

    lines = []
    for number in range(count):
        query = record(f"query_{number}")
        query["txt"] = " ".join(rng.choice(words) for _ in range(QUERY_TOKENS - 1)) + "."
        with Image.open(folder / query["img_path"]) as picture:
            picture.resize((QUERY_SIDE, QUERY_SIDE)).save(folder / query["img_path"])
        candidates = [record(f"{number}_{place}") for place in range(CANDIDATES)]
        lines.append(json.dumps(dict(query=query, candidates=candidates)) + "\n")
    path = folder / "lists.jsonl"
    path.write_text("".join(lines))
    return path


class Side:
    """A process that has loaded and scores all lists once per request."""

    def __init__(self, name: str, command: list, environment: dict[str, str]):
        self.name = name
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)
        self.answers: list[dict] = []
        self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"rerank_bench: {self.name} left with {self.process.wait()}")
        return json.loads(line)

    def run(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.answers.append(self.answer())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def seconds(self, *keys: str) -> float:
        return statistics.median(sum(answer[key] for key in keys) for answer in self.answers[1:])


def compare(options: argparse.Namespace, checkpoint: pathlib.Path, lists: pathlib.Path, dtype: str) -> bool:
    ours = [options.build / "bin" / "rerank_scoring", "score", "--model", checkpoint, "--lists", lists,
            "--dtype", dtype, "--threads", options.threads]
    theirs = [sys.executable, embedders.ROOT / "tests" / "peer" / "rerank_bench_reference.py", "--checkpoint",
              checkpoint, "--lists", lists, "--dtype", dtype, "--threads", options.threads]
    plain, settings = (bench.environment(options.threads, given) for given in (False, True))
    trireme = Side("trireme", ours, plain)
    alone = Side("trireme, prefixes not shared", [*ours, "--alone"], plain)
    peers = [Side("as it comes", theirs, plain), Side("both settings", theirs, settings)]
    for _ in range(options.repetitions + 1):
        for side in (trireme, alone, *peers):
            side.run()
    for side in (trireme, alone, *peers):
        side.close()
    counts = trireme.answers[0]
    items = len(counts["scores"])
    rate, rate_alone = items / trireme.seconds("seconds"), items / alone.seconds("seconds")
    difference = max(abs(a - b) for a, b in zip(counts["scores"], peers[0].answers[0]["scores"]))
    spread = max(counts["scores"]) - min(counts["scores"])
    saved = 1 - counts["computed_tokens"] / counts["prompt_tokens"]
    shared = counts["prefix_tokens"] / counts["prompt_tokens"]
    print(f"{dtype}: {items} items, {counts['prompt_tokens']} prompt tokens, {shared:.1%} of them in prefixes that the "
          f"candidates of a query share; {saved:.1%} of the tokens saved, {counts['images']} images, "
          f"{counts['encoded_images']} encoded; scores within {difference:.1e} of transformers', which span "
          f"{spread:.2f}\n")
    print("| transformers | items/s | its model alone | trireme | ratio | to its model alone | trireme, not sharing |\n"
          "|---|---|---|---|---|---|---|")
    met = dtype != "float32" or difference <= SCORE_BAR
    for peer in peers:
        whole, model = items / peer.seconds("prepare_s", "model_s"), items / peer.seconds("model_s")
        print(f"| {dtype}, {peer.name} ({peer.answers[0]['padding']:.0%} padding) | {whole:.1f} | {model:.1f} | "
              f"{rate:.1f} | {rate / whole:.2f} | {rate / model:.2f} | {rate_alone:.1f} |")
        met = met and rate / whole >= RATIO_BAR[dtype]
    print(flush=True)
    return met


def main() -> None:
    options = parse_arguments()
    checkpoint = options.checkpoint or FOLDER / "rerank_checkpoint"
    if not (checkpoint / "model.safetensors").exists():
        bench_files.write_checkpoint(checkpoint, qwen_files.ANSWER_WORDS)
    lists = options.file or write_lists(FOLDER / f"lists_{options.lists}", options.lists, checkpoint)
    results = [compare(options, checkpoint, lists, dtype) for dtype in options.dtypes]
    print(f"rerank_bench: {results.count(False)} of {len(results)} dtypes missed the bar of "
          f"{min(RATIO_BAR[dtype] for dtype in options.dtypes)} times the items a second of transformers in both forms")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
