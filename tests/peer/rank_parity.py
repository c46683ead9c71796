"""LamRA-Rank's training step against transformers and PEFT, on checkpoints, adapters and queries drawn by seed.

    .venv-peer/bin/python tests/peer/rank_parity.py --configs 9 [--first-seed 1] [--build build/release]

Per configuration, in float32 and without dropout: the token ids of each query's three sequences, which rows are
trained on, the loss, and every LoRA gradient, to 1e-5 of the largest of its half. The reference renders the answered
conversation with apply_chat_template, masks all labels before the answering turn with -100, and takes the mean over all
labels of the causal models' own loss. Ours is tests/support/rank_step.cpp: the encoder, packer and step of `trireme
train`; pictures are shared where the vision tower is frozen. Exit status 1 when a bar is missed.
"""
import argparse
import json
import pathlib
import random
import subprocess

import torch
from PIL import Image
from safetensors.torch import load_file

import drawing
import embedders
import qwen_files
import rerank_messages
import seeds
import train_parity

BAR = 1e-5


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=int, default=9)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--queries", type=int, default=2)
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    return parser.parse_args()


class Sequences:
    """Answered conversations as transformers takes them."""

    def __init__(self, reference: embedders.Reference, model: torch.nn.Module, image_root: pathlib.Path, spacing: str,
                 limit: int):
        self.reference, self.model, self.image_root = reference, model, image_root
        self.spacing, self.limit = spacing, limit
        self.all: list[tuple[dict, torch.Tensor]] = []

    def encode(self, text: str) -> list[int]:
        return self.reference.tokenizer.encode(text, add_special_tokens=False).ids

    def cut(self, item: dict) -> dict:
        ids = self.encode(item["text"])
        text = self.reference.tokenizer.decode(ids[:self.limit], skip_special_tokens=False)
        return dict(text=text if len(ids) > self.limit else item["text"], image=bool(item["image"]))

    def expanded(self, text: str, grids: list[torch.Tensor]) -> list[int]:
        for grid in grids:
            text = text.replace("<|image_pad|>", "<|placeholder|>" * (int(grid.prod()) // 4), 1)
        return self.encode(text.replace("<|placeholder|>", "<|image_pad|>"))

    def add(self, messages: list[dict], items: list[dict], answer: str) -> None:
        pixels = []
        for path in (item["image"] for item in items if item["image"]):
            with Image.open(self.image_root / path) as image:
                pixels.append(self.reference.processor(images=[image], return_tensors="pt"))
        grids = [each["image_grid_thw"][0] for each in pixels]
        template = self.reference.template.apply_chat_template
        prompt = self.expanded(template(messages, tokenize=False, add_generation_prompt=True), grids)
        ids = self.expanded(template(rerank_messages.answered(messages, answer), tokenize=False), grids)
        first_label = len(prompt) - len(self.encode("<|im_start|>assistant\n"))
        labels = torch.tensor([ids])
        labels[:, :first_label] = -100
        inputs = dict(input_ids=torch.tensor([ids]))
        if pixels:
            inputs.update(pixel_values=torch.cat([each["pixel_values"] for each in pixels]),
                          image_grid_thw=torch.stack(grids))
        if self.reference.has_vision:
            inputs["mm_token_type_ids"] = (inputs["input_ids"] == self.reference.image_token).int()
        self.all.append((inputs, labels))

    def add_query(self, request: dict) -> None:
        query, target, negative = (request[name] for name in ("query", "target", "negative"))
        for document, answer in ((target, "Yes"), (negative, "No")):
            messages = rerank_messages.pointwise(self.cut(query), self.cut(document), self.spacing)
            self.add(messages, [query, document], answer)
        number = request["gold_number"]
        candidates = [*request["listed"][:number - 1], target, *request["listed"][number - 1:]]
        messages = rerank_messages.listwise(self.cut(query), [self.cut(each) for each in candidates], self.spacing)
        self.add(messages, [query, *candidates], f"Ans: ({number})")

    def loss(self, oned: bool) -> torch.Tensor:
        nats, count = 0, 0
        for inputs, labels in self.all:
            positions = {}
            if oned and self.reference.has_vision:
                positions = dict(position_ids=torch.arange(labels.shape[1]).expand(3, 1, -1))
            labelled = int((labels[:, 1:] != -100).sum())
            nats = nats + self.model(use_cache=False, labels=labels, **inputs, **positions).loss * labelled
            count += labelled
        return nats / count


def draw_requests(rng: random.Random, folder: pathlib.Path, count: int, with_images: bool) -> list[dict]:
    """Queries with their documents; some documents stand in the pair and in the list."""
    requests, used = [], 0

    def draw_item() -> dict:
        nonlocal used
        used += 1
        kind = rng.choice(["text", "image", "both"]) if with_images else "text"
        item = dict(id=f"d{used}", text=drawing.draw_text(rng) if kind != "image" else "", image="")
        if kind != "text":
            item["image"] = f"{used}.png"
            drawing.write_image(rng, folder / item["image"])
        return item

    for _ in range(count):
        listed = [draw_item() for _ in range(rng.randint(1, 4))]
        negative = rng.choice(listed) if rng.random() < 0.5 else draw_item()
        requests.append(dict(query=draw_item(), target=draw_item(), negative=negative, listed=listed,
                             gold_number=rng.randint(1, len(listed) + 1)))
    return requests


def draw_checkpoint_with_head(rng: random.Random, folder: pathlib.Path, tokenizer, family: str) -> drawing.Checkpoint:
    for attempt in range(100):
        checkpoint = drawing.draw_checkpoint(rng, folder / f"model{attempt}", tokenizer, family)
        if checkpoint.spec["naming"] != "base":
            return checkpoint
    raise AssertionError("no checkpoint with a head was drawn")


def compare(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], sequences: Sequences) -> dict[str, float]:
    ids = torch.cat([inputs["input_ids"][0] for inputs, _ in sequences.all])
    assert torch.equal(ours["tokens"], ids), "the sequences are not the reference's"
    labels = torch.cat([torch.cat([labels[0, 1:], torch.tensor([-100])]) for _, labels in sequences.all])
    rows = (labels != -100).nonzero()[:, 0]
    assert torch.equal(ours["rows"], rows), "the label rows are not the reference's"
    assert torch.equal(ours["label"], labels[rows]), "the labels are not the reference's"
    names = {name for name in theirs if name.startswith("grad.")}
    assert names == {name for name in ours if name.startswith("grad.")}, "not the same train"
    largest = train_parity.largest_by_half(theirs, "grad.")
    found = dict(loss=abs(ours["loss"][0] - theirs["loss"]).item() / abs(theirs["loss"]).item(), grad=0.0)
    for name in names:
        # Where B is zero, A's gradient is, in both.
        scale = largest["lora_A" if "lora_A" in name else "lora_B"] or max(largest.values())
        found["grad"] = max(found["grad"], ((ours[name] - theirs[name]).abs().max() / scale).item())
    return found


def run(seed: int, folder: pathlib.Path, tokenizer, options: argparse.Namespace) -> tuple[dict, str]:
    rng = random.Random(seed)
    family = drawing.FAMILIES[seed % len(drawing.FAMILIES)]
    checkpoint = draw_checkpoint_with_head(rng, folder, tokenizer, family)
    (folder / "images").mkdir()
    requests = draw_requests(rng, folder / "images", options.queries, family != "qwen2")
    (folder / "requests.json").write_text(json.dumps(requests))
    model = train_parity.draw_peft_model(rng, checkpoint)
    model.save_pretrained(folder / "adapter")
    spacing, limit = rng.choice(["master", "single_space"]), rng.choice([6, 256])
    oned = family != "qwen2" and rng.random() < 0.5
    sequences = Sequences(embedders.Reference(checkpoint.folder, model), model, folder / "images", spacing, limit)
    for request in requests:
        sequences.add_query(request)
    command = [options.build / "bin" / "rank_step", checkpoint.folder, folder / "adapter", folder / "requests.json",
               folder / "images", folder / "out.safetensors", f"micro_batch_tokens={rng.choice([1, 700, 8192])}",
               f"spacing={spacing}", f"text_tokens={limit}", f"rope_mode={'oned' if oned else 'mrope'}"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"rank_step left with {done.returncode}: {done.stderr}"
    loss = sequences.loss(oned)
    loss.backward()
    theirs = {f"grad.{train_parity.canonical(name)}": p.grad.clone() for name, p in model.named_parameters()
              if p.requires_grad and p.grad is not None}
    # A tower that saw no picture gets no gradient there, and zeros here.
    ours = load_file(folder / "out.safetensors")
    ours = {name: value for name, value in ours.items()
            if name in theirs or not name.startswith("grad.") or bool(value.any())}
    found = compare(ours, dict(theirs, loss=loss.detach()), sequences)
    return found, f"{checkpoint}; {spacing}, text of {limit}, {'one axis' if oned else 'M-RoPE'}, loss {loss:.3f}"


def main() -> None:
    options = parse_arguments()
    tokenizer = qwen_files.train_tokenizer(300, qwen_files.ANSWER_WORDS)
    seeds.check(options, lambda seed, folder: run(seed, folder, tokenizer, options), {}, BAR)



if __name__ == "__main__":
    main()
