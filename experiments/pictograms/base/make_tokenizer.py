"""Made the tokenizer.json, tokenizer_config.json and config.json beside it. Needs tokenizers.

    trireme prepare pictograms --out data/pictograms
    python experiments/pictograms/base/make_tokenizer.py data/pictograms

Byte-level BPE with Qwen2's split expression and special tokens, 4096 ids in all, trained on the training families'
names and keywords in eleven languages, the instructions and the prompts. The answers of reranking become single tokens
where they are not: in the place of the rarest, so that all others keep their ids. Deterministic.
"""
import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

IDS = 4096
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")
SPECIAL_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>"]
PROMPTS = ("system\nYou are a helpful assistant.\nuser\nassistant\nSummarize above image and sentence in one word: \n"
           "Summarize above sentence in one word: \nSummarize above image in one word: \n")
ANSWERS = [("Y", "es")]  # the merge that is missing; "No" and the digits are tokens already
PROMPT_WEIGHT = 400  # so that the prompts' words are single tokens, as in the published vocabulary


def texts(data: pathlib.Path) -> list[str]:
    out = [PROMPTS] * PROMPT_WEIGHT
    for row in (data / "instructions/query_instructions.tsv").read_text().splitlines()[1:]:
        out += row.split("\t")[4:] * (PROMPT_WEIGHT // 4)
    for name, keys in (("query/union_train/mbeir_union_train.jsonl", ["query_txt"]),
                       ("cand_pool/global/mbeir_union_train_cand_pool.jsonl", ["txt"]),
                       ("pairs/names_keywords_train.jsonl", ["anchor", "positive"])):
        for line in (data / name).read_text().splitlines():
            record = json.loads(line)
            for text in (record[key] for key in keys if record.get(key)):
                # As the prompts have it: format_string() begins a text with a capital.
                out += [text, text[:1].upper() + text[1:]]
    return out


def train(data: pathlib.Path) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.train_from_iterator(texts(data), trainers.BpeTrainer(
        vocab_size=IDS - len(SPECIAL_TOKENS) - len(ANSWERS), min_frequency=2, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    state = json.loads(tokenizer.to_str())
    for first, second in ANSWERS:
        assert first + second not in state["model"]["vocab"]
        state["model"]["vocab"][first + second] = len(state["model"]["vocab"])
        state["model"]["merges"].append([first, second])
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def model_config(tokenizer: Tokenizer) -> dict:
    ids = {f"{key}_token_id": tokenizer.token_to_id(f"<|{token}|>") for key, token in (
        ("bos", "endoftext"), ("eos", "im_end"), ("vision_start", "vision_start"), ("vision_end", "vision_end"),
        ("vision", "vision_pad"), ("image", "image_pad"), ("video", "video_pad"))}
    return dict(
        architectures=["Qwen2VLForConditionalGeneration"], model_type="qwen2_vl", **ids, vocab_size=IDS,
        hidden_size=128, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        hidden_act="silu", rms_norm_eps=1e-6, initializer_range=0.02, max_position_embeddings=2048,
        rope_theta=1000000.0, rope_scaling=dict(type="mrope", mrope_section=[4, 6, 6]), use_sliding_window=False,
        sliding_window=2048, max_window_layers=2, attention_dropout=0.0, use_cache=True, tie_word_embeddings=True,
        torch_dtype="float32",
        vision_config=dict(depth=2, embed_dim=128, num_heads=4, mlp_ratio=4, in_chans=3, hidden_size=128,
                           patch_size=14, spatial_merge_size=2, spatial_patch_size=14, temporal_patch_size=2))


def main() -> None:
    folder = pathlib.Path(__file__).parent
    tokenizer = train(pathlib.Path(sys.argv[1]))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = dict(tokenizer_class="Qwen2Tokenizer", eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token=None,
                    unk_token=None, padding_side="left", model_max_length=2048, errors="replace",
                    add_prefix_space=False, clean_up_tokenization_spaces=False, split_special_tokens=False,
                    additional_special_tokens=SPECIAL_TOKENS[1:])
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (folder / "config.json").write_text(json.dumps(model_config(tokenizer), indent=2) + "\n")


if __name__ == "__main__":
    main()
