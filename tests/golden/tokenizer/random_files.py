"""Random tokenizer.json files: every component and option that is built in."""

import json
import random

from texts import random_text
from tokenizers import pre_tokenizers

ALPHABET = list("abcdeAB 's.1") + [
    "é",
    "e\u0301",
    "ß",
    "ſ",
    "漢",
    "字",
    "\u0301",
    "\n",
    "Ġ",
    "Ċ",
    "Ã",
    "©",
    "😀",
    "İ",
    "\u0338",
]
PATTERNS = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}",
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+",
    r"[一-龥\u3040-ゟ゠-ヿ]+",
    r"\p{N}{1,3}",
    r"\s+",
    r"\w+|[^\w\s]+",
    r"\d",
    r"\b",
    r"^.",
    r".$",
    r"\A\s|\s\z",
    r"a*",
    r"(?<=a)b",
    r"(?<!a)b",
    r"(?>a+|ab)c?",
    r"[^\S\n]+",
    r"[\W_]+",
    r"\P{L}{2,}?",
    r"\p{^L}",
    r"(a|b)+?c",
    r"\x{6f22}|\u5b57",
    r"[\x00-\x1f\x{80}-\x{9f}]",
    r"",
    r"(?i:[a-e])",
    r"\B",
    r"a|",
    r"[a\-z.]",
    r"\p{Mn}+",
    r"\p{So}",
    r"\p{Zs}|\p{Cf}",
]
# What patterns are put together from, to try the translation as a whole.
ATOMS = [
    "a",
    "b",
    "A",
    "é",
    "漢",
    " ",
    r"\s",
    r"\S",
    r"\w",
    r"\W",
    r"\d",
    r"\p{L}",
    r"\p{Lu}",
    r"\P{N}",
    r"\p{M}",
    ".",
    r"[ab]",
    r"[^a]",
    r"[^\s\p{L}]",
    r"[a-dé]",
    r"\n",
    "'",
    r"\.",
    r"\b",
    "^",
    "$",
    r"\A",
    r"\z",
    r"\B",
]
QUANTIFIERS = [
    "",
    "",
    "",
    "",
    "?",
    "*",
    "+",
    "+?",
    "*?",
    "??",
    "?+",
    "*+",
    "++",
    "{2}",
    "{1,2}",
    "{,2}",
    "{2,}",
    "{1,2}?",
]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def random_pattern(rng, depth=2):
    if depth == 2 and rng.random() < 0.5:
        return rng.choice(PATTERNS)
    branches = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        branch = ""
        for _ in range(rng.choice([1, 1, 2, 3])):
            if depth and rng.random() < 0.3:
                opening = rng.choice(["(?:", "(?i:", "(", "(?>", "(?=", "(?!", "(?<=", "(?<!"])
                atom = opening + random_pattern(rng, 0 if "<" in opening else depth - 1) + ")"
            else:
                atom = rng.choice(ATOMS)
            branch += atom + rng.choice(QUANTIFIERS)
        branches.append(branch)
    return "|".join(branches)


def pattern(rng):
    if rng.random() < 0.25:
        return {"String": rng.choice([" ", "a", "ab", "é", "", "\n", ".", "aa", "▁"])}
    return {"Regex": random_pattern(rng)}


def sequence(rng, make, key):
    return {"type": "Sequence", key: [make(rng, 1) for _ in range(rng.randint(0, 3))]}


def normalizer(rng, nested=0):
    kind = rng.choice(
        ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "Prepend", "Replace", *["Sequence"] * (2 - 2 * nested)]
    )
    if kind == "Sequence":
        return sequence(rng, normalizer, "normalizers")
    fields = {
        "Strip": {"strip_left": rng.random() < 0.5, "strip_right": rng.random() < 0.5},
        "Prepend": {"prepend": rng.choice(["▁", " ", "ab", "é"])},
        # Only patterns that match no empty text: the package loses its place behind one, and panics or errs later.
        "Replace": {
            "pattern": rng.choice([{"String": " "}, {"String": "ab"}, {"Regex": r"\s+"}, {"Regex": r"[aé]|\p{Mn}+"}]),
            "content": rng.choice(["", " ", "▁", "ab", "$1", "é"]),
        },
    }
    return {"type": kind, **fields.get(kind, {})}


def pre_tokenizer(rng, nested=0):
    kind = rng.choice(["Split", "Split", "ByteLevel", "WhitespaceSplit", *["Sequence"] * (2 - 2 * nested)])
    if kind == "Sequence":
        return sequence(rng, pre_tokenizer, "pretokenizers")
    fields = {
        "Split": {"pattern": pattern(rng), "behavior": rng.choice(BEHAVIORS), "invert": rng.random() < 0.4},
        "ByteLevel": {
            "add_prefix_space": rng.random() < 0.5,
            "trim_offsets": rng.random() < 0.5,
            **({"use_regex": rng.random() < 0.5} if rng.random() < 0.8 else {}),
        },
    }
    return {"type": kind, **fields.get(kind, {})}


