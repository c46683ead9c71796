"""Random pictures, and every kind of JPEG, PNG and WebP file that a decoder must read: for goldens and tests/peer.

Needs NumPy and Pillow. Everything follows from the numpy Generator handed in.
"""
import dataclasses
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFile as PillowFiles

PillowFiles.MAXBLOCK = 1 << 24  # its encoder cannot write a progressive file with restart markers in smaller pieces

ORIENTATION_TAG = 0x0112
# Interlacing: first column, first row, column step, row step of each pass.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
GREY, RGB, INDEXED, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # PNG colour types
CHANNELS = {GREY: 1, RGB: 3, INDEXED: 1, GREY_ALPHA: 2, RGBA: 4}


def picture(rng: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """[height, width, channels] uint8: waves, hard-edged boxes and noise, so that every step of a codec has work."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(channels):
        fx, fy, phase = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(0, 6.28)
        plane = 127.5 + 127.5 * np.sin(fx * x + fy * y + phase)
        for _ in range(rng.integers(0, 4)):
            top, left = rng.integers(0, height), rng.integers(0, width)
            plane[top:top + rng.integers(1, height + 1), left:left + rng.integers(1, width + 1)] = rng.integers(0, 256)
        planes.append(plane + rng.normal(0, rng.choice([0, 2, 40]), plane.shape))
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def filtered(rows: np.ndarray, pixel_bytes: int, rng: np.random.Generator) -> bytes:
    """PNG scanlines [rows, bytes] with a filter type drawn for each."""
    out, before = [], np.zeros(rows.shape[1], np.int64)
    for row in rows.astype(np.int64):
        kind = int(rng.integers(0, 5))
        left, corner = np.zeros_like(row), np.zeros_like(row)
        left[pixel_bytes:], corner[pixel_bytes:] = row[:-pixel_bytes], before[:-pixel_bytes]
        estimate = left + before - corner
        distances = np.stack([abs(estimate - left), abs(estimate - before), abs(estimate - corner)])
        paeth = np.choose(np.argmin(distances, 0), [left, before, corner])
        prediction = [np.zeros_like(row), left, before, (left + before) // 2, paeth][kind]
        out.append(bytes([kind]) + ((row - prediction) % 256).astype(np.uint8).tobytes())
        before = row
    return b"".join(out)


def packed_rows(samples: np.ndarray, depth: int) -> np.ndarray:
    """[height, width, channels] integer samples to PNG rows of bytes."""
    height = samples.shape[0]
    flat = samples.reshape(height, -1)
    if depth == 16:
        return flat.astype(">u2").view(np.uint8).reshape(height, -1)
    if depth == 8:
        return flat.astype(np.uint8)
    bits = (flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)


def png(samples: np.ndarray, colour: int, depth: int, rng: np.random.Generator, *, interlaced: bool = False,
        before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG of these samples; `before` and `after` are whole chunks around the picture's own."""
    height, width = samples.shape[:2]
    pixel_bytes = max(1, CHANNELS[colour] * depth // 8)
    passes = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7] if interlaced else [samples]
    raw = b"".join(filtered(packed_rows(part, depth), pixel_bytes, rng) for part in passes if part.size)
    stream = zlib.compress(raw, int(rng.integers(0, 10)))
    cuts = sorted(rng.integers(0, len(stream) + 1, 2))
    data = b"".join(chunk(b"IDAT", stream[a:b]) for a, b in zip([0, *cuts], [*cuts, len(stream)]))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + data + after + chunk(b"IEND", b"")


def exif(orientation: int, *, big_endian: bool = False) -> bytes:
    order = ">" if big_endian else "<"
    entries = [(0x010F, 2, 4, b"abc\0"), (ORIENTATION_TAG, 3, 1, struct.pack(order + "H2x", orientation))]
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "IH", 8, len(entries)) + body + bytes(4)


@dataclasses.dataclass
class ImageFile:
    kind: str
    data: bytes


