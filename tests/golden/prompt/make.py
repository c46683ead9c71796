"""Writes mbeir_prompts.jsonl: token ids of LamRA's embedding prompts over M-BEIR texts, by the tokenizers package.

    python tests/golden/prompt/make.py      # needs tokenizers

Per line: instruction (null for a candidate), text, image (whether there is one; its pad is not expanded), limit (text
tokens), ids. The text is normalised, put under the instruction, cut by tokenise and decode, and put into the template,
in the order in which the released code does it. The tokenizer is tests/golden/embed/model's.
"""
import json
import pathlib
import random

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
tokenizer = Tokenizer.from_file(str(HERE.parent / "embed" / "model" / "tokenizer.json"))


def format_string(s):
    s = (s or "").replace("\r", "").strip().strip('"')
    if s:
        s = s[0].upper() + s[1:]
        s = s + "." if s[-1] not in [".", "?", "!"] else s
    return s


def query_text(instruction, text):
    return format_string(f"{format_string(instruction)} {text}") if text else format_string(instruction)


def cut(text, limit):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return tokenizer.decode(ids[:limit], skip_special_tokens=False) if len(ids) > limit else text


def prompt(text, image):
    picture = "<|vision_start|><|image_pad|><|vision_end|>" if image else ""
    what = ("image and sentence" if text else "image") if image else "sentence"
    return ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
            f"{picture}{text}\nSummarize above {what} in one word: <|im_end|>\n<|im_start|>assistant\n")


INSTRUCTIONS = ["Find me an everyday image that matches the given caption.", "find a product description",
                "\"Based on the image\"", None]
WORDS = "a red apple on the table two green pears ein roter Apfel une pomme rouge 红苹果 🍎 \u00e9t\u00e9 e\u0301 x! ok?".split()
rng = random.Random(3)
with open(HERE / "mbeir_prompts.jsonl", "w", encoding="utf-8") as file:
    for i in range(60):
        instruction = INSTRUCTIONS[i % len(INSTRUCTIONS)]
        image = rng.random() < 0.5
        text = " ".join(rng.choices(WORDS, k=rng.choice([0, 1, 3, 12, 40])))
        if not image and not text:
            text = "a dog"
        limit = rng.choice([4, 16, 30, 480])
        whole = query_text(instruction, text) if instruction is not None else format_string(text)
        kept = cut(whole, limit)
        ids = tokenizer.encode(prompt(kept, image), add_special_tokens=False).ids
        row = dict(instruction=instruction, text=text, image=image, limit=limit, ids=ids)
        file.write(json.dumps(row, ensure_ascii=True) + "\n")
