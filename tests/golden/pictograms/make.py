"""Two tiny fonts in the places of Noto Color Emoji and Symbola, for the tests of `trireme prepare pictograms`.

colour.ttf   CBDT/CBLC bitmaps of 20 x 16 pixels for the sequences below; ZWJ and skin tone sequences are ligatures.
             U+1F603 has the same bitmap as U+1F600.
outline.ttf  outlines for U+1F600, U+1F480 and U+1F40C; the last one is empty.

Run with fontTools 4.68 and Pillow:  python make.py
"""
import io
import pathlib

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import newTable
from fontTools.ttLib.tables.BitmapGlyphMetrics import SmallGlyphMetrics
from fontTools.ttLib.tables.C_B_D_T_ import cbdt_bitmap_format_17
from fontTools.ttLib.tables.E_B_L_C_ import BitmapSizeTable, SbitLineMetrics, Strike, eblc_index_sub_table_1
from PIL import Image, ImageDraw

HERE = pathlib.Path(__file__).parent
EM = 1024
TONES = [0x1F3FB + i for i in range(5)]
SINGLE = [0x1F600, 0x1F603, 0x1F601, 0x1F480, 0x1F40C, 0x1F44B, 0x1F9D1, 0x1F468, 0x1F680, 0x1F3C1] + TONES
JOINER = 0x200D
SEQUENCES = [[0x1F44B, tone] for tone in TONES] + [[0x1F9D1, 0x200D, 0x1F680], [0x1F468, 0x200D, 0x1F680]]


def name(code_points):
    return "u" + "_".join(f"{c:X}" for c in code_points)


def png(number):
    """A picture that differs for each number: a disc of its colour, off centre, on transparency."""
    image = Image.new("RGBA", (20, 16))
    colour = (40 + number * 37 % 200, 30 + number * 91 % 200, 20 + number * 53 % 200, 255)
    ImageDraw.Draw(image).ellipse((2 + number % 3, 1, 15, 10 + number % 5), fill=colour)
    out = io.BytesIO()
    image.save(out, "png")
    return out.getvalue()


def colour_font():
    glyphs = [".notdef"] + [name([c]) for c in SINGLE] + [name(s) for s in SEQUENCES] + [name([JOINER])]
    builder = FontBuilder(EM, isTTF=False)
    builder.font.sfntVersion = "\x00\x01\x00\x00"  # no outlines of either kind
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({c: name([c]) for c in SINGLE + [JOINER]})
    builder.setupHorizontalMetrics({glyph: (EM, 0) for glyph in glyphs})
    builder.setupHorizontalHeader(ascent=EM, descent=0)
    builder.setupOS2()
    builder.setupPost(keepGlyphNames=False)
    builder.setupMaxp()
    font = builder.font
    rules = "\n".join(f"sub {' '.join(name([c]) for c in s)} by {name(s)};" for s in SEQUENCES)
    builder.addOpenTypeFeatures(f"feature ccmp {{\n{rules}\n}} ccmp;")

    drawn = [glyph for glyph in glyphs if glyph not in (".notdef", name([JOINER]))]
    bitmaps = {}
    for number, glyph in enumerate(drawn):
        bitmap = cbdt_bitmap_format_17(b"", font)
        bitmap.metrics = SmallGlyphMetrics()
        bitmap.metrics.height, bitmap.metrics.width = 16, 20
        bitmap.metrics.BearingX, bitmap.metrics.BearingY, bitmap.metrics.Advance = 0, 16, 20
        bitmap.imageData = png(0 if glyph == name([0x1F603]) else number)
        bitmaps[glyph] = bitmap
    font["CBDT"] = newTable("CBDT")
    font["CBDT"].version = 3.0
    font["CBDT"].strikeData = [bitmaps]

    size = BitmapSizeTable()
    size.colorRef, size.flags, size.bitDepth, size.ppemX, size.ppemY = 0, 1, 32, 20, 20
    size.startGlyphIndex, size.endGlyphIndex = font.getGlyphID(drawn[0]), font.getGlyphID(drawn[-1])
    for direction in ("hori", "vert"):
        metrics = SbitLineMetrics()
        for field in ("caretSlopeNumerator", "caretSlopeDenominator", "caretOffset", "minOriginSB", "minAdvanceSB",
                      "maxBeforeBL", "minAfterBL", "pad1", "pad2"):
            setattr(metrics, field, 0)
        metrics.ascender, metrics.descender, metrics.widthMax = 16, 0, 20
        setattr(size, direction, metrics)
    index = eblc_index_sub_table_1(b"", font)
    index.indexFormat, index.imageFormat = 1, 17
    index.names = drawn
    index.firstGlyphIndex, index.lastGlyphIndex = size.startGlyphIndex, size.endGlyphIndex
    strike = Strike()
    strike.bitmapSizeTable, strike.indexSubTables = size, [index]
    font["CBLC"] = newTable("CBLC")
    font["CBLC"].version = 3.0
    font["CBLC"].strikes = [strike]
    font.save(HERE / "colour.ttf")


def outline_font():
    box = TTGlyphPen(None)
    for left, low, right, high in ((100, 0, 900, 800), (300, 200, 700, 600)):
        box.moveTo((left, low))
        box.lineTo((left, high))
        box.lineTo((right, high))
        box.lineTo((right, low))
        box.closePath()
    triangle = TTGlyphPen(None)
    triangle.moveTo((0, 0))
    triangle.lineTo((500, 900))
    triangle.lineTo((1000, 0))
    triangle.closePath()
    glyphs = {".notdef": TTGlyphPen(None).glyph(), "smile": box.glyph(), "skull": triangle.glyph(),
              "snail": TTGlyphPen(None).glyph()}
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({0x1F600: "smile", 0x1F480: "skull", 0x1F40C: "snail"})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics({glyph: (EM, 0) for glyph in glyphs})
    builder.setupHorizontalHeader(ascent=EM, descent=0)
    builder.setupOS2()
    builder.setupPost(keepGlyphNames=False)
    builder.font.save(HERE / "outline.ttf")


if __name__ == "__main__":
    colour_font()
    outline_font()
