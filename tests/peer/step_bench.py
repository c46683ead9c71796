"""A training step of LamRA's of ours and of transformers + PEFT on the same pairs, side by side in one run.

    bash tests/peer/step_bench.sh [--repetitions 3] [--dtypes float32 bfloat16] [--batches mixed unpadded]

The benchmark's checkpoint of 27 M parameters, 32 pairs, LoRA r = 16 with dropout 0.05 on the decoder's linears.
`mixed`: a third text of 8 to 120 tokens, a third pictures, a third both; `unpadded`: text of one length, where
transformers pads nothing. Every repetition runs each side once, in turn: a machine that slows down slows both.
transformers runs as it comes, and once more with the two settings that Trireme gives itself: an allocator that keeps
its memory, and MKL's AVX-512 code on every processor that has it; in bfloat16 with the adapter in float32, which is
PEFT's default, and in bfloat16. Ours counts waiting for the loader; transformers' batch is collated before. Exit
status 1 when a bar is missed.
"""
import argparse
import dataclasses
import json
import pathlib
import random
import statistics
import subprocess
import sys

import bench
import bench_files
import embedders

FOLDER = embedders.ROOT / "build" / "bench_step"
PAIRS = 32
UNPADDED_WORDS = 96
MEMORY_BAR = 0.30  # of the peak of transformers as it comes


@dataclasses.dataclass(frozen=True)
class Case:
    """One row: transformers + PEFT in this form against trireme, which must be `bar` times as fast."""
    batch: str
    dtype: str
    adapter: str
    settings: bool
    bar: float

    def __str__(self) -> str:
        adapter = f", adapter in {self.adapter}" if self.dtype == "bfloat16" else ""
        return f"{self.batch}, {self.dtype}{adapter}, {'both settings' if self.settings else 'as it comes'}"


CASES = (Case("mixed", "float32", "float32", False, 3.0), Case("mixed", "float32", "float32", True, 1.8),
         *(Case("mixed", "bfloat16", adapter, settings, 1.8) for adapter in ("float32", "bfloat16")
           for settings in (False, True)),
         *(Case("unpadded", dtype, dtype, settings, 1.0) for dtype in ("float32", "bfloat16")
           for settings in (False, True)))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--batches", nargs="+", choices=["mixed", "unpadded"], default=["mixed", "unpadded"])
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    return parser.parse_args()


def write_unpadded(folder: pathlib.Path, checkpoint: pathlib.Path) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng, words = random.Random(1), bench_files.words_of(checkpoint)
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps(dict(id=f"0:{i}", txt=" ".join(
        ["The", *(rng.choice(words) for _ in range(UNPADDED_WORDS))]) + ".")) + "\n" for i in range(2 * PAIRS)))
    return path


