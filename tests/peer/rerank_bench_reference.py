"""transformers' side of tests/peer/rerank_bench.py: LamRA-Rank's pointwise scores in padded batches.

    .venv-peer/bin/python tests/peer/rerank_bench_reference.py --checkpoint DIR --lists FILE --dtype float32

Every row is a whole prompt, the query and its picture included. One prefill a batch, logits of the last position alone
(logits_to_keep=1), no cache: the best that the class offers. Loads, prints one JSON line, then scores all lists once
for each line on stdin and answers with one JSON line: seconds for preparing the batches and for the model, and scores.
"""
import argparse
import json
import pathlib
import sys
import time

import torch
import transformers
from PIL import Image

import drawing  # noqa: F401 - puts tests/support on the path
import rerank_messages


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    parser.add_argument("--lists", type=pathlib.Path, required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


class Scorer:
    def __init__(self, options: argparse.Namespace):
        self.processor = transformers.AutoProcessor.from_pretrained(options.checkpoint)
        self.model = transformers.AutoModelForImageTextToText.from_pretrained(
            options.checkpoint, dtype=getattr(torch, options.dtype)).eval()
        self.image_root = options.lists.parent
        self.answers = [self.processor.tokenizer(word)["input_ids"][0] for word in ("Yes", "No")]

    def collate(self, query: dict, candidates: list[dict]):
        def item(record: dict) -> dict:
            return dict(text=record.get("txt") or "", image=bool(record.get("img_path")))

        prompts = [self.processor.tokenizer.apply_chat_template(
            rerank_messages.pointwise(item(query), item(candidate), "master"), tokenize=False,
            add_generation_prompt=True) for candidate in candidates]
        images = [Image.open(self.image_root / record["img_path"]).convert("RGB") for candidate in candidates
                  for record in (query, candidate) if record.get("img_path")]
        return self.processor(text=prompts, images=images or None, padding=True, padding_side="left",
                              return_tensors="pt")

    @torch.inference_mode()
    def score(self, batch) -> list[float]:
        logits = self.model(**batch, use_cache=False, logits_to_keep=1).logits[:, -1, self.answers]
        return logits.float().softmax(dim=-1)[:, 0].tolist()


def main() -> None:
    options = parse_arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    begin = time.perf_counter()
    scorer = Scorer(options)
    lists = [json.loads(line) for line in options.lists.read_text().splitlines()]
    print(json.dumps(dict(load_s=time.perf_counter() - begin)), flush=True)
    for _ in sys.stdin:
        prepare_s = model_s = 0.0
        real = padded = 0
        scores: list[float] = []
        for one in lists:
            for first in range(0, len(one["candidates"]), options.batch):
                start = time.perf_counter()
                batch = scorer.collate(one["query"], one["candidates"][first:first + options.batch])
                prepared = time.perf_counter()
                scores += scorer.score(batch)
                model_s += time.perf_counter() - prepared
                prepare_s += prepared - start
                real += int(batch["attention_mask"].sum())
                padded += batch["attention_mask"].numel()
        answer = dict(prepare_s=prepare_s, model_s=model_s, real_tokens=real, padding=1 - real / padded, scores=scores)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
