"""Throughput of `trireme embed` and of transformers on the same records, side by side in one run.

    bash tests/peer/bench.sh [--records 256] [--repetitions 5] [--dtypes float32 bfloat16]

Every repetition runs each side once, in turn: a machine that slows down slows both. Loading is left out, decoding
pictures and tokenising is in; transformers gets batches of 16. It runs as it comes, sorted by length or in file
order, and once more with the two settings that Trireme gives itself: an allocator that keeps its memory, and MKL's
AVX-512 code on every processor that has it. The last rows count start and loading too, for 500 records. Exit status 1
when a bar is missed.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import h5py
import numpy as np

import bench_files
import embedders

FOLDER = embedders.ROOT / "build" / "bench"
START_RECORDS = 500
SETTINGS_SOURCE = "int mkl_serv_intel_cpu_true(void) { return 1; }\n"
MALLOC_SETTINGS = dict(MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="100000000000", MALLOC_TOP_PAD_="268435456")


@dataclasses.dataclass(frozen=True)
class Case:
    """One row: transformers in this form against trireme, which must be `bar` times as fast."""
    dtype: str
    order: str
    settings: bool
    bar: float | None

    def __str__(self) -> str:
        settings = "both settings" if self.settings else "as it comes"
        return f"{self.dtype}, {'sorted by length' if self.order == 'sorted' else 'file order'}, {settings}"


CASES = (Case("float32", "sorted", False, 1.8), Case("float32", "sorted", True, 1.1),
         Case("float32", "file", False, 2.5), Case("bfloat16", "sorted", False, 1.3),
         Case("bfloat16", "sorted", True, None))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--no-start", action="store_true", help="leave out the rows that count start and loading")
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    return parser.parse_args()


def environment(threads: int, settings: bool) -> dict[str, str]:
    out = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if settings:
        library = FOLDER / "mkl_full_dispatch.so"
        if not library.exists():
            subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=SETTINGS_SOURCE, text=True,
                           check=True)
        out.update(MALLOC_SETTINGS, LD_PRELOAD=str(library))
    return out


class Trireme:
    def __init__(self, options: argparse.Namespace, checkpoint: pathlib.Path):
        self.options, self.checkpoint = options, checkpoint

    def run(self, records: pathlib.Path, dtype: str) -> dict[str, float]:
        """The program's own metrics, and the wall time of the whole process."""
        metrics, out = FOLDER / "metrics.json", FOLDER / f"trireme_{dtype}.h5"
        begin = time.perf_counter()
        command = [self.options.build / "bin" / "trireme", "embed", "--model", self.checkpoint, "--records", records,
                   "--image-root", records.parent, "--out", out, "--dtype", dtype, "--metrics", metrics,
                   "--threads", self.options.threads]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL,
                       env=environment(self.options.threads, False))
        return {**json.loads(metrics.read_text()), "wall_s": time.perf_counter() - begin}


