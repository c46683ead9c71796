#!/usr/bin/env python3
"""Makes lamra_released.safetensors: LamRA's contrastive loss as its released code trains with it, in float64.

What is reproduced (SimCSE-style loss of LamRA-Ret, arXiv:2412.01720, sec. 3.3): every rank gathers the embeddings of all
ranks without gradient, puts its own live rows back in their place, and evaluates the whole loss, cosine similarity over
0.05, queries to candidates; with hard negatives, their columns are appended. Gradients are then averaged over the ranks,
as data-parallel training does. Ranks are simulated one after the other in this process.

Run: python make.py   (torch, safetensors)
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

RANKS, PAIRS, WIDTH, TEMPERATURE = 4, 3, 5, 0.05


def whole_loss(query, candidate, hard_negative):
    columns = candidate if hard_negative is None else torch.cat([candidate, hard_negative])
    scores = F.cosine_similarity(query[:, None], columns[None], dim=-1) / TEMPERATURE
    return F.cross_entropy(scores, torch.arange(len(query)))


def data_parallel_gradients(sides):
    """For each side, the gradient of its rows as the ranks' mean."""
    gradients = [torch.zeros_like(side) for side in sides]
    losses = []
    for rank in range(RANKS):
        mine = slice(rank * PAIRS, (rank + 1) * PAIRS)
        live = [side[mine].clone().requires_grad_() for side in sides]
        whole = [torch.cat([side[: mine.start], rows, side[mine.stop :]]) for side, rows in zip(sides, live)]
        loss = whole_loss(*(whole if len(whole) == 3 else [*whole, None]))
        loss.backward()
        losses.append(loss.detach())
        for gradient, rows in zip(gradients, live):
            gradient[mine] = rows.grad / RANKS
    assert all(torch.equal(loss, losses[0]) for loss in losses)
    return losses[0], gradients


def main():
    generator = torch.Generator().manual_seed(2412)
    names = ["query", "candidate", "hard_negative"]
    sides = [torch.randn(RANKS * PAIRS, WIDTH, generator=generator, dtype=torch.float64) for _ in names]
    out = dict(zip(names, sides))
    for name, used in (("pairs", 2), ("hard", 3)):
        loss, gradients = data_parallel_gradients(sides[:used])
        out[f"{name}.loss"] = loss
        for side, gradient in zip(names, gradients):
            out[f"{name}.{side}_gradient"] = gradient
    save_file(out, pathlib.Path(__file__).parent / "lamra_released.safetensors")


if __name__ == "__main__":
    main()
