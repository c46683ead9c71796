"""Tiny random checkpoints in every layout that the reader knows, and what transformers and PEFT compute from them.

    python tests/golden/checkpoints/make.py   # rewrites this folder; torch, transformers 5, peft, safetensors

Every expected value comes from the written files, loaded by transformers in float32 (whatever the file's dtype) and
run one sequence at a time, so nothing here is padded. Layout:
    NAME/                         a hub folder: config.json, model*.safetensors
    cases/NAME.CASE.safetensors   one prompt:
        input_ids            [L] int64
        position_ids         [3, L] int64, M-RoPE as transformers numbers it (three equal rows for text-only models)
        patches              [P, C*2*patch*patch] float16 (cast to float32: exact); absent without an image
        grid                 [I, 3] int64: time, height, width in patches; absent without an image
        expected.vision      [P/4, D] float32: the merger's output, rows in the order of the patches
        expected.hidden      [L, D] float32: after the final norm
        expected.embedding   [D] float32: the last row, L2-normalised
        expected.embedding_oned  [D]: the same with positions 0..L-1 on all three axes
    adapters/NAME/                a PEFT adapter; adapter_config.json's base_model_name_or_path names the checkpoint
    adapters/NAME.expected.safetensors   CASE -> [D] float32: expected.embedding with the adapter
    adapters/NAME.logits.safetensors     of qwen2_vl_proj, CASE -> [V] float32: the last row's scores with the adapter
    tied_head.json                what tie_word_embeddings says in the root and in text_config of qwen2_vl_hub's
                                  config.json ("-": the key is not there; no text_config: flat), what of embeddings and
                                  head lies in the files, and what transformers makes of it: the head "tied", "own",
                                  "missing" (drawn at random) or "refused"
    peft_matching.json            adapter_config.json fields, module paths, and what PEFT's own functions make of them
"""
import json
import os
import pathlib
import random
import shutil
import sys
import warnings

os.environ.update(CUBLAS_WORKSPACE_CONFIG=":4096:8", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false")
warnings.filterwarnings("ignore")

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))
from hub_checkpoints import load, write_checkpoint  # noqa: E402

VOCAB, VISION_START, VISION_END, IMAGE, VIDEO = 64, 60, 61, 62, 63
TOKEN_IDS = dict(vision_start_token_id=VISION_START, vision_end_token_id=VISION_END, image_token_id=IMAGE,
                 video_token_id=VIDEO)


def text(hidden, heads, kv_heads, ffn, layers=2, eps=1e-6, theta=1e6):
    return dict(vocab_size=VOCAB, hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers,
                num_attention_heads=heads, num_key_value_heads=kv_heads, rms_norm_eps=eps, hidden_act="silu",
                max_position_embeddings=32768, use_sliding_window=False, sliding_window=32768,
                max_window_layers=layers, bos_token_id=56, eos_token_id=57), theta