class Transformers:
    """A process that has loaded the model and embeds all records once per request."""

    def __init__(self, case: Case, options: argparse.Namespace, checkpoint: pathlib.Path, records: pathlib.Path):
        self.out = FOLDER / "transformers.npy"
        command = [sys.executable, embedders.ROOT / "tests" / "peer" / "bench_reference.py", "--checkpoint", checkpoint,
                   "--records", records, "--order", case.order, "--dtype", case.dtype, "--threads", options.threads,
                   "--out", self.out]
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment(options.threads, case.settings))
        self.load_s = self.answer()["load_s"]

    def answer(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: transformers left with {self.process.wait()}")
        return json.loads(line)

    def run(self) -> dict[str, float]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def least_cosine(dtype: str) -> float:
    with h5py.File(FOLDER / f"trireme_{dtype}.h5") as file:
        ours = file["embedding"][:].astype(np.float64)
    theirs = np.load(FOLDER / "transformers.npy").astype(np.float64)
    return float((ours * theirs).sum(axis=1).min())


def row(name: str, theirs: list[float], model_only: list[float], ours: list[float],
        bar: float | None) -> tuple[str, bool]:
    """A line of the table from records per second; the ratio is that of the medians."""
    ratio = statistics.median(ours) / statistics.median(theirs)
    met = bar is None or ratio >= bar
    model = f"{statistics.median(model_only):.1f}" if model_only else ""
    verdict = "" if bar is None else f"{bar} {'met' if met else 'MISSED'}"
    return (f"| {name} | {statistics.median(theirs):.1f} ({max(theirs):.1f}) | {model} | {statistics.median(ours):.1f} "
            f"({max(ours):.1f}) | {ratio:.2f} | {verdict} |"), met


def gemm_rate(options: argparse.Namespace) -> str:
    """What `trireme doctor` measures: the roof of both sides with the settings."""
    out = subprocess.run([options.build / "bin" / "trireme", "doctor"], capture_output=True, text=True, check=False,
                         env=environment(options.threads, False)).stdout
    return "; ".join(" ".join(line.split()[1:5]) for line in out.splitlines() if "GEMM" in line)


def steady(options: argparse.Namespace, checkpoint: pathlib.Path, ours: Trireme) -> list[tuple[str, bool]]:
    """Loading left out: repetitions in turn, after one that is not counted."""
    records = bench_files.write_records(FOLDER / f"records_{options.records}", options.records, checkpoint)
    rows = []
    for dtype in options.dtypes:
        cases = [case for case in CASES if case.dtype == dtype]
        peers = [Transformers(case, options, checkpoint, records) for case in cases]
        our_rates, rates, model_rates = [], {case: [] for case in cases}, {case: [] for case in cases}
        padding, cosine = {}, 1.0
        for repetition in range(options.repetitions + 1):
            measured = ours.run(records, dtype)
            if repetition:
                our_rates.append(measured["records"] / measured["embed_s"])
            for case, peer in zip(cases, peers):
                answer = peer.run()
                padding[case] = answer["padding"]
                flop = bench_files.gemm_flop(answer["real_tokens"], answer["patches"])
                cosine = min(cosine, least_cosine(dtype))
                if repetition:
                    rates[case].append(options.records / (answer["prepare_s"] + answer["model_s"]))
                    model_rates[case].append(options.records / answer["model_s"])
        for peer in peers:
            peer.close()
        rows += [row(f"{case} ({padding[case]:.0%} padding)", rates[case], model_rates[case], our_rates, case.bar)
                 for case in cases]
        gflop_per_s = flop / options.records * statistics.median(our_rates) / 1e9
        print(f"{dtype}: least cosine between the two sides' embeddings {cosine:.4f}; linear layers "
              f"{flop / 1e12:.2f} TFLOP, trireme {gflop_per_s:.0f} GFLOP/s; {gemm_rate(options)}", flush=True)
    return rows


def from_start(options: argparse.Namespace, checkpoint: pathlib.Path, ours: Trireme) -> list[tuple[str, bool]]:
    """Start, loading and START_RECORDS records, the whole process; two repetitions in turn."""
    records = bench_files.write_records(FOLDER / f"records_{START_RECORDS}", START_RECORDS, checkpoint)
    rows = []
    for case in (case for case in CASES if case.dtype in options.dtypes):
        our_rates, rates = [], []
        for _ in range(2):
            our_rates.append(START_RECORDS / ours.run(records, case.dtype)["wall_s"])
            begin = time.perf_counter()
            peer = Transformers(case, options, checkpoint, records)
            peer.run()
            peer.close()
            rates.append(START_RECORDS / (time.perf_counter() - begin))
        rows.append(row(f"{case}, start and loading counted", rates, [], our_rates, case.bar))
    return rows


def main() -> None:
    options = parse_arguments()
    checkpoint = FOLDER / "checkpoint"
    if not (checkpoint / "model.safetensors").exists():
        bench_files.write_checkpoint(checkpoint)
    ours = Trireme(options, checkpoint)
    rows = steady(options, checkpoint, ours) + ([] if options.no_start else from_start(options, checkpoint, ours))
    print(f"\nRecords per second, median of {options.repetitions} (best), {options.threads} threads, {options.records} "
          f"records ({START_RECORDS} where start counts)\n\n| transformers | records/s | its model alone | trireme | "
          f"ratio | bar |\n|---|---|---|---|---|---|")
    print("\n".join(line for line, _ in rows))
    missed = sum(not met for _, met in rows)
    print(f"\nbench: {len(rows)} rows, {missed} bars missed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
