"""Writes the golden files of the tokenizer: what the `tokenizers` package (0.23) makes of texts and ids.

    python tests/golden/tokenizer/make.py

STYLE.json         a small tokenizer in the style of a published one
STYLE.jsonl        {"text", "ids"} and {"ids", "decoded", "decoded_without_special"}, one a line
components.jsonl   {"file", "texts", "ids", "id_lists", "decoded"}: random files that hold every component built in
"""

import json
import pathlib
import random

from random_files import PATTERNS, random_file, small_text
from styles import STYLES, special_strings
from texts import PICKED, random_texts
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
RANDOM_TEXTS, ID_LISTS = 150, 40
COMPONENT_FILES, TEXTS_PER_FILE = 120, 6


def write_lines(name, records):
    lines = [json.dumps(record, separators=(",", ":")) for record in records]
    (HERE / name).write_text("\n".join(lines) + "\n")


def encode_cases(tokenizer, name):
    special = special_strings(tokenizer)
    marked = [f"a {token} b{token}{token.upper()}  {token}\n{token[:-1]}" for token in special]
    for text in PICKED + marked + random_texts(f"golden {name}", RANDOM_TEXTS, special):
        yield {"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids}


def decode_cases(tokenizer, name):
    rng = random.Random(f"golden {name}")
    size = tokenizer.get_vocab_size()
    for _ in range(ID_LISTS):
        ids = [rng.randrange(size + 2) for _ in range(rng.randint(0, 12))]
        yield {
            "ids": ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False),
            "decoded_without_special": tokenizer.decode(ids, skip_special_tokens=True),
        }


def regexes(node):
    if isinstance(node, dict):
        yield from [node["Regex"]] if "Regex" in node else [r for child in node.values() for r in regexes(child)]
    if isinstance(node, list):
        yield from (r for child in node for r in regexes(child))


def component_case(index):
    """A random file with what the package makes of it; nothing where the package panics or refuses."""
    rng = random.Random(f"golden components {index}")
    file = random_file(rng)
    if len(file["model"]["vocab"]) > 200 and index % 4:
        return None  # keeps the golden file small: a few byte-level alphabets are enough
    if any("(?i:" in regex or "(?<" in regex for regex in regexes(file) if regex not in PATTERNS):
        return None  # most of those that are made up at random are not built in
    contents = [token["content"] for token in file["added_tokens"]] or ["<a>"]
    texts = [small_text(rng, contents) for _ in range(TEXTS_PER_FILE)]
    highest = max(file["model"]["vocab"].values()) + 5
    id_lists = [[rng.randrange(highest) for _ in range(rng.randint(0, 8))] for _ in range(TEXTS_PER_FILE)]
    try:
        tokenizer = Tokenizer.from_str(json.dumps(file))
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        decoded = [tokenizer.decode(ids, skip_special_tokens=False) for ids in id_lists]
    except BaseException as error:  # noqa: BLE001  (its panics are no Exceptions)
        if isinstance(error, KeyboardInterrupt):
            raise
        return None
    return {"file": file, "texts": texts, "ids": ids, "id_lists": id_lists, "decoded": decoded}


def main():
    for name, make in STYLES.items():
        tokenizer = make()
        tokenizer.save(str(HERE / f"{name}.json"), pretty=False)
        write_lines(f"{name}.jsonl", [*encode_cases(tokenizer, name), *decode_cases(tokenizer, name)])
    cases, index = [], 0
    while len(cases) < COMPONENT_FILES:
        case = component_case(index)
        cases += [case] if case else []
        index += 1
    write_lines("components.jsonl", cases)


if __name__ == "__main__":
    main()
