"""What the parity suite draws by seed: checkpoints, adapters and records. Everything follows from the random.Random."""
import dataclasses
import json
import pathlib
import random
import sys

import numpy as np
import peft
import torch
from peft.utils.other import get_pattern_key
from PIL import Image
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hub_checkpoints  # noqa: E402
import image_files  # noqa: E402
import qwen_files  # noqa: E402

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen2")
MAX_HIDDEN = 768
VISUAL_TOKEN_AREA = 28 * 28


@dataclasses.dataclass
class Checkpoint:
    folder: pathlib.Path
    spec: dict

    def __str__(self) -> str:
        decoder, _ = self.spec["text"]
        heads, kv_heads = decoder["num_attention_heads"], decoder["num_key_value_heads"]
        vision = self.spec["vision"]
        tower = f", vision {vision['depth']} deep" if vision else ""
        if vision and "window_size" in vision:
            tower += f" window {vision['window_size']} full {vision['fullatt_block_indexes']}"
        return (f"{self.spec['family']}: {decoder['num_hidden_layers']} layers, {heads}/{kv_heads} heads of "
                f"{decoder['hidden_size'] // heads}, {'tied' if self.spec['tied'] else 'untied'}, M-RoPE "
                f"{self.spec['mrope']}{tower}; {self.spec['dtype']}, {self.spec['layout']}, {self.spec['naming']} "
                f"naming, {self.spec['shards']} files")


def split_in_three(rng: random.Random, total: int) -> list[int]:
    first, second = sorted(rng.sample(range(1, total), 2))
    return [first, second - first, total - second]


