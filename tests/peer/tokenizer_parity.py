"""Token ids and decoded texts against the `tokenizers` package, on random strings of all scripts.

    python tests/peer/tokenizer_parity.py --build build/release --strings 100000

For each style a small tokenizer is trained, and its ids for every string, as well as the text of random ids, are
compared with what build/release/bin/tokenizer_pipe makes of the same file. Every differing string is counted; the
first are printed. Exit code 1 when one differs. The last line is a summary.
"""

import argparse
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/golden/tokenizer"))

from styles import STYLES, special_strings  # noqa: E402
from texts import random_texts  # noqa: E402
from tokenizers import Tokenizer, models, normalizers  # noqa: E402

SHOWN = 5


def run_pipe(build, mode, file, payload):
    command = [str(pathlib.Path(build) / "bin/tokenizer_pipe"), mode, str(file)]
    return subprocess.run(command, input=payload, stdout=subprocess.PIPE, check=True).stdout


def read_records(data, item_bytes):
    """[count, items] or [-1, length, message], as bytes or as an error's text."""
    at = 0
    while at < len(data):
        (count,) = struct.unpack_from("<i", data, at)
        at += 4
        if count < 0:
            (length,) = struct.unpack_from("<i", data, at)
            yield "error: " + data[at + 4 : at + 4 + length].decode()
            at += 4 + length
        else:
            yield data[at : at + count * item_bytes]
            at += count * item_bytes


def encode_all(build, file, texts):
    encoded = [text.encode() for text in texts]
    payload = b"".join(struct.pack("<i", len(text)) + text for text in encoded)
    for record in read_records(run_pipe(build, "encode", file, payload), 4):
        yield record if isinstance(record, str) else list(struct.unpack(f"<{len(record) // 4}i", record))


def decode_all(build, file, id_lists):
    payload = b"".join(struct.pack(f"<i{len(ids)}i", len(ids), *ids) for ids in id_lists)
    for record in read_records(run_pipe(build, "decode", file, payload), 1):
        yield record if isinstance(record, str) else record.decode()


def count_differences(what, inputs, expected, got):
    different = [(i, e, g) for i, e, g in zip(inputs, expected, got, strict=True) if e != g]
    for item, want, have in different[:SHOWN]:
        print(f"  {what} {item!r}\n    package {want!r}\n    trireme {have!r}")
    return len(different)


def compare_style(name, arguments, folder):
    tokenizer = STYLES[name]()
    file = folder / f"{name}.json"
    tokenizer.save(str(file))
    texts = random_texts(f"{arguments.seed} {name}", arguments.strings, special_strings(tokenizer))
    expected = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    differing = count_differences("encode", texts, expected, encode_all(arguments.build, file, texts))

    rng = random.Random(arguments.seed)
    size = tokenizer.get_vocab_size()
    id_lists = [[rng.randrange(size + 3) for _ in range(rng.randint(0, 12))] for _ in range(arguments.strings // 10)]
    decoded = tokenizer.decode_batch(id_lists, skip_special_tokens=False)
    decoded_wrong = count_differences("decode", id_lists, decoded, decode_all(arguments.build, file, id_lists))
    return differing, decoded_wrong


def bytes_tokenizer(normalizer):
    """Every byte of the normalized text is an id."""
    vocab = {f"<0x{byte:02X}>": byte for byte in range(256)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=True))
    tokenizer.normalizer = normalizer
    return tokenizer


def compare_code_points(arguments, folder):
    """Every code point: in the styles between letters, digits, spaces and marks, and under every normalizer."""
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    cases = [(name, STYLES[name](), ["a{}a", " {}1", "{}'s", "!{}\n"]) for name in arguments.styles]
    for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase"):
        cases.append(
            (form, bytes_tokenizer(getattr(normalizers, form)()), ["a{}", "{}\u0323\u0301", "a\u0345{}\u0334"])
        )
    wrong = 0
    for name, tokenizer, contexts in cases:
        file = folder / f"{name}.json"
        tokenizer.save(str(file))
        for context in contexts:
            texts = [context.format(point) for point in points]
            expected = (e.ids for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
            different = count_differences(name, texts, expected, encode_all(arguments.build, file, texts))
            print(f"{name}, {context!r}: {different} of {len(texts)} code points differ", flush=True)
            wrong += different
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="build folder that holds bin/tokenizer_pipe")
    parser.add_argument("--strings", type=int, default=100_000, help="random strings per style")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--styles", nargs="+", default=list(STYLES), choices=list(STYLES))
    parser.add_argument("--every-code-point", action="store_true", help="all of Unicode too: some minutes more")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.every_code_point and compare_code_points(arguments, pathlib.Path(folder)):
            return 1
        for name in arguments.styles:
            results[name] = compare_style(name, arguments, pathlib.Path(folder))
            print(
                f"{name}: {results[name][0]} of {arguments.strings} strings and {results[name][1]} of "
                f"{arguments.strings // 10} id lists differ",
                flush=True,
            )
    wrong = sum(sum(counts) for counts in results.values())
    print(
        f"tokenizer parity: {wrong} differences in {len(results)} styles, {arguments.strings} strings each, "
        f"seed {arguments.seed}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
