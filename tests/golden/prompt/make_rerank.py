"""Writes rerank_tokenizer.json and rerank_prompts.jsonl: token ids of LamRA-Rank's training sequences.

    python tests/golden/prompt/make_rerank.py      # needs transformers, tokenizers

Per line: mode, spacing, limit (text tokens of an item, null = not cut), query, candidates (text, and how many tokens
the image takes, null = no image), answer (true, false, or the number of the list's best), ids, first_label (where the
answering turn begins). Rendered by transformers' apply_chat_template of the answered conversation.
"""
import json
import pathlib
import random
import sys
import tempfile

from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))
import qwen_files  # noqa: E402
import rerank_messages  # noqa: E402

WORDS = "a red apple on the table two green pears ein roter Apfel une pomme 红苹果 🍎 \u00e9t\u00e9 e\u0301 x! ok? Yes No 1".split()
tokenizer = qwen_files.train_tokenizer(150, qwen_files.ANSWER_WORDS)
tokenizer.save(str(HERE / "rerank_tokenizer.json"))
with tempfile.TemporaryDirectory() as folder:
    qwen_files.write_tokenizer(pathlib.Path(folder), tokenizer)
    template = AutoTokenizer.from_pretrained(folder)
start = tokenizer.token_to_id("<|im_start|>")


def encode(text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def cut(item, limit):
    ids = encode(item["text"])
    text = tokenizer.decode(ids[:limit], skip_special_tokens=False) if limit and len(ids) > limit else item["text"]
    return dict(text=text, image=item["image_tokens"] is not None)


def ids_of(messages, images):
    text = template.apply_chat_template(messages, tokenize=False)
    for count in images:
        text = text.replace("<|image_pad|>", "<|placeholder|>" * count, 1)
    return encode(text.replace("<|placeholder|>", "<|image_pad|>"))


rng = random.Random(5)


def draw_item():
    image_tokens = rng.choice([None, 1, 4, 6])
    text = " ".join(rng.choices(WORDS, k=rng.choice([0, 1, 4, 12])))
    if image_tokens is None and not text:
        text = "a dog."
    return dict(text=text, image_tokens=image_tokens)


with open(HERE / "rerank_prompts.jsonl", "w", encoding="utf-8") as file:
    for i in range(40):
        mode = ("pointwise", "listwise")[i % 2]
        spacing = rng.choice(["master", "single_space"])
        limit = rng.choice([None, 5, 256])
        query, candidates = draw_item(), [draw_item() for _ in range(1 if mode == "pointwise" else rng.randint(1, 9))]
        images = [item["image_tokens"] for item in [query, *candidates] if item["image_tokens"]]
        if mode == "pointwise":
            answer = rng.random() < 0.5
            messages = rerank_messages.pointwise(cut(query, limit), cut(candidates[0], limit), spacing)
            text = "Yes" if answer else "No"
        else:
            answer = rng.randint(1, len(candidates))
            messages = rerank_messages.listwise(cut(query, limit), [cut(c, limit) for c in candidates], spacing)
            text = f"Ans: ({answer})"
        ids = ids_of(rerank_messages.answered(messages, text), images)
        row = dict(mode=mode, spacing=spacing, limit=limit, query=query, candidates=candidates, answer=answer, ids=ids,
                   first_label=rerank_messages.first_label(ids, start))
        file.write(json.dumps(row, ensure_ascii=True) + "\n")
