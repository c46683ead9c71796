"""Random tokenizer.json files against the `tokenizers` package: every component and option that is built in.

    python tests/peer/tokenizer_configs.py --build build/release --files 2000

Each file is drawn at random (normalizers, pre-tokenizers and their patterns, models, added tokens, decoders) and
loaded by both; then random texts are encoded and random ids decoded. What one of the two refuses is counted apart,
with the reasons: here alone, what is not built in; by the package alone, where it panics. Exit code 1 when ids or
texts differ, or when an encoding is refused here alone. The last line is a summary.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import struct
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/golden/tokenizer"))

from random_files import random_file, small_text  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402


class Pipe:
    def __init__(self, build):
        command = [str(pathlib.Path(build) / "bin/tokenizer_pipe"), "load"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def number(self):
        return struct.unpack("<i", self.process.stdout.read(4))[0]

    def record(self, item_bytes):
        count = self.number()
        if count < 0:
            return "error: " + self.process.stdout.read(self.number()).decode()
        return self.process.stdout.read(count * item_bytes)

    def run(self, text, texts, id_lists):
        parts = [len(text.encode()).to_bytes(4, "little"), text.encode(), struct.pack("<i", len(texts))]
        for one in texts:
            parts += [struct.pack("<i", len(one.encode())), one.encode()]
        parts.append(struct.pack("<i", len(id_lists)))
        parts += [struct.pack(f"<i{len(ids)}i", len(ids), *ids) for ids in id_lists]
        self.process.stdin.write(b"".join(parts))
        self.process.stdin.flush()
        refusal = self.record(4)
        if isinstance(refusal, str):
            return refusal, [], []
        encoded = [self.record(4) for _ in texts]
        decoded = [self.record(1) for _ in id_lists]
        return (
            None,
            [r if isinstance(r, str) else list(struct.unpack(f"<{len(r) // 4}i", r)) for r in encoded],
            [r if isinstance(r, str) else r.decode() for r in decoded],
        )


def package_run(action):
    """The result, or "error"; the package panics on some inputs, which Python sees as a BaseException."""
    try:
        return action()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001
        return f"error: {error}"


def is_error(result):
    return isinstance(result, str) and result.startswith("error: ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="build folder that holds bin/tokenizer_pipe")
    parser.add_argument("--files", type=int, default=2000, help="random tokenizer.json files")
    parser.add_argument("--texts", type=int, default=20, help="texts and lists of ids for each")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    pipe = Pipe(arguments.build)
    count = collections.Counter()
    reasons = collections.Counter()
    for index in range(arguments.files):
        rng = random.Random(f"{arguments.seed} {index}")
        file = random_file(rng)
        text = json.dumps(file, ensure_ascii=False)
        contents = [token["content"] for token in file["added_tokens"]] or ["<a>"]
        texts = [small_text(rng, contents) for _ in range(arguments.texts)]
        highest = max(file["model"]["vocab"].values()) + 10
        id_lists = [[rng.randrange(highest) for _ in range(rng.randint(0, 8))] for _ in range(arguments.texts)]
        refusal, encoded, decoded = pipe.run(text, texts, id_lists)
        package = package_run(lambda: Tokenizer.from_str(text))
        if is_error(package) or refusal:
            kind = (
                "files refused by both"
                if is_error(package) and refusal
                else "refused here alone" if refusal else "by the package alone"
            )
            count[kind] += 1
            if not refusal:
                reasons["by the package alone, " + re.sub(r"\d+", "..", package)[:140]] += 1
            if kind == "refused here alone":
                reasons["here alone, " + re.sub(r'"([^"\\]|\\.)*"|\d+', "..", refusal)[:160]] += 1
            continue
        count["files compared"] += 1
        package_ids = [package_run(lambda t=t: package.encode(t, add_special_tokens=False).ids) for t in texts]
        package_texts = [package_run(lambda i=i: package.decode(i, skip_special_tokens=False)) for i in id_lists]
        for what, given, want, have in [
            ("encode", texts, package_ids, encoded),
            ("decode", id_lists, package_texts, decoded),
        ]:
            for item, expected, got in zip(given, want, have):
                if is_error(expected) or is_error(got):
                    count[
                        f"{what} refused by "
                        + (
                            "both"
                            if is_error(expected) and is_error(got)
                            else "the package alone" if is_error(expected) else "us alone"
                        )
                    ] += 1
                    if is_error(expected) and not is_error(got):
                        reasons["by the package alone, " + re.sub(r"\d+", "..", expected)[:140]] += 1
                    if not is_error(expected):
                        print(f"{index}: {what} {item!r}: {got}")
                    continue
                count[f"{what} compared"] += 1
                if expected != got:
                    count["DIFFERENT"] += 1
                    if count["DIFFERENT"] <= 3:
                        print(
                            f"{index}: {what} {item!r}\n  package {expected}\n  trireme {got}\n  "
                            + json.dumps({k: v for k, v in file.items() if k != "model"}, ensure_ascii=False)
                            + json.dumps({k: v for k, v in file["model"].items() if k != "vocab"}, ensure_ascii=False)[
                                :600
                            ]
                        )
    for reason, times in reasons.most_common():
        print(f"  {times} times refused {reason}")
    print(
        "tokenizer configurations: "
        + ", ".join(f"{n} {what}" for what, n in sorted(count.items()))
        + f"; seed {arguments.seed}"
    )
    return 1 if count["DIFFERENT"] or count["encode refused by us alone"] else 0


if __name__ == "__main__":
    sys.exit(main())
