"""What a Qwen2-VL hub folder holds beside its weights: tokenizer.json and its settings, chat template, image processor.

Needs tokenizers. The tokenizer has Qwen2's parts (NFC, its split expression, byte-level BPE, its special tokens), but a
small vocabulary, trained on text that comes with Python, so that nothing is downloaded.
"""
import json
import pathlib
import pydoc_data.topics

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")
SPECIAL_TOKENS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>"]
TOKEN_ID_KEYS = dict(vision_start_token_id="<|vision_start|>", vision_end_token_id="<|vision_end|>",
                     vision_token_id="<|vision_pad|>", image_token_id="<|image_pad|>", video_token_id="<|video_pad|>")
# The words of the prompts are to be single tokens, as they are in the hub's vocabulary.
PROMPT_WORDS = ("system\nYou are a helpful assistant.\nuser\nassistant\nSummarize above image and sentence in one "
                "word: \nSummarize above sentence in one word: \nSummarize above image in one word: \n")
ANSWER_WORDS = "Yes\nNo\nAns: (1)\n" * 10  # for reranking
# Renders what the hub's Qwen2-VL template does for turns of text and images, with the same default system turn.
CHAT_TEMPLATE = """\
{%- macro turn(role, content) -%}
<|im_start|>{{ role }}
{% if content is string %}{{ content }}{% else %}
{%- for part in content %}
{%- if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>
{%- else %}{{ part.text }}{% endif %}
{%- endfor %}
{%- endif %}<|im_end|>
{% endmacro -%}
{%- if messages[0].role != 'system' %}{{ turn('system', 'You are a helpful assistant.') }}{% endif %}
{%- for message in messages %}{{ turn(message.role, message.content) }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


def train_tokenizer(merges: int, further_words: str = "") -> Tokenizer:
    """further_words: whose words are to be single tokens too."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    topics = [text for _, text in sorted(pydoc_data.topics.topics.items())]
    tokenizer.train_from_iterator(topics + [PROMPT_WORDS + further_words] * 200, trainers.BpeTrainer(
        vocab_size=len(alphabet) + merges, initial_alphabet=alphabet, min_frequency=2, show_progress=False))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def token_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """The keys of config.json that name special tokens."""
    return {key: tokenizer.token_to_id(token) for key, token in TOKEN_ID_KEYS.items()}


def vocab_rows(tokenizer: Tokenizer) -> int:
    """Rows of the embedding table: the vocabulary rounded up to 64, as published tables are."""
    return -(-tokenizer.get_vocab_size() // 64) * 64


def preprocessor_config(min_pixels: int, max_pixels: int, by_size: bool) -> dict:
    """The image processor's settings; `by_size` spells the limits as newer checkpoints do."""
    limits = (dict(size=dict(shortest_edge=min_pixels, longest_edge=max_pixels)) if by_size else
              dict(min_pixels=min_pixels, max_pixels=max_pixels))
    return dict(limits, patch_size=14, temporal_patch_size=2, merge_size=2,
                image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711],
                image_processor_type="Qwen2VLImageProcessor", processor_class="Qwen2VLProcessor")


def write_tokenizer(folder: pathlib.Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = dict(
        tokenizer_class="Qwen2Tokenizer", chat_template=CHAT_TEMPLATE, eos_token="<|im_end|>", unk_token=None,
        bos_token=None, pad_token="<|endoftext|>", padding_side="left", model_max_length=32768, errors="replace",
        add_prefix_space=False, clean_up_tokenization_spaces=False, split_special_tokens=False,
        additional_special_tokens=SPECIAL_TOKENS[1:],
        added_tokens_decoder={
            str(tokenizer.token_to_id(token)): dict(content=token, lstrip=False, rstrip=False, normalized=False,
                                                    single_word=False, special=True) for token in SPECIAL_TOKENS})
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def write_image_processor(folder: pathlib.Path, settings: dict) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
