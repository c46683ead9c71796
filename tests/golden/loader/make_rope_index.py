"""Writes rope_index.json: position ids of transformers' Qwen2-VL for random sequences of text and images.

    python make_rope_index.py > rope_index.json          (transformers 5)
"""
import json
import random

import torch
from transformers import Qwen2VLConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

IMAGE, START, END = 90, 91, 92
config = Qwen2VLConfig(
    text_config=dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                     vocab_size=100, rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[1, 1, 2])),
    vision_config=dict(depth=1, embed_dim=16, hidden_size=16, num_heads=2), image_token_id=IMAGE, video_token_id=93,
    vision_start_token_id=START, vision_end_token_id=END)
model = Qwen2VLModel(config)

rng = random.Random(3)
cases = []
for _ in range(24):
    tokens, grids = [rng.randrange(80) for _ in range(rng.randrange(1, 5))], []
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        h, w = rng.choice([2, 4, 6, 10]), rng.choice([2, 4, 8, 14])
        grids.append([1, h, w])
        tokens += [START] + [IMAGE] * (h * w // 4) + [END] + [rng.randrange(80) for _ in range(rng.randrange(0, 4))]
    ids = torch.tensor([tokens])
    types = (ids == IMAGE).int()
    positions, _ = model.get_rope_index(ids, mm_token_type_ids=types,
                                        image_grid_thw=torch.tensor(grids) if grids else None,
                                        attention_mask=torch.ones_like(ids))
    cases.append(dict(tokens=tokens, grids=grids, positions=positions[:, 0].tolist()))
print(json.dumps(dict(image_token_id=IMAGE, cases=cases), separators=(",", ":")))
