"""`trireme generate` against transformers' generate on checkpoints, adapters and records drawn by seed.

    .venv-peer/bin/python tests/peer/generate_parity.py --configs 12 [--first-seed 1] [--build build/release]

Greedy, in float32; half of the configurations with an adapter. Bars: the same tokens as transformers picks, but where
two of its scores are within 1e-3 of each other; the log-probability of a text within 1e-4 a token of that of those.
Prints one line per configuration and a summary; exit status 1 when a bar is missed.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import traceback

import torch
import transformers

import drawing
import embedders
import hub_checkpoints
import qwen_files

NEW_TOKENS, TIE, LOG_PROBABILITY_BAR = 12, 1e-3, 1e-4


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=8)
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    return parser.parse_args()


class ChatReference(embedders.Reference):
    """A user turn of the picture and the text, and nothing else."""

    def prompt(self, record: dict) -> str:
        content = [dict(type="image")] if record.get("img_path") else []
        content += [dict(type="text", text=record["txt"])] if record.get("txt") else []
        return self.template.apply_chat_template([dict(role="user", content=content)], tokenize=False,
                                                 add_generation_prompt=True)


def draw_generator(rng: random.Random, folder: pathlib.Path, tokenizer, family: str) -> drawing.Checkpoint:
    """A checkpoint of the class with a head."""
    for number in range(100):
        checkpoint = drawing.draw_checkpoint(rng, folder / f"model_{number}", tokenizer, family)
        if checkpoint.spec["naming"] != "base":
            return checkpoint
    raise AssertionError("no checkpoint with a head in 100 drawings")


def generate_with_trireme(build: pathlib.Path, model: pathlib.Path, records: pathlib.Path, out: pathlib.Path,
                          *options: str) -> list[dict]:
    command = [str(build / "bin" / "trireme"), "generate", "--model", str(model), "--records", str(records),
               "--image-root", str(records.parent), "--out", str(out), "--max-new-tokens", str(NEW_TOKENS), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\nleft with {done.returncode}:\n{done.stdout}{done.stderr}")
    return embedders.read_records(out)


class Comparison:
    """One drawn configuration, its files in `folder`."""

    def __init__(self, seed: int, folder: pathlib.Path, tokenizers: list, options: argparse.Namespace):
        self.rng = random.Random(seed)
        self.folder, self.build = folder, options.build
        family = drawing.FAMILIES[seed % len(drawing.FAMILIES)]
        self.tokenizer = self.rng.choice(tokenizers)
        self.checkpoint = draw_generator(self.rng, folder, self.tokenizer, family)
        (folder / "data").mkdir()
        self.records = drawing.write_records(self.rng, folder / "data", options.records, family != "qwen2")
        self.with_adapter = seed // len(drawing.FAMILIES) % 2 == 1

    def run(self) -> tuple[int, int, int, float]:
        """New tokens, near ties, early ends and the largest difference of log-probabilities a token."""
        options = []
        if self.with_adapter:
            model, _ = drawing.draw_adapter(self.rng, self.checkpoint, self.folder / "adapter")
            options = ["--adapter", str(self.folder / "adapter")]
        else:
            model = hub_checkpoints.load(self.checkpoint.folder, self.checkpoint.spec)
        stop = self.stop_tokens(model)
        ours = generate_with_trireme(self.build, self.checkpoint.folder, self.folder / "data" / "records.jsonl",
                                     self.folder / "out.jsonl", *options)
        assert [line["id"] for line in ours] == [record["id"] for record in self.records], "ids differ"
        reference = ChatReference(self.checkpoint.folder, model)
        total = ties = ended = 0
        worst = 0.0
        for line, record in zip(ours, self.records):
            inputs = reference.inputs(record, self.folder / "data")
            # Without a mask an end token inside a text would count as padding.
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            with torch.no_grad():
                theirs = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False, output_logits=True,
                                        return_dict_in_generate=True, eos_token_id=stop,
                                        pad_token_id=self.tokenizer.token_to_id("<|endoftext|>"))
            tokens = theirs.sequences[0, inputs["input_ids"].shape[1]:].tolist()
            logits = torch.stack(theirs.logits)[:, 0].double()
            if line["tokens"] != tokens:
                at = next((i for i, (a, b) in enumerate(zip(line["tokens"], tokens)) if a != b), None)
                assert at is not None, f"{record['id']}: {line['tokens']} and {tokens} end elsewhere"
                gap = float(logits[at, tokens[at]] - logits[at, line["tokens"][at]])
                assert gap < TIE, f"{record['id']}: {line['tokens']} for {tokens}; scores are {gap:.1e} apart"
                ties += 1
                continue
            total += len(tokens)
            wanted = float(logits.log_softmax(-1).gather(1, torch.tensor(tokens)[:, None]).sum())
            worst = max(worst, abs(line["log_probability"] - wanted) / len(tokens))
            ended += line["finish"] == "stop"
            assert line["finish"] == ("stop" if tokens[-1] in stop else "length"), record["id"]
            # The token that ended it is in no text, special or not.
            kept = tokens[:-1] if tokens[-1] in stop else tokens
            text = self.tokenizer.decode(kept, skip_special_tokens=True)
            assert line["text"] == text, f"{record['id']}: {line['text']!r} for {text!r}"
        return total, ties, ended, worst

    def stop_tokens(self, model) -> list[int]:
        """Written for both sides: what the first records would be ended by, so that some do end."""
        stop = sorted({self.tokenizer.token_to_id("<|im_end|>"), *self.rng.sample(range(300), 12)})
        settings = dict(eos_token_id=stop, do_sample=False)
        (self.checkpoint.folder / "generation_config.json").write_text(json.dumps(settings) + "\n")
        return stop


def main() -> None:
    options = parse_arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)  # for models this small a second thread only waits
    begin = time.monotonic()
    tokenizers = [qwen_files.train_tokenizer(merges) for merges in (300, 2000)]
    failures = tokens = ties = ended = 0
    worst = 0.0
    for seed in range(options.first_seed, options.first_seed + options.configs):
        with tempfile.TemporaryDirectory(prefix="generate_parity_") as folder:
            comparison = None
            try:
                comparison = Comparison(seed, pathlib.Path(folder), tokenizers, options)
                total, tied, stopped, difference = comparison.run()
                tokens, ties, ended, worst = tokens + total, ties + tied, ended + stopped, max(worst, difference)
                missed = difference > LOG_PROBABILITY_BAR
                failures += missed
                figures = (f"{total} tokens, {tied} near ties, {stopped} ended, log-probability {difference:.1e} a "
                           f"token{'  MISSED' if missed else ''}")
            except (AssertionError, RuntimeError, ValueError) as error:
                failures += 1
                figures = f"FAILED: {error}\n" + ("" if isinstance(error, RuntimeError) else traceback.format_exc())
            print(f"seed {seed}: {figures}  ({comparison.checkpoint if comparison else 'not drawn'}"
                  f"{'; with adapter' if comparison and comparison.with_adapter else ''})", flush=True)
    ok = not failures and tokens > 0 and ended > 0
    print(f"generate_parity: {options.configs} configurations x {options.records} records, {failures} failed; {tokens} "
          f"greedy tokens equal, {ended} texts ended by a stop token, {ties} cut at a near tie; log-probability within "
          f"{worst:.1e} a token (bar {LOG_PROBABILITY_BAR:.0e}); {time.monotonic() - begin:.0f} s")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