def decoder(rng, nested=0):
    kind = rng.choice(["ByteLevel", "ByteFallback", "Fuse", "Strip", "Replace", *["Sequence"] * (3 - 3 * nested)])
    if kind == "Sequence":
        return sequence(rng, decoder, "decoders")
    fields = {
        "ByteLevel": {"add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "Strip": {"content": rng.choice([" ", "a", "é"]), "start": rng.randint(0, 3), "stop": rng.randint(0, 3)},
        "Replace": {"pattern": pattern(rng), "content": rng.choice(["", " ", "ab"])},
    }
    return {"type": kind, **fields.get(kind, {})}


def bpe(rng, byte_level):
    prefix = rng.choice([None, None, None, "", "##", "Ġ"])
    suffix = rng.choice([None, None, None, "", "</w>"])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet()) if byte_level else ALPHABET
    known = [c for c in alphabet if len(c) == 1 and (byte_level or rng.random() < 0.8)]
    firsts, rests = list(known), [(prefix or "") + c for c in known]
    tokens = dict.fromkeys(firsts + rests)
    if suffix:
        tokens.update(dict.fromkeys([t + suffix for t in firsts + rests if rng.random() < 0.9]))
    merges = []
    popular = [t for t in tokens if t.strip("#Ġ</w>") in set("abcdes'é漢")] or list(tokens)
    for _ in range(rng.randint(0, 60)):
        left = rng.choice(popular)
        right = rng.choice([t for t in popular if not prefix or t.startswith(prefix)] or popular)
        joined = left + right[len(prefix or "") :]
        if (suffix and left.endswith(suffix)) or " " in left + right or not joined:
            continue
        tokens[joined] = None
        popular.append(joined)
        merges.append([left, right])
    byte_tokens = rng.choice([0, 0, 0.5, 1])
    for byte in range(256):
        if rng.random() < byte_tokens:
            tokens[f"<0x{byte:02X}>"] = None
    if rng.random() < 0.8:
        tokens["<unk>"] = None
    ids = list(range(len(tokens)))
    if rng.random() < 0.3:  # sparse, but for the ids that the added tokens get
        ids = rng.sample([i for i in range(2 * len(tokens)) if not 0 <= i - len(tokens) < 8], len(tokens))
    if rng.random() < 0.5 and not any(" " in a + b for a, b in merges):
        merges = [" ".join(merge) for merge in merges]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": rng.choice([None, None, "<unk>", "<unk>", "<unk>", "<none>"]),
        "fuse_unk": rng.random() < 0.5,
        "continuing_subword_prefix": prefix,
        "end_of_word_suffix": suffix,
        "byte_fallback": rng.random() < 0.3,
        "ignore_merges": rng.random() < 0.3,
        "vocab": dict(zip(tokens, ids)),
        "merges": merges,
    }
    for key in ("type", "dropout", "ignore_merges", "byte_fallback"):
        if rng.random() < 0.1:
            del model[key]
    return model


def added_tokens(rng, vocab):
    tokens, next_id = [], len(vocab)
    contents = [
        "<a>",
        "<a>b",
        "ab",
        "abc",
        " a",
        "a ",
        "é",
        "e\u0301",
        "A",
        "a",
        "  ",
        "\n",
        "<unk>",
        "漢字",
        "b",
        "Word",
        "word",
        "İ",
        "ﬁ",
        "1",
    ]
    for content in rng.sample(contents, rng.randint(0, 6)):
        token = {"id": vocab.get(content, next_id), "content": content}
        for flag in ("single_word", "lstrip", "rstrip", "normalized", "special"):
            token[flag] = rng.random() < 0.35
        next_id += content not in vocab
        tokens.append(token)
    return tokens


def random_file(rng):
    pre = pre_tokenizer(rng) if rng.random() < 0.85 else None
    model = bpe(rng, byte_level="ByteLevel" in json.dumps(pre))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(rng, model["vocab"]),
        "normalizer": normalizer(rng) if rng.random() < 0.6 else None,
        "pre_tokenizer": pre,
        "post_processor": rng.choice(
            [None, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}]
        ),
        "decoder": decoder(rng) if rng.random() < 0.8 else None,
        "model": model,
    }


def small_text(rng, contents):
    if rng.random() < 0.3:
        return random_text(rng, contents)
    return "".join(rng.choice(ALPHABET + contents + ["a", "b", "ab", " ", "  "]) for _ in range(rng.randint(0, 20)))
