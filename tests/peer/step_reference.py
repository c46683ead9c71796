"""transformers + PEFT's side of tests/peer/step_bench.py: LamRA's training step on one fixed batch.

    .venv-peer/bin/python tests/peer/step_reference.py --checkpoint DIR --records FILE --dtype float32 \\
        --adapter float32

The first half of the records are queries, the others their candidates; all are one padded batch. LoRA r = 16,
alpha = 32, dropout 0.05 on the decoder's linears, the rest frozen; InfoNCE at temperature 0.05, gradients clipped
at 1, torch.optim.AdamW. --adapter bfloat16 casts the LoRA matrices to the model's dtype; PEFT leaves them in
float32. Loads and collates, prints one JSON line about the batch, then takes one step for each line on stdin and
answers with one JSON line. Padding side and attention kernel are transformers' defaults.
"""
import argparse
import json
import pathlib
import resource
import sys
import time

import peft
import torch
import transformers
from PIL import Image

import embedders

TARGETS = r".*language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
TEMPERATURE = 0.05


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    parser.add_argument("--records", type=pathlib.Path, required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--adapter", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def load_model(options: argparse.Namespace) -> torch.nn.Module:
    torch.manual_seed(0)
    base = transformers.AutoModel.from_pretrained(options.checkpoint, dtype=getattr(torch, options.dtype))
    lora = peft.LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, bias="none", target_modules=TARGETS)
    return peft.get_peft_model(base, lora, autocast_adapter_dtype=options.adapter == "float32").train()


def collate(options: argparse.Namespace, records: list[dict]):
    processor = transformers.AutoProcessor.from_pretrained(options.checkpoint)
    prompts = [processor.tokenizer.apply_chat_template(embedders.messages_for(record), tokenize=False,
                                                       add_generation_prompt=True) for record in records]
    images = [Image.open(options.records.parent / record["img_path"]).convert("RGB") for record in records
              if record.get("img_path")]
    return processor(text=prompts, images=images or None, padding=True, padding_side="left", return_tensors="pt")


def info_nce(rows: torch.Tensor) -> torch.Tensor:
    pairs = len(rows) // 2
    return torch.nn.functional.cross_entropy(rows[:pairs] @ rows[pairs:].T / TEMPERATURE, torch.arange(pairs))


def main() -> None:
    options = parse_arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    model = load_model(options)
    batch = collate(options, embedders.read_records(options.records))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.0)
    tokens = int(batch["attention_mask"].sum())
    about = dict(tokens=tokens, padding=1 - tokens / batch["attention_mask"].numel(),
                 trainable=sum(parameter.numel() for parameter in parameters))
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        last = model(**batch, use_cache=False).last_hidden_state[:, -1].float()
        loss = info_nce(torch.nn.functional.normalize(last, dim=-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step_s = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps(dict(step_s=step_s, loss=loss.item(), peak_mib=peak)), flush=True)


if __name__ == "__main__":
    main()
