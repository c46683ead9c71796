"""One tiny checkpoint with everything `trireme embed` reads, a few records, and their embeddings by transformers.

    python tests/golden/embed/make.py       # rewrites this folder; needs torch, transformers 5, tokenizers, pillow

model/             config.json, model.safetensors, tokenizer.json, preprocessor_config.json: a Qwen2-VL of 2 layers
adapter/           a PEFT adapter for it
records.jsonl      text, image, both; images/
expected.safetensors   mrope, oned, adapter: [N, D] float32, unit rows, in the order of the records
"""
import json
import os
import pathlib

os.environ.update(TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false")

import peft  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers  # noqa: E402
from transformers import AutoConfig, AutoModelForImageTextToText  # noqa: E402
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
           "<|image_pad|>", "<|video_pad|>"]
WORDS = ("system You are a helpful assistant. user assistant Summarize above image and sentence in one word: "
         "a red apple on the table, two green pears; ein roter Apfel, une pomme rouge, 红苹果")
RECORDS = [
    dict(id="text", txt="a red apple on the table", img_path=None),
    dict(id="image", txt=None, img_path="gradient.png"),
    dict(id="both", txt="two green pears", img_path="wide.png"),
    dict(id="unicode", txt="红苹果 – une pomme rouge 🍎", img_path=""),
    dict(id="small", txt="", img_path="small.png"),
    dict(id="again", txt="a red apple on the table", img_path="gradient.png"),
    dict(id="long", txt="pears and apples, " * 20, img_path=None),
]
PROMPT = {(True, True): "{}\nSummarize above image and sentence in one word: ",
          (True, False): "{}\nSummarize above sentence in one word: ",
          (False, True): "{}\nSummarize above image in one word: "}


def make_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([WORDS] * 4, trainers.BpeTrainer(
        vocab_size=len(alphabet) + 60, initial_alphabet=sorted(alphabet), min_frequency=2, show_progress=False))
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return tokenizer


def make_model(tokenizer: Tokenizer) -> None:
    ids = {t: tokenizer.token_to_id(t) for t in SPECIAL}
    config = {
        "architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl", "hidden_act": "silu",
        "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1,
        "num_hidden_layers": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "max_position_embeddings": 4096,
        "tie_word_embeddings": True, "torch_dtype": "float32", "use_sliding_window": False,
        "vocab_size": tokenizer.get_vocab_size(), "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"],
        "vision_start_token_id": ids["<|vision_start|>"], "vision_end_token_id": ids["<|vision_end|>"],
        "vision_token_id": ids["<|vision_pad|>"], "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"], "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": dict(depth=2, embed_dim=16, mlp_ratio=2, num_heads=1, in_chans=3, hidden_size=32, patch_size=14,
                              spatial_merge_size=2, spatial_patch_size=14, temporal_patch_size=2)}
    preprocessor = {
        "min_pixels": 4 * 28 * 28, "max_pixels": 16 * 28 * 28, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor"}
    out = HERE / "model"
    out.mkdir(exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (out / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=1) + "\n")
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(out))
    with torch.no_grad():
        for parameter in model.parameters():  # larger than the usual start, so that rows differ
            parameter.mul_(4) if parameter.ndim > 1 else parameter.add_(0.1 * torch.randn_like(parameter))
    state = {k.replace("model.language_model.", "model.").replace("model.visual.", "visual."): v
             for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file({k: v.contiguous() for k, v in state.items()}, out / "model.safetensors", {"format": "pt"})


def make_images() -> None:
    images = HERE / "images"
    images.mkdir(exist_ok=True)
    gradient = Image.linear_gradient("L")
    gradient.resize((90, 60)).convert("RGB").save(images / "gradient.png")
    Image.merge("RGB", [gradient.resize((160, 30)), gradient.rotate(90).resize((160, 30)),
                        gradient.rotate(180).resize((160, 30))]).save(images / "wide.png")
    Image.radial_gradient("L").resize((9, 11)).convert("RGB").save(images / "small.png")


def embed(model, tokenizer: Tokenizer, processor, oned: bool) -> torch.Tensor:
    pad = tokenizer.token_to_id("<|image_pad|>")
    rows = []
    for record in RECORDS:
        text, image = record["txt"] or "", record["img_path"]
        inputs, count = {}, 0
        if image:
            pixels = processor(images=[Image.open(HERE / "images" / image).convert("RGB")], return_tensors="pt")
            inputs = dict(pixel_values=pixels["pixel_values"], image_grid_thw=pixels["image_grid_thw"])
            count = int(pixels["image_grid_thw"].prod()) // 4
        turn = ("<|vision_start|>" + "<|image_pad|>" * count + "<|vision_end|>" if image else "")
        turn += PROMPT[(bool(text), bool(image))].format(text)
        prompt = ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n" + turn +
                  "<|im_end|>\n<|im_start|>assistant\n")
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        if oned:
            inputs["position_ids"] = torch.arange(ids.shape[1])[None, None].expand(3, 1, -1)
        with torch.no_grad():
            hidden = model.model(input_ids=ids, attention_mask=torch.ones_like(ids),
                                 mm_token_type_ids=(ids == pad).int(), **inputs).last_hidden_state
        rows.append(torch.nn.functional.normalize(hidden[0, -1].float(), dim=0))
    return torch.stack(rows)


def main() -> None:
    tokenizer = make_tokenizer()
    make_model(tokenizer)
    make_images()
    (HERE / "records.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in RECORDS))
    processor = Qwen2VLImageProcessorPil.from_pretrained(HERE / "model")
    model = AutoModelForImageTextToText.from_pretrained(HERE / "model").eval()
    expected = dict(mrope=embed(model, tokenizer, processor, False), oned=embed(model, tokenizer, processor, True))

    torch.manual_seed(1)
    tuned = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"]))
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    tuned.save_pretrained(HERE / "adapter")
    (HERE / "adapter" / "README.md").unlink(missing_ok=True)
    config = json.loads((HERE / "adapter" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "tests/golden/embed/model"
    config["target_modules"] = sorted(config["target_modules"])
    (HERE / "adapter" / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
    expected["adapter"] = embed(tuned.get_base_model(), tokenizer, processor, False)
    save_file(expected, HERE / "expected.safetensors")


if __name__ == "__main__":
    main()