# family, config layout (flat: as the hub has it; nested: as transformers 5 writes it), tensor naming, dtype of the
# file, shards, tied head, decoder, M-RoPE sections, vision tower. Query heads per K/V head: 2, 6, 1, 4, 3, 2.
CHECKPOINTS = dict(
    qwen2_vl_hub=dict(
        family="qwen2_vl", layout="flat", naming="old", dtype="float32", shards=1, tied=True,
        text=text(hidden=32, heads=2, kv_heads=1, ffn=48), mrope=[2, 3, 3],
        vision=dict(depth=2, embed_dim=16, mlp_ratio=2, num_heads=1, in_chans=3, hidden_size=32, patch_size=14,
                    spatial_merge_size=2, spatial_patch_size=14, temporal_patch_size=2)),
    qwen2_vl_new=dict(
        family="qwen2_vl", layout="nested", naming="new", dtype="bfloat16", shards=3, tied=False,
        text=text(hidden=48, heads=6, kv_heads=1, ffn=64, eps=1e-5, theta=1e4), mrope=[2, 1, 1],
        vision=dict(depth=1, embed_dim=48, mlp_ratio=4, num_heads=2, in_channels=3, hidden_size=48, patch_size=4,
                    hidden_act="quick_gelu", spatial_merge_size=2, temporal_patch_size=2)),
    qwen2_5_vl_hub=dict(
        family="qwen2_5_vl", layout="flat", naming="old", dtype="float16", shards=2, tied=False,
        text=text(hidden=32, heads=2, kv_heads=2, ffn=40), mrope=[4, 2, 2],
        vision=dict(depth=3, hidden_size=16, hidden_act="silu", intermediate_size=20, num_heads=2, in_chans=3,
                    out_hidden_size=32, patch_size=14, spatial_merge_size=2, spatial_patch_size=14, window_size=56,
                    fullatt_block_indexes=[1], tokens_per_second=2, temporal_patch_size=2)),
    qwen2_5_vl_base=dict(
        family="qwen2_5_vl", layout="nested", naming="base", dtype="bfloat16", shards=1, tied=True,
        text=text(hidden=64, heads=4, kv_heads=1, ffn=72, theta=1e4), mrope=[2, 3, 3],
        vision=dict(depth=2, hidden_size=24, hidden_act="silu", intermediate_size=28, num_heads=3, in_channels=3,
                    out_hidden_size=64, patch_size=4, spatial_merge_size=2, window_size=24,
                    fullatt_block_indexes=[0], tokens_per_second=4, temporal_patch_size=2)),
    qwen2_hub=dict(
        family="qwen2", layout="flat", naming="old", dtype="float32", shards=1, tied=True,
        text=text(hidden=48, heads=6, kv_heads=2, ffn=56), mrope=None, vision=None),
    qwen2_base=dict(
        family="qwen2", layout="flat", naming="base", dtype="bfloat16", shards=1, tied=False,
        text=text(hidden=40, heads=2, kv_heads=1, ffn=32, layers=1, theta=1e4), mrope=None, vision=None),
)
for checkpoint in CHECKPOINTS.values():
    checkpoint["token_ids"] = TOKEN_IDS
# Grids in patches (height, width); a number is a run of that many text tokens. Windows of Qwen2.5-VL are 2 x 2 (hub)
# and 3 x 3 (base) merged tokens, so the larger images are cut, also into incomplete windows.
VISION_CASES = dict(
    text=[9],
    one_image=[3, (6, 4), 5],
    image_first=[(4, 6), 1],
    two_images=[2, (4, 2), 3, (2, 6), 4],
    smallest_image=[4, (2, 2), 2],
    wide_image=[1, (2, 14), 2],
)
TEXT_CASES = dict(text=[9], one_token=[1], longer=[70])
# Per checkpoint only some cases at patch size 14, whose patches are 1176 numbers each.
CASES = dict(qwen2_vl_hub=["text", "one_image", "two_images"], qwen2_5_vl_hub=["text", "one_image", "wide_image"])


