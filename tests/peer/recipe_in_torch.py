"""A training config of Pictograms, run by transformers and PEFT for a given time: the same recipe in PyTorch.

    python tests/peer/recipe_in_torch.py experiments/pictograms/base.yaml --seconds 150 --out OUT \
        [--set data.root=data/pictograms model.path=DIR ..]

Reads of our config what the recipe is: sources, weights and groups, batch size, prompts, augmentation, temperature,
direction, LoRA, optimiser; no concept comes twice in a batch; the cosine runs over the given seconds, not over steps.
Pictures are decoded once and kept, augmented a batch at a time by torch's affine_grid; batches are padded, as
transformers wants them; bfloat16 by autocast. Writes a merged checkpoint that `trireme eval` reads, and prints one JSON
line.
"""
import argparse
import json
import math
import pathlib
import random
import time

import peft
import torch
import torch.nn.functional as F
import transformers
import yaml
from PIL import Image
from tokenizers import Tokenizer
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
SIDE, PATCH, MERGE = 56, 14, 2
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
END = "<|im_end|>\n<|im_start|>assistant\n"
ENDINGS = {(True, False): "\nSummarize above sentence in one word: ",
           (False, True): "\nSummarize above image in one word: ",
           (True, True): "\nSummarize above image and sentence in one word: "}