def draw_decoder(rng: random.Random, tokenizer) -> tuple[dict, float, int]:
    """Decoder keys of config.json, rope_theta, head_dim; at most MAX_HIDDEN wide."""
    while True:
        kv_heads, ratio = rng.choice([1, 2]), rng.choice([1, 2, 4, 6])
        head_dim = rng.choice([16, 24, 32, 64, 80, 128])
        if kv_heads * ratio * head_dim <= MAX_HIDDEN:
            break
    heads, layers = kv_heads * ratio, rng.randint(1, 4)
    decoder = dict(
        vocab_size=qwen_files.vocab_rows(tokenizer) + rng.choice([0, 64]), hidden_size=heads * head_dim,
        intermediate_size=8 * rng.randint(4, 2 * heads * head_dim // 8), num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, rms_norm_eps=rng.choice([1e-6, 1e-5]),
        hidden_act="silu", max_position_embeddings=32768, use_sliding_window=False, sliding_window=32768,
        max_window_layers=layers, bos_token_id=tokenizer.token_to_id("<|endoftext|>"),
        eos_token_id=tokenizer.token_to_id("<|im_end|>"))
    return decoder, rng.choice([1e4, 1e6]), head_dim


def draw_vision(rng: random.Random, family: str, hidden: int, nested: bool) -> dict:
    heads = rng.choice([1, 2, 4])
    width, depth = heads * rng.choice([16, 20, 32]), rng.randint(1, 3)
    common = dict(depth=depth, num_heads=heads, patch_size=14, spatial_merge_size=2, temporal_patch_size=2)
    common["in_channels" if nested or family == "qwen2_vl" and rng.random() < 0.5 else "in_chans"] = 3
    if family == "qwen2_vl":
        return dict(common, embed_dim=width, hidden_size=hidden, mlp_ratio=rng.randint(1, 4))
    return dict(common, hidden_size=width, out_hidden_size=hidden, hidden_act="silu",
                intermediate_size=4 * rng.randint(4, 20), window_size=28 * rng.choice([1, 2, 3, 4]),
                fullatt_block_indexes=sorted(rng.sample(range(depth), rng.randint(0, depth))), tokens_per_second=2)


def draw_checkpoint(rng: random.Random, folder: pathlib.Path, tokenizer, family: str) -> Checkpoint:
    nested = family != "qwen2" and rng.random() < 0.4
    decoder, theta, head_dim = draw_decoder(rng, tokenizer)
    spec = dict(family=family, layout="nested" if nested else "flat", naming=rng.choice(["old", "new", "base"]),
                dtype=rng.choice(["float32", "float32", "bfloat16", "float16"]), shards=rng.choice([1, 1, 2, 3]),
                tied=rng.random() < 0.5, text=(decoder, theta), mrope=None, vision=None,
                token_ids=qwen_files.token_ids(tokenizer))
    if family != "qwen2":
        spec["mrope"] = split_in_three(rng, head_dim // 2)
        spec["vision"] = draw_vision(rng, family, decoder["hidden_size"], nested)
    hub_checkpoints.write_checkpoint(folder, spec, torch.Generator().manual_seed(rng.getrandbits(32)))
    qwen_files.write_tokenizer(folder, tokenizer)
    if family != "qwen2":
        min_tokens = rng.choice([1, 4, 16])
        qwen_files.write_image_processor(folder, qwen_files.preprocessor_config(
            min_tokens * VISUAL_TOKEN_AREA, rng.choice([16, 64, 200]) * VISUAL_TOKEN_AREA, rng.random() < 0.5))
    return Checkpoint(folder, spec)


# --- records ----------------------------------------------------------------------------------------------------------

WORDS = ("the quick ox a retrieval of images query lambda naïve Übermut straße ĳ ǅ Ω œuvre e\u0301 ﬁ x² 10km² 3.14 -7 "
         "don't I'll WE'VE user@host #tag foo_bar C++ <b> {{x}} \\n \"q\" 'q' … — №").split()
SCRIPTS = ["русский текст", "ελληνικά", "日本語の文", "中文检索", "한국어", "\u1112\u1161\u11ab", "العربية", "עברית",
           "हिन्दी में", "ไทย", "தமிழ்", "ქართული", "አማርኛ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "🏳️‍🌈👩‍👩‍👧", "👍🏽", "🇬🇷", "\u200b\u200d\ufeff"]
ODD = ["\t", "\n\n", "  ", "\r\n", "\u00a0", "\u3000", "\u0000", "\u0007\u001b[0m", "\u0085", "\u2028", "<|im_end|>",
       "<|endoftext|>", "<|im_start|>user\n", "<|box_start|>", "<|im_end", "\ud7ff\ue000", "\U0010ffff"]


def draw_text(rng: random.Random) -> str:
    pieces = [rng.choice(rng.choice([WORDS, WORDS, SCRIPTS, ODD])) for _ in range(rng.choice([1, 3, 8, 20, 60]))]
    return "".join(piece + rng.choice([" ", " ", " ", "", "\n"]) for piece in pieces)


def draw_size(rng: random.Random) -> tuple[int, int]:
    """Height and width of a picture: ordinary, a few pixels small, or up to 1:200 wide or tall."""
    kind = rng.choice(["ordinary", "ordinary", "small", "thin"])
    if kind == "ordinary":
        return rng.randint(20, 260), rng.randint(20, 260)
    if kind == "small":
        return rng.randint(1, 12), rng.randint(1, 12)
    short = rng.randint(1, 6)
    sides = [short, rng.randint(20 * short, 200 * short)]
    rng.shuffle(sides)
    return tuple(sides)


def write_image(rng: random.Random, path: pathlib.Path) -> None:
    mode = rng.choice(["RGB", "RGB", "L", "RGBA"])
    generator = np.random.default_rng(rng.getrandbits(32))
    pixels = image_files.picture(generator, *draw_size(rng), len(mode))
    Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels, mode).save(path)


def write_records(rng: random.Random, folder: pathlib.Path, count: int, with_images: bool) -> list[dict]:
    """Writes records.jsonl and the pictures it names; returns the records."""
    records = []
    for number in range(count):
        kind = rng.choice(["text", "image", "both"]) if with_images else "text"
        record = dict(id=f"{rng.choice(['q', '0:', 'é'])}{number}", txt=draw_text(rng) if kind != "image" else None)
        if kind != "text":
            record["img_path"] = f"image {number}.png"
            write_image(rng, folder / record["img_path"])
        records.append(record)
    lines = [json.dumps(record, ensure_ascii=rng.random() < 0.5) + "\n" for record in records]
    (folder / "records.jsonl").write_text("".join(lines), encoding="utf-8")
    return records


# --- adapters ---------------------------------------------------------------------------------------------------------

DECODER_LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
VISION_LINEARS = {"qwen2_vl": ["qkv", "attn.proj", "fc1", "fc2", "mlp.0", "mlp.2"], "qwen2_5_vl": ["qkv", "attn.proj"],
                  "qwen2": []}
PATTERNS = [r"layers\.0\..*", "self_attn.q_proj", "down_proj", r"\w+\.(k|v)_proj", r"blocks\.\d+\.attn\.qkv"]


def draw_targets(rng: random.Random, spec: dict, everything: bool = False) -> list[str] | str:
    """everything: perhaps with the convolution, which the target "proj" selects too, and with the head."""
    family = spec["family"]
    kind = rng.choice(["decoder", "some", "expression", "with vision"])
    if kind == "expression":
        return r".*\.layers\.\d+\.(self_attn\.[qv]_proj|mlp\.up_proj)" if family != "qwen2" else r".*(q|v|down)_proj"
    linears = DECODER_LINEARS if kind == "decoder" else rng.sample(DECODER_LINEARS, rng.randint(1, 5))
    linears = linears + (VISION_LINEARS[family] if kind == "with vision" else [])
    if not everything:
        return linears
    if kind == "with vision" and family != "qwen2":
        linears = [name if name != "attn.proj" else rng.choice(["attn.proj", "proj", "patch_embed.proj"])
                   for name in linears]
    return linears + (["lm_head"] if spec["naming"] != "base" and rng.random() < 0.5 else [])


def respelt(name: str, naming: str) -> str:
    """A module path inside transformers' class with a head, as PEFT files of three ages spell it."""
    if naming == "legacy":
        return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")
    if naming == "base":
        return name.replace("model.language_model.", "language_model.").replace("model.visual.", "visual.")
    return name


def draw_adapter(rng: random.Random, checkpoint: Checkpoint, folder: pathlib.Path,
                 everything: bool = False) -> tuple[peft.PeftModel, str]:
    """A PEFT model in float32 with random A and B, and its files in `folder`; the text describes it."""
    family = checkpoint.spec["family"]
    model = hub_checkpoints.load(checkpoint.folder, checkpoint.spec)
    config = peft.LoraConfig(r=rng.randint(1, 12), lora_alpha=rng.randint(1, 32), use_rslora=rng.random() < 0.5,
                             lora_dropout=0.05, target_modules=draw_targets(rng, checkpoint.spec, everything))
    # Only patterns that fit an adapted module are drawn; which those are, PEFT says.
    adapted = peft.get_peft_model(model, config)
    names = [name.removeprefix("base_model.model.") for name, module in adapted.named_modules()
             if isinstance(module, peft.tuners.lora.LoraLayer)]
    model = adapted.unload()
    patterns = [key for key in PATTERNS if any(get_pattern_key([key], name) == key for name in names)]
    for pattern, highest in ((config.rank_pattern, 9), (config.alpha_pattern, 40)):
        chosen = rng.sample(patterns, min(len(patterns), rng.randint(0, 2)))
        # The first match wins, and PEFT writes its config with sorted keys: in another order a saved adapter would no
        # longer be the one in memory, for PEFT either.
        pattern.update({key: rng.randint(1, highest) for key in sorted(chosen)})
    adapted = peft.get_peft_model(model, config)
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            scale = 0.3 if "lora_B" in name else parameter[0].numel() ** -0.5
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    adapted.save_pretrained(folder)
    naming = "as saved"
    if family != "qwen2" and checkpoint.spec["naming"] != "base":
        naming = rng.choice(["modern", "legacy", "base"])
        file = folder / "adapter_model.safetensors"
        tensors = {respelt(name, naming): tensor for name, tensor in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})
    rslora = " rsLoRA" if config.use_rslora else ""
    about = (f"adapter r {config.r} alpha {config.lora_alpha}{rslora}, {naming} naming, targets "
             f"{config.target_modules}, ranks {config.rank_pattern}, alphas {config.alpha_pattern}")
    return adapted.eval(), about