def make_case(parts, spec, generator):
    ids, patches, grid = [], [], []
    merge = 2
    for part in parts:
        if isinstance(part, int):
            ids += torch.randint(0, VISION_START, (part,), generator=generator).tolist()
        else:
            height, width = part
            size = spec["vision"]["patch_size"]
            ids += [VISION_START] + [IMAGE] * (height * width // merge**2) + [VISION_END]
            patches.append(torch.randn(height * width, 3 * 2 * size * size, generator=generator).half())
            grid.append([1, height, width])
    case = dict(input_ids=torch.tensor(ids))
    if patches:
        case.update(patches=torch.cat(patches), grid=torch.tensor(grid))
    return case


@torch.no_grad()
def run(model, spec, case, position_ids=None):
    """hidden states [L, D] after the final norm, positions [3, L], vision features [P/4, D] or None."""
    ids = case["input_ids"][None]
    length = ids.shape[1]
    base = model.get_base_model() if isinstance(model, peft.PeftModel) else model
    if spec["naming"] != "base":
        base = base.model
    if spec["family"] == "qwen2":
        positions = torch.arange(length)
        hidden = base(input_ids=ids, position_ids=positions[None]).last_hidden_state[0]
        return hidden, positions.expand(3, -1).contiguous(), None
    features = None
    images = {}
    kinds = (ids == IMAGE).int()
    if "patches" in case:
        images = dict(pixel_values=case["patches"].float(), image_grid_thw=case["grid"])
        features = torch.cat(base.get_image_features(**images).pooler_output)
    if position_ids is None:
        position_ids, _ = base.get_rope_index(ids, mm_token_type_ids=kinds, image_grid_thw=case.get("grid"))
    hidden = base(input_ids=ids, position_ids=position_ids, mm_token_type_ids=kinds, **images).last_hidden_state[0]
    return hidden, position_ids[:, 0].contiguous(), features


def normalised(row):
    return torch.nn.functional.normalize(row, dim=-1)


def write_case(path, model, spec, case):
    hidden, positions, features = run(model, spec, case)
    out = dict(case, position_ids=positions)
    out["expected.hidden"] = hidden
    out["expected.embedding"] = normalised(hidden[-1])
    if spec["family"] != "qwen2":
        oned = torch.arange(hidden.shape[0]).expand(3, 1, -1)
        out["expected.embedding_oned"] = normalised(run(model, spec, case, oned)[0][-1])
    if features is not None:
        out["expected.vision"] = features
    save_file({k: v.contiguous().clone() for k, v in out.items()}, path, metadata={"format": "pt"})


# --- adapters ---------------------------------------------------------------------------------------------------------

def make_adapter(folder, base_name, spec, config, generator):
    """A PEFT model with random A and B (PEFT starts B at zero, which would test nothing), saved by PEFT itself."""
    model = peft.get_peft_model(load(HERE / base_name, spec), config)
    for name, p in model.named_parameters():
        if "lora_" in name:
            p.data.copy_(torch.randn(p.shape, generator=generator) * 0.4)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings.update(base_model_name_or_path=base_name, target_modules=config_targets(settings))
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return model.eval()


def config_targets(settings):
    targets = settings["target_modules"]
    return sorted(targets) if isinstance(targets, list) else targets


def rename_adapter(source, target, rename_key, rename_pattern):
    target.mkdir(parents=True)
    tensors = {rename_key(name): t for name, t in load_file(source / "adapter_model.safetensors").items()}
    save_file(dict(sorted(tensors.items())), target / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = json.loads((source / "adapter_config.json").read_text())
    for field in ("rank_pattern", "alpha_pattern"):
        settings[field] = {rename_pattern(key): value for key, value in settings[field].items()}
    (target / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def write_expected(path, model, spec, cases):
    out = {name: normalised(run(model, spec, case)[0][-1]) for name, case in cases.items()}
    save_file({k: v.contiguous().clone() for k, v in out.items()}, path, metadata={"format": "pt"})
    return out


def adapters(cases, generator):
    folder = HERE / "adapters"
    spec = CHECKPOINTS["qwen2_vl_hub"]
    # Decoder and vision tower; a rank of its own for one module (by full path), an alpha for a regex of modules.
    config = peft.LoraConfig(
        r=4, lora_alpha=8, lora_dropout=0.05,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv", "fc2"],
        rank_pattern={"model.language_model.layers.1.self_attn.q_proj": 2, "mlp.down_proj": 3},
        alpha_pattern={r"layers\.\d+\.self_attn\.[kv]_proj": 12, "blocks.0.attn.qkv": 1})
    modern = make_adapter(folder / "qwen2_vl_modern", "qwen2_vl_hub", spec, config, generator)
    want = write_expected(folder / "qwen2_vl_modern.expected.safetensors", modern, spec, cases["qwen2_vl_hub"])

    def legacy(name):
        return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")

    def base(name):
        return name.replace("model.language_model.", "language_model.").replace("model.visual.", "visual.")

    for style, rename in (("legacy", legacy), ("base_model", base)):
        rename_adapter(folder / "qwen2_vl_modern", folder / f"qwen2_vl_{style}", rename, rename)
        shutil.copy(folder / "qwen2_vl_modern.expected.safetensors", folder / f"qwen2_vl_{style}.expected.safetensors")
    # The base-model spelling is what PEFT itself reads into Qwen2VLModel; the patterns then match its module paths.
    bare, info = transformers.Qwen2VLModel.from_pretrained(HERE / "qwen2_vl_hub", dtype=torch.float32,
                                                           output_loading_info=True)
    got = peft.PeftModel.from_pretrained(bare.eval(), folder / "qwen2_vl_base_model").eval()
    bare_spec = dict(spec, naming="base")
    for name, case in cases["qwen2_vl_hub"].items():
        row = normalised(run(got, bare_spec, case)[0][-1])
        assert (row - want[name]).abs().max() < 1e-6, f"base-model naming: PEFT computes something else for {name}"

    spec = CHECKPOINTS["qwen2_hub"]
    config = peft.LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=r".*\.(q_proj|v_proj|down_proj)")
    model = make_adapter(folder / "qwen2_rslora", "qwen2_hub", spec, config, generator)
    write_expected(folder / "qwen2_rslora.expected.safetensors", model, spec, cases["qwen2_hub"])


def head_and_convolution(cases, generator):
    """LoRA on a tied head, beside which PEFT saves the base's, and on the convolution that a target "proj" selects."""
    folder = HERE / "adapters"
    spec = CHECKPOINTS["qwen2_vl_hub"]
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=["proj", "q_proj", "lm_head"])
    model = make_adapter(folder / "qwen2_vl_proj", "qwen2_vl_hub", spec, config, generator)
    write_expected(folder / "qwen2_vl_proj.expected.safetensors", model, spec, cases["qwen2_vl_hub"])
    head = model.get_output_embeddings()
    with torch.no_grad():
        logits = {name: head(run(model, spec, case)[0][-1]) for name, case in cases["qwen2_vl_hub"].items()}
    save_file({k: v.contiguous().clone() for k, v in logits.items()}, folder / "qwen2_vl_proj.logits.safetensors",
              metadata={"format": "pt"})


# --- PEFT's matching of patterns and targets --------------------------------------------------------------------------

MATCHING_PATHS = [
    "lm_head", "layers.0.self_attn.q_proj", "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj",
    "model.layers.11.self_attn.q_proj", "model.layers.1.self_attn.k_proj", "model.layers.1.mlp.down_proj",
    "model.language_model.layers.1.self_attn.q_proj", "model.language_model.layers.21.mlp.up_proj",
    "language_model.layers.3.mlp.gate_proj", "visual.blocks.0.attn.qkv", "visual.blocks.1.attn.proj",
    "model.visual.blocks.1.mlp.fc1", "visual.blocks.1.mlp.down_proj", "visual.merger.mlp.0", "visual.merger.mlp.2",
]
MATCHING_PATTERNS = [
    "q_proj", "proj", "self_attn.q_proj", "model.layers.1.self_attn.q_proj", "layers.1.self_attn.q_proj",
    "language_model.layers.1.self_attn.q_proj", r"layers\.\d+\.self_attn\.[qk]_proj", r".*\.1\..*", "^model.layers.*",
    "^layers.0.self_attn.q_proj", "mlp.(down|up)_proj", "down_proj|up_proj", r"blocks\.(0|1)\.attn\.\w+", "mlp.0", "0",
    r"(?!.*visual).*_proj", r"(?:q|k)_proj$", r"layers\.1\d?\.\S+", "lm_head", "merger.mlp.2", r"\w+\.\w+", "",
]
MATCHING_TARGETS = [
    ["q_proj"], ["q_proj", "down_proj", "qkv"], ["proj"], ["self_attn.q_proj", "mlp.0"], ["lm_head"],
    ["model.layers.1.self_attn.q_proj"], ["language_model.layers.1.self_attn.q_proj", "fc1"], ["0", "2"],
    ".*", r".*\.(q|k|v|o)_proj", r"model\.layers\..*", r"(?!.*visual).*(q_proj|down_proj)", r"q_proj", r".*blocks\.\d+.*",
    r"^(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|up_proj))$|(?:\bmodel\.layers\.\d+\.self_attn\.q_proj)",
]
MATCHING_EXCLUDED = [None, ["visual"], ["q_proj"], ["blocks.1.attn.proj"], r".*visual.*", r".*layers\.1\..*"]
MATCHING_LAYERS = [(None, None), ([1], None), (1, None), ([0, 1], "layers"), ([1], ["blocks", "layers"]), ([1, 2], []),
                   ([1], r"(?:layers|blocks)"), ([], None)]


def matching(rng):
    """Random settings of the matching options, a quarter of them empty, judged by PEFT's functions."""
    from peft.tuners.tuners_utils import check_target_module_exists
    from peft.utils.other import get_pattern_key
    cases = []
    for _ in range(150):
        rank_pattern = {key: 16 + i for i, key in enumerate(rng.sample(MATCHING_PATTERNS, rng.randrange(4)))}
        alpha_pattern = {key: 0.5 + i for i, key in enumerate(rng.sample(MATCHING_PATTERNS, rng.randrange(4)))}
        layers, layers_pattern = rng.choice(MATCHING_LAYERS)
        targets = rng.choice(MATCHING_TARGETS)
        if isinstance(targets, str):  # PEFT refuses layers_to_transform beside a regular expression
            layers, layers_pattern = None, None
        if not layers and layers_pattern:
            layers_pattern = None
        settings = dict(peft_type="LORA", r=8, lora_alpha=4.0, target_modules=targets, rank_pattern=rank_pattern,
                        alpha_pattern=alpha_pattern, exclude_modules=rng.choice(MATCHING_EXCLUDED),
                        layers_to_transform=layers, layers_pattern=layers_pattern)
        config = peft.LoraConfig(**{key: value for key, value in settings.items() if key != "peft_type"})
        cases.append(dict(
            settings=settings,
            rank=[rank_pattern.get(get_pattern_key(rank_pattern.keys(), path), 8) for path in MATCHING_PATHS],
            alpha=[alpha_pattern.get(get_pattern_key(alpha_pattern.keys(), path), 4.0) for path in MATCHING_PATHS],
            selected=[bool(check_target_module_exists(config, path)) for path in MATCHING_PATHS]))
    text = ",\n  ".join(json.dumps(case) for case in cases)
    (HERE / "peft_matching.json").write_text(
        f'{{"paths": {json.dumps(MATCHING_PATHS)},\n "cases": [\n  {text}\n]}}\n')


# --- config.json and files that disagree about the head ---------------------------------------------------------------

EMBEDDINGS, HEAD = "model.embed_tokens.weight", "lm_head.weight"
HEAD_FILES = dict(embeddings=lambda t: {}, equal=lambda t: {HEAD: t.clone()}, different=lambda t: {HEAD: 1.5 * t},
                  one_value=lambda t: {HEAD: torch.cat([t[:-1], t[-1:] * 1.0001])},
                  head_alone=lambda t: {HEAD: t, EMBEDDINGS: None}, other_shape=lambda t: {HEAD: t[:-2].clone()})


def write_tied_case(folder, root, text, files):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "qwen2_vl_hub", folder)
    config = json.loads((folder / "config.json").read_text())
    del config["tie_word_embeddings"]
    if root != "-":
        config["tie_word_embeddings"] = root
    if text is not None:
        decoder, _ = CHECKPOINTS["qwen2_vl_hub"]["text"]
        keys = [*decoder, "rope_theta", "rope_scaling"]
        config["text_config"] = {key: config.pop(key) for key in keys if key in config}
        if text != "-":
            config["text_config"]["tie_word_embeddings"] = text
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    tensors = load_file(folder / "model.safetensors")
    tensors.update(HEAD_FILES[files](tensors[EMBEDDINGS]))
    tensors = {name: t.contiguous() for name, t in tensors.items() if t is not None}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def head_of(folder):
    try:
        model, info = transformers.Qwen2VLForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True)
    except RuntimeError:
        return "refused"
    if info["missing_keys"]:
        return "missing"
    return "tied" if model.get_input_embeddings().weight is model.get_output_embeddings().weight else "own"


