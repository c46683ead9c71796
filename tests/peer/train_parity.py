"""Training steps against transformers, PEFT and torch.optim.AdamW, on checkpoints, adapters and pairs drawn by seed.

    .venv-peer/bin/python tests/peer/train_parity.py --configs 12 [--first-seed 1] [--build build/release]

Per configuration, in float32 and without dropout: the loss of one step (InfoNCE over a few pairs), every LoRA gradient,
and every LoRA matrix after AdamW, to 1e-5 of the largest value of its kind; then the losses of 20 steps, to 1e-4 of the
first. Our
side is tests/support/train_step.cpp, which runs the model as `trireme train` does. A fresh adapter has B = 0, so every
other configuration begins with a random B, where A has a gradient too. Exit status 1 when a bar is missed.
"""
import argparse
import json
import pathlib
import random
import subprocess

import peft
import torch
from safetensors.torch import load_file, save_file

import drawing
import embedders
import hub_checkpoints
import qwen_files
import seeds

STEP_BAR, CURVE_BAR, STEPS, TEMPERATURE, RATE = 1e-5, 1e-4, 20, 0.05, 1e-3
LEAST_GRADIENT = 1e-3  # of the largest


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    options = parser.parse_args()
    return options


class Inputs:
    """The sequences of a batch as transformers takes them, one by one, and packed as we take them."""

    def __init__(self, reference: embedders.Reference, records: list[dict], image_root: pathlib.Path):
        self.each = [reference.inputs(record, image_root) for record in records]
        self.backbone = reference.backbone

    def positions(self, inputs: dict) -> torch.Tensor:
        if "mm_token_type_ids" not in inputs:
            return torch.arange(inputs["input_ids"].shape[1]).expand(3, -1)
        return self.backbone.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"],
                                            inputs.get("image_grid_thw"))[0][:, 0]

    def packed(self, image_token: int | None) -> dict[str, torch.Tensor]:
        tokens = torch.cat([inputs["input_ids"][0] for inputs in self.each])
        lengths = torch.tensor([inputs["input_ids"].shape[1] for inputs in self.each])
        ends = lengths.cumsum(0)
        packed = dict(tokens=tokens, cu_seqlens=torch.cat([torch.zeros(1, dtype=torch.int64), ends]), rows=ends - 1,
                      position_ids=torch.cat([self.positions(inputs) for inputs in self.each], dim=1))
        images = [inputs for inputs in self.each if "pixel_values" in inputs]
        if images:
            packed.update(patches=torch.cat([inputs["pixel_values"] for inputs in images]),
                          grid=torch.cat([inputs["image_grid_thw"] for inputs in images]),
                          image_rows=(tokens == image_token).nonzero()[:, 0])
        return {name: tensor.contiguous() for name, tensor in packed.items()}

    def embed(self) -> torch.Tensor:
        rows = [self.backbone(use_cache=False, **inputs).last_hidden_state[0, -1] for inputs in self.each]
        return torch.nn.functional.normalize(torch.stack(rows), dim=-1)


def info_nce(rows: torch.Tensor) -> torch.Tensor:
    pairs = len(rows) // 2
    return torch.nn.functional.cross_entropy(rows[:pairs] @ rows[pairs:].T / TEMPERATURE, torch.arange(pairs))


def canonical(name: str) -> str:
    """A LoRA parameter of a PEFT model as train_step names it."""
    name = name.removeprefix("base_model.model.").replace(".default", "")
    for new, old in (("model.language_model.", "model."), ("model.visual.", "visual."), ("language_model.", "model.")):
        if name.startswith(new):
            return old + name.removeprefix(new)
    return "model." + name if name.startswith("layers.") else name