def write_pairs(records: pathlib.Path) -> pathlib.Path:
    """The records as an M-BEIR folder beside them, the first half queries, and once more with the texts that M-BEIR's
    normalisation makes of them, for transformers."""
    lines = embedders.read_records(records)
    for record in lines:
        if record.get("txt"):
            record["txt"] = record["txt"][0].upper() + record["txt"][1:]
    modality = {(True, False): "text", (False, True): "image", (True, True): "image,text"}
    queries, pool = [], []
    for number, record in enumerate(lines):
        text, image = record.get("txt"), record.get("img_path")
        kind = modality[bool(text), bool(image)]
        if number < PAIRS:
            queries.append(dict(qid=f"9:{number}", query_txt=text, query_img_path=image, query_modality=kind,
                                pos_cand_list=[f"9:{number}"], task_id=0))
        else:
            pool.append(dict(did=f"9:{number - PAIRS}", txt=text, img_path=image, modality=kind))
    for name, rows in (("queries", queries), ("pool", pool), ("formatted", lines)):
        (records.parent / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return records.parent / "formatted.jsonl"


class Trireme:
    def __init__(self, options: argparse.Namespace, checkpoint: pathlib.Path, folder: pathlib.Path, dtype: str):
        source = dict(kind="mbeir", files=["queries.jsonl"], pool="pool.jsonl", instruction_choice="none")
        config = dict(recipe="lamra_ret", run_dir=str(FOLDER / "run"), seed=1, train=dict(steps=1),
                      model=dict(path=str(checkpoint), dtype=dtype), lora=dict(rank=16, alpha=32, dropout=0.05),
                      data=dict(root=str(folder), sources=[source], sampler=dict(pairs_global=PAIRS), text_tokens=None))
        path = folder / f"{dtype}.yaml"
        path.write_text(json.dumps(config))
        self.command = [options.build / "bin" / "trireme", "bench", "step", path, "--warmup", "1", "--steps", "3",
                        "--threads", options.threads]
        self.environment = bench.environment(options.threads, False)

    def run(self) -> dict[str, float]:
        done = subprocess.run([str(part) for part in self.command], check=True, capture_output=True, text=True,
                              env=self.environment)
        return json.loads(done.stdout)


class Transformers:
    """A process that has loaded the model and takes one step per request."""

    def __init__(self, case: Case, options: argparse.Namespace, checkpoint: pathlib.Path, records: pathlib.Path):
        command = [sys.executable, "-B", embedders.ROOT / "tests" / "peer" / "step_reference.py", "--checkpoint",
                   checkpoint, "--records", records, "--dtype", case.dtype, "--adapter", case.adapter, "--threads",
                   options.threads]
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=bench.environment(options.threads, case.settings))
        self.about = self.answer()

    def answer(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"step_bench: transformers left with {self.process.wait()}")
        return json.loads(line)

    def step(self) -> dict[str, float]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(case: Case, options: argparse.Namespace, checkpoint: pathlib.Path,
            records: pathlib.Path) -> tuple[str, bool]:
    """One row: repetitions of ours and theirs in turn, after one that is not counted. Theirs stays loaded meanwhile,
    one at a time, for two would not fit in 24 GB."""
    ours = Trireme(options, checkpoint, records.parent, case.dtype)
    peer = Transformers(case, options, checkpoint, records)
    measured, answers = [], []
    for _ in range(options.repetitions + 1):
        measured.append(ours.run())
        answers.append(peer.step())
    peer.close()
    difference = abs(measured[0]["tokens_per_step"] - peer.about["tokens"])
    assert difference <= 0.01 * peer.about["tokens"], f"{measured[0]}, {peer.about}: not the same tokens"
    our_steps = [run["step_s"] for run in measured[1:]]
    steps = [answer["step_s"] for answer in answers[1:]]
    our_peak, peak = max(run["peak_mib"] for run in measured), max(answer["peak_mib"] for answer in answers)
    mine, theirs = statistics.median(our_steps), statistics.median(steps)
    last = measured[-1]
    print(f"{case}: {last['tokens_per_step']:.0f} tokens, {peer.about['padding']:.0%} padding; ours "
          f"{last['linear_gflops']:.0f} of {last['gemm_gflops']:.0f} GFLOP/s in linear layers", flush=True)
    ratio, memory, memory_counts = theirs / mine, our_peak / peak, case.batch == "mixed" and not case.settings
    met = ratio >= case.bar and not (memory_counts and memory > MEMORY_BAR)
    return (f"| {case} | {theirs:.2f} ({min(steps):.2f}) | {mine:.2f} ({min(our_steps):.2f}) | {ratio:.2f} | "
            f"{case.bar} | {peak} | {our_peak} | {memory:.0%} | {'met' if met else 'MISSED'} |", met)


def main() -> None:
    options = parse_arguments()
    checkpoint = FOLDER / "checkpoint"
    bench.FOLDER.mkdir(parents=True, exist_ok=True)
    if not (checkpoint / "model.safetensors").exists():
        bench_files.write_checkpoint(checkpoint)
    records = dict(mixed=lambda: bench_files.write_records(FOLDER / "mixed", 2 * PAIRS, checkpoint),
                   unpadded=lambda: write_unpadded(FOLDER / "unpadded", checkpoint))
    rows = []
    for batch in options.batches:
        formatted = write_pairs(records[batch]())
        rows += [measure(case, options, checkpoint, formatted) for case in CASES
                 if case.batch == batch and case.dtype in options.dtypes]
    print(f"\nSeconds per step of {PAIRS} pairs, median of {options.repetitions} (best), {options.threads} threads; "
          f"peak memory of the process in MiB\n\n| transformers + PEFT | step | trireme | ratio | bar | its memory | "
          f"ours | of it | |\n|---|---|---|---|---|---|---|---|---|")
    print("\n".join(line for line, _ in rows))
    missed = sum(not met for _, met in rows)
    print(f"\nstep_bench: {len(rows)} rows, {missed} missed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
