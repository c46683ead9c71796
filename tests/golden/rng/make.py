"""Values of core/rng.h, computed by an implementation of its own in Python: `python3 make.py > values.json`.

Needs libxxhash (Debian: libxxhash0). A change of these values is a change of every seeded run: never make one unawares.
"""
import ctypes
import json
import math

XXHASH = ctypes.CDLL("libxxhash.so.0")
XXHASH.XXH3_64bits_withSeed.restype = ctypes.c_uint64
XXHASH.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]

WORD = 0xFFFFFFFF


def philox4x32(counter: list[int], key: list[int]) -> list[int]:
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [(second >> 32) ^ counter[1] ^ key[0], second & WORD, (first >> 32) ^ counter[3] ^ key[1], first & WORD]
        key = [(key[0] + 0x9E3779B9) & WORD, (key[1] + 0xBB67AE85) & WORD]
    return counter


def key_of(seed: int, name: str) -> list[int]:
    text = name.encode()
    value = XXHASH.XXH3_64bits_withSeed(text, len(text), seed)
    return [value & WORD, value >> 32]


class Stream:
    def __init__(self, seed: int, name: str, step: int, rank: int):
        self.key, self.tail = key_of(seed, name), [rank & WORD, step & WORD, step >> 32 & WORD]
        self.block, self.words = 0, []

    def uint32(self) -> int:
        if not self.words:
            self.words = philox4x32([self.block] + self.tail, self.key)
            self.block += 1
        return self.words.pop(0)

    def uint64(self) -> int:
        low = self.uint32()
        return self.uint32() << 32 | low

    def below(self, bound: int) -> int:
        while True:
            product = self.uint64() * bound
            if product % 2**64 >= 2**64 % bound:
                return product >> 64

    def uniform(self) -> float:
        return (self.uint64() >> 11) / 2**53

    def normal(self) -> float:
        radius = math.sqrt(-2.0 * math.log1p(-self.uniform()))
        return radius * math.cos(2.0 * math.pi * self.uniform())


def permutation(seed: int, name: str, epoch: int, size: int) -> list[int]:
    key, sums = key_of(seed, name), Stream(seed, name, epoch, 0x80000000)
    partner_sums = [sums.below(size) for _ in range(max(32, 6 * size.bit_length()))]

    def at(index: int) -> int:
        for turn, total in enumerate(partner_sums):
            partner = (total - index) % size
            if philox4x32([max(index, partner), 0x80000001 + turn, epoch & WORD, epoch >> 32 & WORD], key)[0] & 1:
                index = partner
        return index

    return [at(position) for position in range(size)]


def stream_values(seed: int, name: str, step: int, rank: int) -> dict:
    def draw(method: str, *arguments, count: int = 6) -> list:
        stream = Stream(seed, name, step, rank)
        return [getattr(stream, method)(*arguments) for _ in range(count)]

    return {"seed": seed, "name": name, "step": step, "rank": rank, "uint32": draw("uint32"), "uint64": draw("uint64"),
            "below_10": draw("below", 10), "below_3_2_62": draw("below", 3 * 2**62, count=20), "uniform": draw("uniform"),
            "normal": draw("normal")}


def main() -> None:
    streams = [stream_values(*which) for which in
               [(0, "", 0, -1), (1, "lora.init", 0, -1), (2**64 - 1, "sampler.shuffle", 2**40 + 3, 5), (17, "dropout", -1, 0),
                (17, "a name longer than the sixteen bytes of one hash lane, and then some more of it", 500, 2**31 - 1)]]
    permutations = [{"seed": 3, "name": "sampler.shuffle", "epoch": epoch, "size": size,
                     "order": permutation(3, "sampler.shuffle", epoch, size)}
                    for epoch, size in [(0, 1), (0, 2), (1, 5), (2**33, 17), (2, 100)]]
    print(json.dumps({"streams": streams, "permutations": permutations}, indent=1))


if __name__ == "__main__":
    main()
