"""The benchmark's checkpoint (22 M parameters in the decoder, 5 M in the vision tower) and records, made by seed."""
import json
import math
import pathlib
import random

import numpy as np
import torch
from PIL import Image

import drawing  # noqa: F401 - puts tests/support on the path
import hub_checkpoints
import qwen_files

MERGES = 6144
TEXT_TOKENS = (8, 120)
MAX_VISUAL_TOKENS = 64
HIDDEN, LAYERS, HEADS, KV_HEADS, FFN = 384, 8, 6, 2, 2048
VISION = dict(depth=6, embed_dim=256, num_heads=4, mlp_ratio=4, in_chans=3, hidden_size=HIDDEN, patch_size=14,
              spatial_merge_size=2, spatial_patch_size=14, temporal_patch_size=2)


def write_checkpoint(folder: pathlib.Path, further_words: str = "") -> None:
    """further_words: words beside the prompts' that are to be single tokens."""
    tokenizer = qwen_files.train_tokenizer(MERGES, further_words)
    decoder = dict(vocab_size=qwen_files.vocab_rows(tokenizer), hidden_size=HIDDEN, intermediate_size=FFN,
                   num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, rms_norm_eps=1e-6,
                   hidden_act="silu", max_position_embeddings=32768, use_sliding_window=False, sliding_window=32768,
                   max_window_layers=LAYERS, bos_token_id=tokenizer.token_to_id("<|endoftext|>"),
                   eos_token_id=tokenizer.token_to_id("<|im_end|>"))
    spec = dict(family="qwen2_vl", layout="flat", naming="old", dtype="float32", shards=1, tied=True,
                text=(decoder, 1e6), mrope=[8, 12, 12], vision=VISION, token_ids=qwen_files.token_ids(tokenizer))
    hub_checkpoints.write_checkpoint(folder, spec, torch.Generator().manual_seed(0))
    qwen_files.write_tokenizer(folder, tokenizer)
    area = 28 * 28
    qwen_files.write_image_processor(folder, qwen_files.preprocessor_config(4 * area, MAX_VISUAL_TOKENS * area, False))


def gemm_flop(tokens: int, patches: int) -> float:
    """Multiplications and additions of the linear layers, of what is not padding; attention's products are left out."""
    kv = HIDDEN // HEADS * KV_HEADS
    decoder = LAYERS * (HIDDEN * (HIDDEN + 2 * kv) + HIDDEN * HIDDEN + 3 * HIDDEN * FFN)
    width, ratio = VISION["embed_dim"], VISION["mlp_ratio"]
    tower = VISION["in_chans"] * 2 * 14 * 14 * width + VISION["depth"] * (4 + 2 * ratio) * width * width
    merger = 4 * width * (4 * width + HIDDEN)
    return 2.0 * (tokens * decoder + patches * tower + patches // 4 * merger)


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def draw_sentence(rng: random.Random, words: list[str]) -> str:
    """8 to 120 tokens, log-uniform: words that are one token each, and a full stop."""
    count = round(log_uniform(rng, *TEXT_TOKENS))
    return " ".join(rng.choice(words) for _ in range(count - 1)) + "."


def write_picture(rng: random.Random, path: pathlib.Path) -> None:
    """A PNG worth a quarter to four thirds of the visual token limit, log-uniform, 1:2 to 2:1."""
    area = 28 * 28 * log_uniform(rng, MAX_VISUAL_TOKENS / 4, MAX_VISUAL_TOKENS * 4 / 3)
    aspect = log_uniform(rng, 0.5, 2.0)
    height, width = max(28, round(math.sqrt(area * aspect))), max(28, round(math.sqrt(area / aspect)))
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    planes = [127 + 90 * np.sin(rng.uniform(2, 12) * x + rng.uniform(2, 12) * y + rng.uniform(0, 6)) +
              37 * np.sin(rng.uniform(10, 40) * x * y) for _ in range(3)]
    pixels = np.stack(planes, axis=-1)
    for _ in range(6):
        top, left = rng.randrange(height), rng.randrange(width)
        pixels[top:top + height // 4, left:left + width // 4] = [rng.randrange(256) for _ in range(3)]
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def words_of(checkpoint: pathlib.Path) -> list[str]:
    """English words that are one token each behind a blank."""
    vocabulary = json.loads((checkpoint / "tokenizer.json").read_text())["model"]["vocab"]
    return sorted(token[1:] for token in vocabulary if token[0] == "Ġ" and token[1:].isascii() and
                  token[1:].isalpha() and token[1:].islower() and len(token) > 2)


def write_records(folder: pathlib.Path, count: int, checkpoint: pathlib.Path, seed: int = 1) -> pathlib.Path:
    """A third each of text, image, and image with text, in mixed order."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    words = words_of(checkpoint)
    lines = []
    for number in range(count):
        kind = ("text", "image", "both")[number % 3]
        record = dict(id=f"0:{number}")
        if kind != "image":
            record["txt"] = draw_sentence(rng, words)
        if kind != "text":
            record["img_path"] = f"{number}.png"
            write_picture(rng, folder / record["img_path"])
        lines.append(json.dumps(record) + "\n")
    rng.shuffle(lines)
    path = folder / "records.jsonl"
    path.write_text("".join(lines))
    return path
