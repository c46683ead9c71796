"""Texts that tokenizers disagree about: random ones of all scripts, and a list picked by hand."""

import random

# Sentences that a small BPE is trained on: enough for merges in several scripts.
SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and they've all said that it isn't what we're looking for.",
    "I'd say you'll find 1234567890 reasons; he's sure she'd agree, but I'm not. WE'RE THEY'VE I'LL",
    "    for (int i = 0; i < n; ++i) {\n        total += values[i] * 0.5;\n    }\n\n\treturn total;\r\n",
    "Příliš žluťoučký kůň úpěl ďábelské ódy. Zażółć gęślą jaźń. Árvíztűrő tükörfúrógép.",
    "Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis. Größe, Straße, ÄÖÜ.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Жебракують філософи при ґанку церкви.",
    "Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία. Tiếng Việt có nhiều dấu thanh: ạ ả ã â ầ ấ.",
    "我能吞下玻璃而不伤身体。検索の結果を並べ替える。いろはにほへと ちりぬるを。カタカナ",
    "나는 유리를 먹을 수 있어요. 그래도 아프지 않아요. ไทยเขียนโดยไม่เว้นวรรค",
    "أنا قادر على أكل الزجاج و هذا لا يؤلمني. אני יכול לאכול זכוכית וזה לא מזיק לי.",
    "मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं पहुंचती. আমি কাঁচ খেতে পারি",
    "Retrieve an image that matches the caption: a red kite over the sea at dusk, 3 boats, 1/2 moon.",
]

# Where the interesting code points are; the rest is drawn evenly from all of Unicode.
BLOCKS = [
    (0x00, 0x7F),
    (0x20, 0x7E),
    (0x61, 0x7A),
    (0x80, 0xFF),
    (0x100, 0x24F),
    (0x250, 0x2FF),
    (0x300, 0x36F),
    (0x370, 0x52F),
    (0x530, 0x6FF),
    (0x700, 0x8FF),
    (0x900, 0xDFF),
    (0xE00, 0xFFF),
    (0x1000, 0x13FF),
    (0x1400, 0x1AFF),
    (0x1B00, 0x1FFF),
    (0x2000, 0x206F),
    (0x2070, 0x2BFF),
    (0x2C00, 0x2FFF),
    (0x3000, 0x30FF),
    (0x3100, 0x33FF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xABFF),
    (0xAC00, 0xD7FF),
    (0x1100, 0x11FF),
    (0xE000, 0xF8FF),
    (0xF900, 0xFAFF),
    (0xFB00, 0xFDFF),
    (0xFE00, 0xFFFF),
    (0x10000, 0x10FFF),
    (0x11000, 0x11FFF),
    (0x12000, 0x16FFF),
    (0x17000, 0x1CFFF),
    (0x1D000, 0x1DFFF),
    (0x1E000, 0x1EFFF),
    (0x1F000, 0x1FAFF),
    (0x1FB00, 0x20FFF),
    (0x2F800, 0x2FA1F),
    (0x30000, 0x323AF),
    (0xE0000, 0xE01EF),
    (0xF0000, 0x10FFFF),
    (0, 0x10FFFF),
]
SPACES = (
    " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u180e\u2000\u2007\u2009\u200a\u200b\u2028\u2029"
    "\u202f\u205f\u2060\u3000\ufeff"
)
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'Ll", "'ſ", "’s", "''s", "'sd"]
EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "1️⃣", "🧑🏿‍🚀", "❤️‍🔥", "😀", "☺︎", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🫨", "🩷"]
MARKS = "".join(
    map(
        chr,
        [
            0x300,
            0x301,
            0x302,
            0x308,
            0x30A,
            0x316,
            0x323,
            0x327,
            0x328,
            0x334,
            0x338,
            0x345,
            0x5B0,
            0x64B,
            0x653,
            0x7FD,
            0x898,
            0x93C,
            0x94D,
            0xE38,
            0xF71,
            0x1AB0,
            0x1DC0,
            0x20D0,
            0x302A,
            0x3099,
            0x309A,
            0xFE20,
            0x11930,
            0x1D165,
            0x1E4EC,
        ],
    )
)


