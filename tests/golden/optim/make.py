"""Writes optimizers.safetensors and schedules.tsv beside this file.

Needs torch and transformers (made with torch 2.11, transformers 5.23). Run: python tests/golden/optim/make.py
  optimizers.safetensors  CASE.{start,end}.NAME: weights before and after 20 steps; CASE.gradients.NAME [20, ..]: what
                          each step was given; CASE.norms [20]: what clip_grad_norm_ returned.
  schedules.tsv           kind, warm-up steps, total steps, min_ratio, step, factor
"""
import pathlib

import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
STEPS = 20
SHAPES = {"model.a.weight": (4, 3), "model.a.bias": (4,), "visual.b.weight": (3, 2, 2), "logit_scale": ()}


def make_case(name, make_optimizer, dtype, clip):
    generator = torch.Generator().manual_seed(len(name))
    parameters = {key: torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype))
                  for key, shape in SHAPES.items()}
    tensors = {f"{name}.start.{key}": value.detach().clone() for key, value in parameters.items()}
    decays = [value for value in parameters.values() if value.dim() >= 2]
    others = [value for value in parameters.values() if value.dim() < 2]
    optimizer = make_optimizer(decays, others)
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, 3, STEPS)
    gradients = {key: [] for key in SHAPES}
    norms = []
    for step in range(STEPS):
        for key, value in parameters.items():
            # Small and large ones, so that clipping is on in some steps and off in others.
            value.grad = (torch.randn(value.shape, generator=generator) * 10.0 ** (step % 4 - 2)).to(dtype)
            gradients[key].append(value.grad.clone())
        if clip is not None:
            norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), clip))
        optimizer.step()
        schedule.step()
    tensors |= {f"{name}.end.{key}": value.detach() for key, value in parameters.items()}
    tensors |= {f"{name}.gradients.{key}": torch.stack(value) for key, value in gradients.items()}
    if norms:
        tensors[f"{name}.norms"] = torch.stack(norms)
    return tensors


def adamw(weight_decay):
    return lambda decays, others: torch.optim.AdamW(
        [{"params": decays, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=1e-2, betas=(0.9, 0.99), eps=1e-8, foreach=False)


def sgd(nesterov):
    return lambda decays, others: torch.optim.SGD(
        [{"params": decays, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=1e-2, momentum=0.9, nesterov=nesterov, foreach=False)


def factors(schedule_of, total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    schedule = schedule_of(optimizer)
    values = []
    for _ in range(total):
        values.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return values


def main():
    tensors = {}
    for dtype, suffix in ((torch.float32, "f32"), (torch.float64, "f64")):
        tensors |= make_case(f"adamw_{suffix}", adamw(0.0), dtype, None)
        tensors |= make_case(f"adamw_decay_clip_{suffix}", adamw(0.1), dtype, 1.0)
        tensors |= make_case(f"sgd_clip_{suffix}", sgd(False), dtype, 1.0)
        tensors |= make_case(f"sgd_nesterov_{suffix}", sgd(True), dtype, None)
    save_file({key: value.contiguous() for key, value in tensors.items()}, HERE / "optimizers.safetensors")

    rows = []
    for warmup, total in ((0, 7), (3, 20), (1, 1), (10, 10)):
        cases = {("constant", 0.0): lambda o: transformers.get_constant_schedule_with_warmup(o, warmup),
                 ("linear", 0.0): lambda o: transformers.get_linear_schedule_with_warmup(o, warmup, total),
                 ("cosine", 0.0): lambda o: transformers.get_cosine_schedule_with_warmup(o, warmup, total),
                 ("cosine", 0.1): lambda o: transformers.get_cosine_with_min_lr_schedule_with_warmup(
                     o, warmup, total, min_lr_rate=0.1)}
        for (kind, min_ratio), schedule_of in cases.items():
            for step, factor in enumerate(factors(schedule_of, total)):
                rows.append(f"{kind}\t{warmup}\t{total}\t{min_ratio}\t{step}\t{factor!r}\n")
    (HERE / "schedules.tsv").write_text("".join(rows))


if __name__ == "__main__":
    main()
