"""Writes format_string.jsonl: [text, format_string(text)] pairs from the reference, which is Python's own str methods.

    python make_format_string.py > format_string.jsonl
"""
import json
import random


def format_string(s):
    """UniIR's normalisation, as LamRA's data sets use it."""
    s = (s or "").replace("\r", "").strip().strip('"')
    if s:
        s = s[0].upper() + s[1:]
        s = s + "." if s[-1] not in [".", "?", "!"] else s
    return s


HAND_PICKED = [
    "", " ", "\r", '"', '""', '" "', '" a', "a", "a.", "a?", "a!", "a,", "ß", "ßeta", "ŉ", "ﬁne", "ǆ", "ǅ", "ΐ", "ᾳ", "և",
    "été", "éclair", "ça", "привет", "中文", "١", "\u00a0x\u00a0", "\u3000wide\u3000", "\u200bnot a space",
    "\u0085next line\u0085", "\x1ca\x1f", "a\r\nb\r\n", '"quoted"', '""twice""', '" inner spaces "', "a\"", "\"a", "...",
    "😀 smile", "A dog.\r", "\ufeffbom", "e\u0301", "i\u0307", "ı", "İ", "\u1e9e", "𐐨", "ꭰ", "ა", "\u0345x",
]

rng = random.Random(7)
ALPHABET = list('ab"\r\n\t .?!éßﬁ中😀\u00a0\u3000\u0085\u2028ŉǰж') + ["\x1f", "\u200a", "\u202f"]
texts = HAND_PICKED + ["".join(rng.choices(ALPHABET, k=rng.randrange(12))) for _ in range(400)]
for text in texts:
    print(json.dumps([text, format_string(text)], ensure_ascii=True))
