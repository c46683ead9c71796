"""transformers' side of tests/peer/bench.py: embeds records in padded batches, as its users do.

    .venv-peer/bin/python tests/peer/bench_reference.py --checkpoint DIR --records FILE --order sorted --dtype float32

Loads, prints one JSON line with the seconds that took, then embeds all records once for each line on stdin and answers
with one JSON line: seconds for preparing the batches (decode, resize, tokenise, pad) and for the model. The processor,
the attention kernel and the padding side are transformers' defaults; cache and gradients are off.
"""
import argparse
import json
import pathlib
import sys
import time

import numpy as np
import torch
import transformers
from PIL import Image

import embedders


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    parser.add_argument("--records", type=pathlib.Path, required=True)
    parser.add_argument("--order", choices=["sorted", "file"], required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, help=".npy of the embeddings, written after the first pass")
    return parser.parse_args()


class Embedder:
    def __init__(self, options: argparse.Namespace):
        self.processor = transformers.AutoProcessor.from_pretrained(options.checkpoint)
        self.model = transformers.AutoModel.from_pretrained(options.checkpoint,
                                                            dtype=getattr(torch, options.dtype)).eval()
        self.image_root = options.records.parent

    def tokens(self, record: dict) -> int:
        """Length of the text and the picture, without decoding the picture."""
        count = len(self.processor.tokenizer(record["txt"])["input_ids"]) if record.get("txt") else 0
        if record.get("img_path"):
            with Image.open(self.image_root / record["img_path"]) as header:
                width, height = header.size
            count += self.processor.image_processor.get_number_of_image_patches(height, width) // 4
        return count

    def collate(self, records: list[dict]):
        prompts = [self.processor.tokenizer.apply_chat_template(embedders.messages_for(record), tokenize=False,
                                                                add_generation_prompt=True) for record in records]
        images = [Image.open(self.image_root / record["img_path"]).convert("RGB") for record in records
                  if record.get("img_path")]
        return self.processor(text=prompts, images=images or None, padding=True, padding_side="left",
                              return_tensors="pt")

    @torch.inference_mode()
    def embed(self, batch) -> np.ndarray:
        last = self.model(**batch, use_cache=False).last_hidden_state[:, -1].float()
        return torch.nn.functional.normalize(last, dim=-1).numpy()


def main() -> None:
    options = parse_arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    begin = time.perf_counter()
    embedder = Embedder(options)
    records = embedders.read_records(options.records)
    order = list(range(len(records)))
    if options.order == "sorted":
        order.sort(key=lambda i: embedder.tokens(records[i]))
    chunks = [order[i:i + options.batch] for i in range(0, len(order), options.batch)]
    print(json.dumps(dict(load_s=time.perf_counter() - begin)), flush=True)
    for _ in sys.stdin:
        prepare_s = model_s = 0.0
        padded_tokens = real_tokens = patches = 0
        rows: dict[int, np.ndarray] = {}
        for chunk in chunks:
            start = time.perf_counter()
            batch = embedder.collate([records[i] for i in chunk])
            prepared = time.perf_counter()
            rows.update(zip(chunk, embedder.embed(batch)))
            model_s += time.perf_counter() - prepared
            prepare_s += prepared - start
            padded_tokens += batch["attention_mask"].numel()
            real_tokens += int(batch["attention_mask"].sum())
            patches += len(batch["pixel_values"]) if "pixel_values" in batch else 0
        if options.out:
            np.save(options.out, np.stack([rows[i] for i in range(len(records))]))
        answer = dict(prepare_s=prepare_s, model_s=model_s, padding=1 - real_tokens / padded_tokens,
                      real_tokens=real_tokens, patches=patches)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
