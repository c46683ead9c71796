"""`trireme embed` against transformers and PEFT on checkpoints, adapters and records drawn by seed.

    .venv-peer/bin/python tests/peer/embed_parity.py --configs 40 [--first-seed 1] [--build build/release]

Each configuration is compared in float32, and in one further form in turn: with an adapter, with one-dimensional
positions, in bfloat16. Bars: per element of the normalised embeddings 2e-6 for the median configuration and 2e-5 for
the worst; in bfloat16 a cosine above 0.999. A configuration beyond 2e-5 may be one that magnifies rounding (an adapter
of scale 14 on every layer): it is held against the reference's own rounding, how far the reference moves when each of
its weights is moved by one rounding, and passes within that. A comparison that could not fail would prove
nothing: adapters and positions must move some embedding by 1e-3. Prints one line per configuration and a summary; exit
status 1 when a bar is missed.
"""
import argparse
import copy
import pathlib
import random
import statistics
import sys
import tempfile
import time
import traceback

import numpy as np
import torch
import transformers

import drawing
import embedders
import hub_checkpoints
import qwen_files

MEDIAN_BAR, WORST_BAR, COSINE_BAR, LEAST_EFFECT = 2e-6, 2e-5, 0.999, 1e-3
FORMS = ("adapter", "oned", "bfloat16")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=12)
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    parser.add_argument("--keep", type=pathlib.Path, help="leave the files of configurations that fail in this folder")
    return parser.parse_args()


