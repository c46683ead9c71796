"""A check on random configurations: one temporary folder a seed, a line each, the worst figures in the last line."""
import argparse
import pathlib
import sys
import tempfile
import time
import traceback
from collections.abc import Callable

import torch
import transformers

FAULTS = (AssertionError, RuntimeError, ValueError, UserWarning)


def check(options: argparse.Namespace, run: Callable[[int, pathlib.Path], tuple[dict[str, float], str]],
          bars: dict[str, float], bar: float) -> None:
    """Calls `run` for options.configs seeds and leaves the program: status 1 when one failed or missed a bar.

    run(seed, folder) gives the figures it found by kind, and says in words what was drawn. bar: of every kind that
    `bars` does not name.
    """
    name = pathlib.Path(sys.argv[0]).stem
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)  # for models this small a second thread only waits
    begin = time.monotonic()
    worst: dict[str, float] = {}
    failures = 0
    for seed in range(options.first_seed, options.first_seed + options.configs):
        with tempfile.TemporaryDirectory(prefix=f"{name}_") as folder:
            try:
                found, about = run(seed, pathlib.Path(folder))
            except FAULTS:
                print(f"seed {seed}: FAILED\n{traceback.format_exc()}", flush=True)
                failures += 1
                continue
        missed = [kind for kind, value in found.items() if not value <= bars.get(kind, bar)]
        worst = {kind: max(found.get(kind, 0.0), worst.get(kind, 0.0)) for kind in {**worst, **found}}
        print(f"seed {seed}: {in_words(found)}{'  MISSED' if missed else ''}  ({about})", flush=True)
        failures += bool(missed)
    named = "".join(f", {kind} {value:.0e}" for kind, value in bars.items())
    print(f"{name}: {options.configs} configurations, {failures} failed; worst differences: {in_words(worst)} (bar "
          f"{bar:.0e}{named}); {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failures else 0)


def in_words(figures: dict[str, float]) -> str:
    return ", ".join(f"{kind} {value:.1e}" for kind, value in figures.items())
