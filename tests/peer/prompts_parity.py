"""Our prompts against transformers' apply_chat_template, byte for byte, on turns drawn by seed.

    .venv-peer/bin/python tests/peer/prompts_parity.py --turns 2000 [--seed 1] [--build build/release]

Drawn are user turns of texts and images in any order, with the default or another system prompt, the three forms of an
embedding turn, and LamRA-Rank's pointwise and listwise turns. The template is that of tests/support/qwen_files.py.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from transformers import AutoTokenizer

import drawing
import embedders
import qwen_files
import rerank_messages


def draw_request(rng: random.Random) -> tuple[dict, list[dict]]:
    """What the tool is asked, and the same as messages."""
    if rng.random() < 0.3:
        spacing, mode = rng.choice(["master", "single_space"]), rng.choice(["pointwise", "listwise"])
        items = []
        for _ in range(2 if mode == "pointwise" else rng.randint(2, 10)):
            image = rng.random() < 0.5
            text = "" if image and rng.random() < 0.4 else drawing.draw_text(rng)
            items.append(dict(text=text, image=image))
        compared = items[1] if mode == "pointwise" else items[1:]
        return (dict(rerank=mode, spacing=spacing, items=items),
                getattr(rerank_messages, mode)(items[0], compared, spacing))
    if rng.random() < 0.3:
        text, has_image = rng.choice([(drawing.draw_text(rng), rng.random() < 0.5), ("", True)])
        record = dict(txt=text, img_path="x.png" if has_image else None)
        return dict(embed=text, image=has_image), embedders.messages_for(record)
    request: dict = dict(parts=[])
    content = []
    for _ in range(rng.randint(1, 6)):
        if rng.random() < 0.4:
            request["parts"].append(dict(image=True))
            content.append(dict(type="image"))
        else:
            text = drawing.draw_text(rng)
            request["parts"].append(dict(text=text))
            content.append(dict(type="text", text=text))
    messages = [dict(role="user", content=content)]
    if rng.random() < 0.4:
        request["system"] = drawing.draw_text(rng)
        messages.insert(0, dict(role="system", content=request["system"]))
    return request, messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    drawn = [draw_request(rng) for _ in range(options.turns)]
    with tempfile.TemporaryDirectory() as folder:
        qwen_files.write_tokenizer(pathlib.Path(folder), qwen_files.train_tokenizer(300))
        template = AutoTokenizer.from_pretrained(folder)
    done = subprocess.run([options.build / "bin" / "chat_dump"], text=True, capture_output=True, check=True,
                          input="".join(json.dumps(request) + "\n" for request, _ in drawn))
    ours = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert len(ours) == len(drawn), f"{len(ours)} answers to {len(drawn)} requests"
    wrong = 0
    for (request, messages), rendered in zip(drawn, ours):
        wanted = template.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        if rendered != wanted:
            wrong += 1
            if wrong <= 5:
                print(f"request  {json.dumps(request)}\nwanted   {wanted!r}\nrendered {rendered!r}")
    print(f"prompts_parity: {len(drawn)} turns, {wrong} differ from apply_chat_template")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