class Comparison:
    """One drawn configuration, its files in `folder`."""

    def __init__(self, seed: int, folder: pathlib.Path, tokenizers: list, options: argparse.Namespace):
        self.rng = random.Random(seed)
        self.folder, self.build = folder, options.build
        family = drawing.FAMILIES[seed % len(drawing.FAMILIES)]
        self.form = FORMS[seed // len(drawing.FAMILIES) % len(FORMS)]
        if family == "qwen2" and self.form == "oned":
            self.form = "adapter"  # a text model has one-dimensional positions anyway
        tokenizer = self.rng.choice(tokenizers)
        self.checkpoint = drawing.draw_checkpoint(self.rng, folder / "model", tokenizer, family)
        (folder / "data").mkdir()
        self.records = drawing.write_records(self.rng, folder / "data", options.records, family != "qwen2")

    def ours(self, *options: str) -> np.ndarray:
        ids, matrix = embedders.embed_with_trireme(self.build, self.checkpoint.folder, self.folder / "data" /
                                                   "records.jsonl", self.folder / "e.h5", *options)
        assert ids == [record["id"] for record in self.records], "ids differ or are in another order"
        return matrix

    def reference(self, model: torch.nn.Module, oned: bool = False) -> np.ndarray:
        return embedders.Reference(self.checkpoint.folder, model).embed_all(self.records, self.folder / "data", oned)

    def rounding(self, model: torch.nn.Module, wanted: np.ndarray, oned: bool = False) -> float:
        """How far the reference moves when each of its weights is moved by one rounding, up or down."""
        generator = torch.Generator().manual_seed(0)
        largest = 0.0
        for _ in range(3):
            moved = copy.deepcopy(model)
            with torch.no_grad():
                for weight in moved.parameters():
                    signs = torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1
                    weight.copy_((weight.double() * (1 + signs * 2.0 ** -24)).to(weight.dtype))
            largest = max(largest, float(abs(self.reference(moved, oned) - wanted).max()))
        return largest

    def within(self, ours: np.ndarray, wanted: np.ndarray, model: torch.nn.Module, oned: bool = False) -> float:
        """The largest difference per element; beyond the bar, what rounding alone allows is measured too."""
        difference = float(abs(ours - wanted).max())
        if difference > WORST_BAR:
            self.rounding_allows = max(self.rounding_allows, self.rounding(model, wanted, oned))
        return difference

    def run(self) -> dict[str, float]:
        """Largest difference per element, by form; for bfloat16 the smallest cosine."""
        model = hub_checkpoints.load(self.checkpoint.folder, self.checkpoint.spec)
        plain = self.reference(model)
        found = dict(float32=self.within(self.ours(), plain, model))
        if self.form == "adapter":
            adapted, self.about = drawing.draw_adapter(self.rng, self.checkpoint, self.folder / "adapter")
            wanted = self.reference(adapted)
            assert abs(wanted - plain).max() > LEAST_EFFECT, "the adapter changes nothing: nothing was compared"
            found["adapter"] = self.within(self.ours("--adapter", str(self.folder / "adapter")), wanted, adapted)
        elif self.form == "oned":
            wanted = self.reference(model, oned=True)
            if any(record.get("img_path") for record in self.records):
                assert abs(wanted - plain).max() > LEAST_EFFECT, "positions change nothing: nothing was compared"
            found["oned"] = self.within(self.ours("--rope-mode", "oned"), wanted, model, oned=True)
        else:
            found["bfloat16"] = (self.ours("--dtype", "bfloat16") * plain).sum(axis=1).min()
        return found

    about = ""
    rounding_allows = 0.0


def passed(form: str, value: float, rounding_allows: float) -> bool:
    return value > COSINE_BAR if form == "bfloat16" else value <= max(WORST_BAR, rounding_allows)


def main() -> None:
    options = parse_arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)  # for models this small a second thread only waits
    begin = time.monotonic()
    tokenizers = [qwen_files.train_tokenizer(merges) for merges in (300, 2000)]
    values: dict[str, list[float]] = {form: [] for form in ("float32", *FORMS)}
    failures = by_rounding = 0
    for seed in range(options.first_seed, options.first_seed + options.configs):
        with tempfile.TemporaryDirectory(prefix="embed_parity_") as folder:
            comparison = None
            try:
                comparison = Comparison(seed, pathlib.Path(folder), tokenizers, options)
                found = comparison.run()
                allowed = comparison.rounding_allows
                problem = "" if all(passed(form, value, allowed) for form, value in found.items()) else "  MISSED"
                for form, value in found.items():
                    values[form].append(value)
                figures = ", ".join(f"{form} {value:.5f}" if form == "bfloat16" else f"{form} {value:.1e}"
                                    for form, value in found.items())
                if allowed:
                    figures += f" (the reference moves {allowed:.1e} by rounding alone)"
                    by_rounding += 1
            except (AssertionError, RuntimeError, ValueError) as error:
                problem, figures = "  FAILED", f"{type(error).__name__}: {error}"
                if not isinstance(error, RuntimeError):
                    figures += "\n" + traceback.format_exc()
            print(f"seed {seed}: {figures}{problem}  ({comparison.checkpoint if comparison else 'not drawn'}"
                  f"{'; ' + comparison.about if comparison and comparison.about else ''})", flush=True)
            if problem:
                failures += 1
                if options.keep:
                    pathlib.Path(folder).rename(options.keep / f"seed_{seed}")
                    pathlib.Path(folder).mkdir()
    exact = [value for form in ("float32", "adapter", "oned") for value in values[form]]
    cosines = values["bfloat16"]
    median = statistics.median(exact) if exact else float("nan")
    ok = not failures and bool(exact) and median <= MEDIAN_BAR
    print(f"embed_parity: {options.configs} configurations x {options.records} records, {failures} failed; float32 "
          f"({len(values['float32'])} plain, {len(values['adapter'])} with adapter, {len(values['oned'])} 1-D): median "
          f"{median:.1e} (bar {MEDIAN_BAR:.0e}), worst {max(exact, default=float('nan')):.1e} (bar {WORST_BAR:.0e}, or "
          f"the reference's own rounding: {by_rounding} of them); bfloat16 cosine at least "
          f"{min(cosines, default=float('nan')):.5f} (bar {COSINE_BAR}); {time.monotonic() - begin:.0f} s")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