def read_lines(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def format_string(text: str) -> str:
    text = (text or "").replace("\r", "").strip().strip('"')
    if text:
        text = text[0].upper() + text[1:]
        text += "" if text[-1] in ".?!" else "."
    return text


class Pictures:
    """Decoded pictures on white, [3, 64, 64], by path."""

    def __init__(self, root: pathlib.Path):
        self.root, self.kept = root, {}

    def __getitem__(self, path: str) -> torch.Tensor:
        if path not in self.kept:
            with Image.open(self.root / path) as image:
                rgba = image.convert("RGBA")
                white = Image.new("RGBA", rgba.size, "white")
                rgb = Image.alpha_composite(white, rgba).convert("RGB").resize((64, 64), Image.BICUBIC)
            pixels = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
            self.kept[path] = pixels.view(64, 64, 3).permute(2, 0, 1)
        return self.kept[path]


def uniform(n: int, limit: float) -> torch.Tensor:
    return (2 * torch.rand(n) - 1) * limit


def augmented(pictures: torch.Tensor, how: dict) -> torch.Tensor:
    """[N, 3, 64, 64] uint8 -> [N, 3, 56, 56] in 0..1: one affine map over white, resizing included; colour; grey."""
    n = len(pictures)
    angle = uniform(n, how.get("rotate_degrees", 0)) * math.pi / 180
    scale, aspect = uniform(n, how.get("scale", 0)), uniform(n, how.get("aspect", 0))
    x, y = torch.exp(scale + aspect / 2), torch.exp(scale - aspect / 2)
    shift = [uniform(n, how.get("shift", 0)) * 2 for _ in range(2)]
    cosine, sine = torch.cos(angle), torch.sin(angle)
    theta = torch.stack([torch.stack([cosine / x, sine / x, shift[0]], 1),
                         torch.stack([-sine / y, cosine / y, shift[1]], 1)], 1)
    grid = F.affine_grid(theta, [n, 3, SIDE, SIDE], align_corners=False)
    out = 1 + F.grid_sample(pictures / 255 - 1, grid, align_corners=False)
    brightness, contrast, saturation = (1 + uniform(n, how.get("colour", 0)).view(n, 1, 1, 1) for _ in range(3))
    saturation = torch.where(torch.rand(n, 1, 1, 1) < how.get("grey", 0), torch.zeros(()), saturation)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    out = out * brightness
    mean = (out * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    out = mean + contrast * (out - mean)
    grey = (out * weights).sum(1, keepdim=True)
    return (grey + saturation * (out - grey)).clamp(0, 1)


def patches_of(pictures: torch.Tensor) -> torch.Tensor:
    """[N, 3, 56, 56] -> [16 N, 3 * 2 * 14 * 14] in the processor's order."""
    n, half = len(pictures), SIDE // PATCH // MERGE
    x = ((pictures - MEAN) / STD).view(n, 3, half, MERGE, PATCH, half, MERGE, PATCH)
    x = x.permute(0, 2, 5, 3, 6, 1, 4, 7)  # half, half, merge, merge, channel, patch, patch
    x = x.unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, 2, -1, -1)
    return x.reshape(n * (SIDE // PATCH) ** 2, -1)


class Source:
    """Pairs of one source, by group; draw() gives (query text, query picture, target text, target picture, concept)."""

    def __init__(self, config: dict, root: pathlib.Path):
        self.config, self.groups = config, {}
        lines = [line for file in config["files"] for line in read_lines(root / file)]
        kind = config.get("kind", "mbeir")
        if kind == "mbeir":
            self.pool = {line["did"]: line for line in read_lines(root / config["pool"])}
            self.prompts = {}
            if config.get("instruction_choice") != "none":
                rows = (root / config["instructions"]).read_text().splitlines()[1:]
                self.prompts = {tuple(row.split("\t")[:2]): row.split("\t")[4:] for row in rows}
            wanted = config.get("tasks") or [0, 1, 2, 3, 4, 6, 7, 8]
            lines = [line for line in lines if line["task_id"] in wanted]
        for line in lines:
            self.groups.setdefault(f"task{line['task_id']}" if kind == "mbeir" else kind, []).append(line)
        shares = config.get("group_weights") or {name: len(group) for name, group in self.groups.items()}
        total = sum(shares.values())
        self.weights = {name: config.get("weight", 1) * shares[name] / total for name in self.groups}

    def draw(self, group: str) -> tuple:
        line = random.choice(self.groups[group])
        if group == "pairs":
            return line["anchor"], None, line["positive"], None, line.get("concept", line["positive"])
        if group == "views":
            return "", line["img_path"], "", line["img_path"], line["concept"]
        target = self.pool[random.choice(line["pos_cand_list"])]
        text = line["query_txt"] or ""
        if self.prompts:
            prompt = random.choice(self.prompts[line["query_modality"], target["modality"]])
            text = f"{format_string(prompt)} {text}"
        return (format_string(text), line["query_img_path"], format_string(target["txt"]), target["img_path"],
                line["concept"])


class Batches:
    def __init__(self, data: dict, tokenizer: Tokenizer, root: pathlib.Path):
        self.data, self.tokenizer = data, tokenizer
        self.pictures = Pictures(root)
        self.sources = [Source(source, root) for source in data["sources"]]
        self.choices = [(s, group, weight) for s in self.sources for group, weight in s.weights.items()]

    def choose(self) -> tuple:
        return random.choices(self.choices, weights=[weight for _, _, weight in self.choices])[0][:2]

    def pairs(self) -> list[tuple]:
        sampler, out, seen = self.data["sampler"], [], set()
        one_group = sampler.get("batch_from") == "one_group"
        source, group = self.choose()
        for _ in range(20 * sampler["pairs_global"]):
            if not one_group:
                source, group = self.choose()
            pair = source.draw(group)
            if pair[-1] not in seen:
                seen.add(pair[-1])
                out.append(pair)
            if len(out) == sampler["pairs_global"]:
                break
        return out

    def tokens(self, text: str, picture) -> list[int]:
        pads = "<|image_pad|>" * (SIDE // PATCH // MERGE) ** 2
        image = f"<|vision_start|>{pads}<|vision_end|>" if picture else ""
        if self.data["prompt"] == "bare":
            prompt = image + text + END
        else:
            prompt = SYSTEM + image + text + ENDINGS[bool(text), bool(picture)] + END
        return self.tokenizer.encode(prompt, add_special_tokens=False).ids

    def inputs(self, pairs: list[tuple]) -> tuple[dict, torch.Tensor]:
        records = [pair[:2] for pair in pairs] + [pair[2:4] for pair in pairs]
        ids = [self.tokens(*record) for record in records]
        lengths = torch.tensor([len(row) for row in ids])
        padded = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
        for row, tokens in enumerate(ids):
            padded[row, :len(tokens)] = torch.tensor(tokens)
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
        out = dict(input_ids=padded, attention_mask=mask)
        shown = [picture for _, picture in records if picture]
        if shown:
            pictures = augmented(torch.stack([self.pictures[path] for path in shown]), self.data.get("augment", {}))
            out["pixel_values"] = patches_of(pictures)
            out["image_grid_thw"] = torch.tensor([[1, SIDE // PATCH, SIDE // PATCH]] * len(shown))
        out["mm_token_type_ids"] = (padded == self.tokenizer.token_to_id("<|image_pad|>")).int()
        return out, lengths - 1


def random_model(folder: pathlib.Path, embedding_std: float = 0.02) -> torch.nn.Module:
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig.from_pretrained(folder))
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if name.endswith(".bias"):
                tensor.zero_()
            elif tensor.dim() == 1:
                tensor.fill_(1)
            else:
                width = model.config.text_config.hidden_size
                tensor.normal_(0, embedding_std if "embed_tokens" in name else width**-0.5)
    return model


def contrastive_loss(embeddings: torch.Tensor, loss: dict) -> torch.Tensor:
    queries, targets = F.normalize(embeddings.float(), dim=-1).chunk(2)
    scores = queries @ targets.T / loss["temperature"]
    rows = torch.arange(len(queries))
    value = F.cross_entropy(scores, rows)
    if loss.get("direction") == "symmetric":
        value = (value + F.cross_entropy(scores.T, rows)) / 2
    return value


def override(config: dict, assignment: str) -> None:
    path, value = assignment.split("=", 1)
    *sections, key = path.split(".")
    for section in sections:
        config = config.setdefault(section, {})
    config[key] = yaml.safe_load(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, required=True, help="of training; model and data are read before")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], metavar="section.key=value")
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text())
    for assignment in arguments.set:
        override(config, assignment)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(config["seed"])
    random.seed(config["seed"])

    data, optim, folder = config["data"], config["optim"], pathlib.Path(config["model"]["path"])
    batches = Batches(data, Tokenizer.from_file(str(folder / "tokenizer.json")), pathlib.Path(data["root"]))
    fresh = config["model"].get("init") == "random"
    model = (random_model(folder) if fresh else
             Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32))
    if "lora" in config:
        model = peft.get_peft_model(model, peft.LoraConfig(
            r=config["lora"]["rank"], lora_alpha=config["lora"]["alpha"], lora_dropout=config["lora"]["dropout"],
            target_modules=r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"))
    model.train()
    trained = [tensor for tensor in model.parameters() if tensor.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=optim["peak_lr"], weight_decay=optim.get("weight_decay", 0), fused=True,
                                  betas=(optim.get("beta1", 0.9), optim.get("beta2", 0.999)))
    backbone = (model.get_base_model() if "lora" in config else model).model
    warmup, floor = config["schedule"]["warmup_ratio"], config["schedule"]["min_ratio"]

    steps, pairs, begin = 0, 0, time.monotonic()
    while (done := (time.monotonic() - begin) / arguments.seconds) < 1:
        factor = done / warmup if done < warmup else (
            floor + (1 - floor) * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))) / 2)
        for group in optimizer.param_groups:
            group["lr"] = optim["peak_lr"] * max(factor, 1e-3)
        drawn = batches.pairs()
        inputs, last = batches.inputs(drawn)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = backbone(**inputs, use_cache=False).last_hidden_state
        loss = contrastive_loss(hidden[torch.arange(len(last)), last], config["loss"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, optim.get("clip_norm", 1.0))
        optimizer.step()
        optimizer.zero_grad()
        steps, pairs = steps + 1, pairs + len(drawn)
    seconds = time.monotonic() - begin

    merged = model.merge_and_unload() if "lora" in config else model
    merged.save_pretrained(arguments.out)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (arguments.out / name).write_bytes((folder / name).read_bytes())
    print(json.dumps(dict(config=str(arguments.config), steps=steps, pairs=pairs, seconds=round(seconds, 1),
                          pairs_per_s=round(pairs / seconds, 1), last_loss=round(loss.item(), 4))))


if __name__ == "__main__":
    main()