def code_point(rng):
    first, last = rng.choice(BLOCKS)
    while True:
        c = rng.randint(first, last)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def piece(rng, special):
    kind = rng.randrange(12)
    if kind == 0:
        return "".join(code_point(rng) for _ in range(rng.randint(1, 8)))
    if kind == 1:
        first, last = rng.choice(BLOCKS[:-2])
        return "".join(
            chr(rng.randint(first, last)) for _ in range(rng.randint(1, 10)) if not 0xD000 <= first <= 0xDFFF
        )
    if kind in (2, 3):
        return rng.choice(["", " ", " ", "  "]) + rng.choice(rng.choice(SENTENCES).split(" "))
    if kind == 4:
        return "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 6)))
    if kind == 5:
        return rng.choice(" \n\t") * rng.randint(1, 9)
    if kind == 6:
        return rng.choice(["it", "I", "x", "é", ""]) + rng.choice(CONTRACTIONS)
    if kind == 7:
        return rng.choice(EMOJI)
    if kind == 8:
        base = rng.choice(
            [
                "a",
                "e",
                "o",
                "A",
                "が",
                "か",
                "각",
                "ᄀ",
                "ᅡ",
                "ᆨ",
                "\u0915",
                "\u1100\u1161",
                "\U00011935",
                code_point(rng),
            ]
        )
        return base + "".join(rng.choice(MARKS) for _ in range(rng.randint(0, 5)))
    if kind == 9:
        return str(rng.randint(0, 10 ** rng.randint(1, 12))) + rng.choice(["", ".", ",", "%", "²", "½", "Ⅷ", "٣"])
    if kind == 10:
        return "".join(rng.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") for _ in range(rng.randint(1, 5)))
    token = rng.choice(special)
    cut = rng.randint(1, len(token))
    return rng.choice([token, token, token, " " + token + " ", token[:cut], token.upper(), token + token[cut:]])


def random_text(rng, special):
    return "".join(piece(rng, special) for _ in range(rng.choice([1, 2, 3, 5, 8, 13])))


def random_texts(seed, count, special):
    rng = random.Random(seed)
    return [random_text(rng, special) for _ in range(count)]


PICKED = [
    "",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\n\n\n",
    " \n",
    "\n ",
    "\t\t",
    "a",
    " a",
    "  a",
    "   a b",
    "a  ",
    "a \n b",
    "a\n\n\nb",
    " \n \n ",
    "a \t b",
    "\0",
    "a\0b",
    "\x01\x02",
    "\x7f",
    "\x80\x85\x9f",
    "\xa0",
    "\u00ad",
    "\ufeffx",
    "\u200b",
    "\u2028\u2029",
    "\u180e",
    "\u3000全角\u3000",
    "Hello, world!",
    "don't DON'T Don't doN'T",
    "we'll they've I'm he'd it's 're",
    "'s",
    "'S",
    "'ſ",
    "’s",
    "''",
    "O'Brien's",
    "x'll'd",
    "1",
    "12",
    "123",
    "1234567",
    "3.14159",
    "1,000,000",
    "1e-5",
    "0x1F",
    "①②③",
    "²³",
    "½",
    "Ⅻ",
    "٠١٢",
    "१२३",
    "１２３",
    "𝟏𝟐𝟑",
    "a1b2c3",
    "一二三",
    "CamelCaseWord",
    "snake_case_word",
    "kebab-case",
    "http://example.com/a?b=c&d=%20#e",
    "user@example.org",
    "C:\\path\\file",
    "<html>&amp;</html>",
    "def f(x):\n    return x ** 2  # square\n",
    "\tif (a && b) {\n\t\treturn !c;\n\t}\r\n",
    "a=b;c",
    "...",
    "!!!???",
    "—–-",
    "«»“”‘’",
    "$€£¥",
    "+−×÷=≠≈",
    "naïve café",
    "nai\u0308ve cafe\u0301",
    "A\u030a Å \u212b",
    "q\u0323\u0307 q\u0307\u0323",
    "e\u0301\u0323",
    "\u1e9b\u0323",
    "\u0344",
    "\u0958 \u0915\u093c",
    "\u0f73 \u0f71\u0f72",
    "\u2126 \u212a \u2329",
    "\ufb01 \ufb03 \ufdfa",
    "\u1100\u1161\u11a8 \uac01 \uac00\u11a8 \u1100\uac00",
    "\u3099か が か\u3099",
    "ﾊﾟ ハ\u309a",
    "a\u0315\u0300\u05ae\u0062",
    "\u0061\u0301\u0345\u0316",
    "\u09c7\u09be \u09cb",
    "\U0001d15e \U0001d157\U0001d165",
    "\U00011935\U00011930 \U00011938",
    "a\u1e4ec\u0323",
    "a\u0898\u0323",
    "a\u07fd\u0301\u0323",
    "\u0340\u0341",
    "\u037e",
    "\u1fef",
    "\uf900\ufa0e",
    "\U0002f800",
    "ß ẞ İ ı ſ K Å",
    "Ǆ ǅ ǆ",
    "Σσς",
    "ΑΣ ας",
    "ŉ ǰ",
    "ﬀ ﬁ",
    "\u1c89 \ua7cb \U00010d50 \U00016ea0",
    "Съешь ещё этих мягких булок",
    "أنا قادر على أكل الزجاج",
    "אני יכול",
    "मैं काँच खा सकता हूँ",
    "ไทยเขียน",
    "我能吞下玻璃",
    "カタカナひらがな漢字",
    "나는 유리를 먹을",
    "ᚠᛇᚻ",
    "ᎠᎣ",
    "ꦲꦏ",
    "𐌰𐌱",
    "𓀀𓀁",
    "𠀀𠀁",
    "\U000e0041\U000e007f",
    "\ue000\uf8ff",
    "\U0010ffff",
    "\uffff\ufffe",
    "\ufffd",
    "\U0001f1e6",
    *EMOJI,
    "👨‍👩‍👧 and 👍🏽!",
    "🇩🇪🇫🇷🇯",
    "e\u20dd",
    "a\u200db",
    "\u200d\u200c",
    "ab\u200ccd",
    "The    quick\t\tbrown \n\n fox",
    "trailing   ",
    "   leading",
    "mixed\u00a0nbsp\u2003em",
    "line1\rline2\r\rline3",
    "a" * 300,
    " " * 100,
    "ab " * 50,
    "é" * 64,
    "\n" * 40,
    "x" + "\u0301" * 40,
    "".join(map(chr, range(256))),
    "0" * 50,
    "!" * 50,
    "\U0001f600" * 20,
    *SENTENCES,
]