def tied_heads():
    cases = []
    for root in (True, False, "-"):
        for text in (None, True, False, "-"):
            for files in HEAD_FILES:
                folder = HERE / "tied_case"
                write_tied_case(folder, root, text, files)
                cases.append(dict(root=root, text=text, files=files, head=head_of(folder)))
                shutil.rmtree(folder)
    (HERE / "tied_head.json").write_text("[\n  " + ",\n  ".join(map(json.dumps, cases)) + "\n]\n")


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    for path in HERE.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    (HERE / "cases").mkdir()
    made = {}
    for seed, (name, spec) in enumerate(CHECKPOINTS.items()):
        generator = torch.Generator().manual_seed(1000 + seed)
        write_checkpoint(HERE / name, spec, generator)
        model = load(HERE / name, spec)
        shapes = VISION_CASES if spec["vision"] else TEXT_CASES
        made[name] = {case: make_case(shapes[case], spec, generator) for case in CASES.get(name, shapes)}
        for case, inputs in made[name].items():
            write_case(HERE / "cases" / f"{name}.{case}.safetensors", model, spec, inputs)
    adapters(made, torch.Generator().manual_seed(2000))
    head_and_convolution(made, torch.Generator().manual_seed(4000))
    matching(random.Random(3000))
    tied_heads()
    print("transformers", transformers.__version__, "peft", peft.__version__, "torch", torch.__version__)


if __name__ == "__main__":
    main()