def saved(image: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def jpeg_image(rng, height, width, mode):
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    data = picture(rng, height, width, channels)
    return Image.fromarray(data[..., 0] if channels == 1 else data, mode)


def jpeg(rng, height, width, *, mode="RGB", subsampling=0, exif_data=b"", **options) -> bytes:
    if rng.integers(0, 3) == 0:
        options["restart_marker_blocks"] = int(rng.integers(1, 9))
    if exif_data:
        options["exif"] = exif_data
    return saved(jpeg_image(rng, height, width, mode), format="JPEG", quality=int(rng.integers(30, 99)),
                 subsampling=subsampling, **options)


def ycck_jpeg(rng, height, width) -> bytes:
    """A CMYK file whose Adobe marker is set to say YCCK: other colours, a well-formed file."""
    data = bytearray(jpeg(rng, height, width, mode="CMYK"))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def oriented_jpeg(rng, height, width) -> bytes:
    tiff = exif(int(rng.integers(1, 9)), big_endian=bool(rng.integers(0, 2)))
    return jpeg(rng, height, width, exif_data=b"Exif\0\0" + tiff, subsampling=int(rng.integers(0, 3)))


def xmp_jpeg(rng, height, width) -> bytes:
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % rng.integers(1, 9)
    return saved(jpeg_image(rng, height, width, "RGB"), format="JPEG", xmp=packet)


def grey_png(depth):
    def make(rng, height, width):
        return png(picture(rng, height, width, 1).astype(np.int64) * ((1 << depth) - 1) // 255, GREY, depth, rng,
                   interlaced=bool(rng.integers(0, 2)))
    return make


def grey_png_with_key(depth):
    """tRNS: one grey level is transparent."""
    def make(rng, height, width):
        samples = picture(rng, height, width, 1).astype(np.int64) * ((1 << depth) - 1) // 255
        key = int(samples[rng.integers(0, height), rng.integers(0, width), 0])
        return png(samples, GREY, depth, rng, before=chunk(b"tRNS", struct.pack(">H", key)))
    return make


def indexed_png(depth, transparent):
    def make(rng, height, width):
        colours = int(rng.integers(1, (1 << depth) + 1))
        samples = picture(rng, height, width, 1).astype(np.int64) * (colours - 1) // 255
        before = chunk(b"PLTE", rng.bytes(3 * colours))
        if transparent == "alphas":
            before += chunk(b"tRNS", rng.bytes(int(rng.integers(1, colours + 1))))
        elif transparent == "one":
            clear = int(rng.integers(0, colours))
            before += chunk(b"tRNS", b"\xff" * clear + b"\0")
        return png(samples, INDEXED, depth, rng, before=before, interlaced=bool(rng.integers(0, 2)))
    return make


def colour_png(colour, depth):
    def make(rng, height, width):
        samples = picture(rng, height, width, CHANNELS[colour]).astype(np.int64)
        if depth == 16:
            samples = samples * 256 + rng.integers(0, 256, samples.shape)
        before = chunk(b"gAMA", struct.pack(">I", 45455)) if rng.integers(0, 2) else b""
        return png(samples, colour, depth, rng, before=before, interlaced=bool(rng.integers(0, 2)))
    return make


def rgb_png_with_key(rng, height, width):
    samples = picture(rng, height, width, 3).astype(np.int64)
    key = samples[rng.integers(0, height), rng.integers(0, width)]
    return png(samples, RGB, 8, rng, before=chunk(b"tRNS", struct.pack(">HHH", *key.tolist())))


def oriented_png(rng, height, width):
    samples = picture(rng, height, width, 3).astype(np.int64)
    orientation = exif(int(rng.integers(1, 9)), big_endian=bool(rng.integers(0, 2)))
    place = int(rng.integers(0, 4))
    if place == 0:
        return png(samples, RGB, 8, rng, before=chunk(b"eXIf", orientation))
    if place == 1:
        return png(samples, RGB, 8, rng, after=chunk(b"eXIf", orientation))
    if place == 2:
        profile = b"\nexif\n%8d\n%s\n" % (len(orientation), orientation.hex().encode())
        return png(samples, RGB, 8, rng, before=chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)))
    packet = b"<tiff:Orientation>%d</tiff:Orientation>" % rng.integers(1, 9)
    return png(samples, RGB, 8, rng, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))


def webp(channels, lossless):
    def make(rng, height, width):
        options = {"lossless": lossless, "quality": int(rng.integers(20, 100)), "method": int(rng.integers(0, 5))}
        if rng.integers(0, 3) == 0:
            options["exif"] = exif(int(rng.integers(1, 9)))
        if lossless and channels == 4:
            options["exact"] = bool(rng.integers(0, 2))
        return saved(Image.fromarray(picture(rng, height, width, channels)), format="WEBP", **options)
    return make


def animated_webp(rng, height, width):
    frames = [Image.fromarray(picture(rng, height, width, 4)) for _ in range(3)]
    return saved(frames[0], format="WEBP", save_all=True, append_images=frames[1:], duration=40,
                 lossless=bool(rng.integers(0, 2)))


Maker = Callable[[np.random.Generator, int, int], bytes]

KINDS: dict[str, Maker] = {
    "jpeg 4:4:4": lambda rng, h, w: jpeg(rng, h, w, subsampling=0),
    "jpeg 4:2:2": lambda rng, h, w: jpeg(rng, h, w, subsampling=1),
    "jpeg 4:2:0": lambda rng, h, w: jpeg(rng, h, w, subsampling=2),
    "jpeg progressive 4:4:4": lambda rng, h, w: jpeg(rng, h, w, progressive=True),
    "jpeg progressive 4:2:0": lambda rng, h, w: jpeg(rng, h, w, subsampling=2, progressive=True),
    "jpeg grey": lambda rng, h, w: jpeg(rng, h, w, mode="L"),
    "jpeg grey progressive": lambda rng, h, w: jpeg(rng, h, w, mode="L", progressive=True),
    "jpeg stored as RGB": lambda rng, h, w: jpeg(rng, h, w, keep_rgb=True),
    "jpeg CMYK": lambda rng, h, w: jpeg(rng, h, w, mode="CMYK"),
    "jpeg YCCK": ycck_jpeg,
    "jpeg with EXIF orientation": oriented_jpeg,
    "jpeg with XMP orientation": xmp_jpeg,
    **{f"png grey {depth} bit": grey_png(depth) for depth in (1, 2, 4, 8, 16)},
    **{f"png grey {depth} bit, one level transparent": grey_png_with_key(depth) for depth in (1, 2, 4, 8)},
    **{f"png palette {depth} bit": indexed_png(depth, "") for depth in (1, 2, 4, 8)},
    **{f"png palette {depth} bit, one entry transparent": indexed_png(depth, "one") for depth in (4, 8)},
    **{f"png palette {depth} bit, alphas": indexed_png(depth, "alphas") for depth in (1, 2, 4, 8)},
    **{f"png {name} {depth} bit": colour_png(colour, depth) for depth in (8, 16)
       for name, colour in (("RGB", RGB), ("grey and alpha", GREY_ALPHA), ("RGBA", RGBA))},
    "png RGB, one colour transparent": rgb_png_with_key,
    "png with orientation": oriented_png,
    "webp lossy": webp(3, False),
    "webp lossless": webp(3, True),
    "webp lossy alpha": webp(4, False),
    "webp lossless alpha": webp(4, True),
    "webp animated": animated_webp,
}