def train_with_peft(model: peft.PeftModel, inputs: Inputs) -> dict[str, torch.Tensor]:
    parameters = {canonical(name): p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(parameters.values(), lr=RATE, weight_decay=0.0)
    out, losses = {}, []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = info_nce(inputs.embed())
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            out.update({f"grad.{name}": p.grad.clone() for name, p in parameters.items()})
        optimizer.step()
        if step == 0:
            out.update({f"weight.{name}": p.detach().clone() for name, p in parameters.items()})
    return dict(out, loss=torch.tensor(losses, dtype=torch.float64))


def draw_peft_model(rng: random.Random, checkpoint: drawing.Checkpoint) -> peft.PeftModel:
    """A PEFT model whose LoRA trains; B is zero, or random for every other seed."""
    model = hub_checkpoints.load(checkpoint.folder, checkpoint.spec)
    torch.manual_seed(rng.getrandbits(32))
    adapted = peft.get_peft_model(model, peft.LoraConfig(
        r=rng.randint(1, 12), lora_alpha=rng.randint(1, 32), use_rslora=rng.random() < 0.5, lora_dropout=0.0,
        target_modules=drawing.draw_targets(rng, checkpoint.spec)))
    if rng.random() < 0.5:
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(std=0.1)
    return adapted.train()


def largest_by_half(tensors: dict[str, torch.Tensor], kind: str) -> dict[str, float]:
    """Largest absolute value over all A, and over all B."""
    return {half: max(tensor.abs().max().item() for name, tensor in tensors.items()
                      if name.startswith(kind) and half in name) for half in ("lora_A", "lora_B")}


def after_adamw(weight: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    parameter = torch.nn.Parameter(weight.clone())
    parameter.grad = gradient.clone()
    torch.optim.AdamW([parameter], lr=RATE, weight_decay=0.0).step()
    return parameter.detach()


def compare(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor],
            first: dict[str, torch.Tensor]) -> dict[str, float]:
    """Differences over the largest value of their kind: of the loss, the gradients, the weights, the curve.

    AdamW's first update is near lr times the gradient's sign: where a gradient is next to nothing, rounding decides. So
    every weight is held to torch.optim.AdamW with our gradient, and to PEFT's weight where its gradient is not tiny.
    """
    names = {name.removeprefix("grad.") for name in theirs if name.startswith("grad.")}
    assert names == {name.removeprefix("grad.") for name in ours if name.startswith("grad.")}, "not the same train"
    gradients, weights = largest_by_half(theirs, "grad."), largest_by_half(theirs, "weight.")
    found = dict(loss=abs(ours["loss"][0] - theirs["loss"][0]).item() / abs(theirs["loss"][0]).item(), grad=0.0,
                 weight=0.0)
    compared = elements = 0
    for name in names:
        half = "lora_A" if "lora_A" in name else "lora_B"
        gradient, weight = theirs[f"grad.{name}"], ours[f"weight.{name}"]
        # Where B is zero, A's gradient is, in both.
        scale = gradients[half] or max(gradients.values())
        found["grad"] = max(found["grad"], ((ours[f"grad.{name}"] - gradient).abs().max() / scale).item())
        certain = (gradient.abs() > LEAST_GRADIENT * scale) | (gradient == 0)
        to_peft = ((weight - theirs[f"weight.{name}"]).abs() * certain).max()
        to_adamw = (weight - after_adamw(first[name], ours[f"grad.{name}"])).abs().max()
        found["weight"] = max(found["weight"], (torch.maximum(to_peft, to_adamw) / weights[half]).item())
        compared, elements = compared + int(certain.sum()), elements + certain.numel()
    assert compared > 0.5 * elements, f"only {compared} of {elements} weights were compared"
    found["curve"] = ((ours["loss"] - theirs["loss"]).abs().max() / theirs["loss"].abs().max()).item()
    return found


def run(seed: int, folder: pathlib.Path, tokenizers: list, options: argparse.Namespace) -> tuple[dict, str]:
    rng = random.Random(seed)
    family = drawing.FAMILIES[seed % len(drawing.FAMILIES)]
    checkpoint = drawing.draw_checkpoint(rng, folder / "model", rng.choice(tokenizers), family)
    (folder / "data").mkdir()
    records = drawing.write_records(rng, folder / "data", 2 * options.pairs, family != "qwen2")
    model = draw_peft_model(rng, checkpoint)
    model.save_pretrained(folder / "adapter")
    inputs = Inputs(embedders.Reference(checkpoint.folder, model), records, folder / "data")
    save_file(inputs.packed(checkpoint.spec["token_ids"]["image_token_id"]), folder / "batch.safetensors")
    command = [options.build / "bin" / "train_step", folder / "model", folder / "adapter", folder / "batch.safetensors",
               folder / "out.safetensors", f"steps={STEPS}", f"lr={RATE}", f"temperature={TEMPERATURE}"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"train_step left with {done.returncode}: {done.stderr}"
    first = {canonical(name): p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    found = compare(load_file(folder / "out.safetensors"), train_with_peft(model, inputs), first)
    losses = json.loads(done.stdout)["loss"]
    return found, f"{checkpoint}; loss at the end {losses:.4f}"


def main() -> None:
    options = parse_arguments()
    tokenizers = [qwen_files.train_tokenizer(300)]
    seeds.check(options, lambda seed, folder: run(seed, folder, tokenizers, options), dict(curve=CURVE_BAR), STEP_BAR)



if __name__ == "__main__":
    main()
