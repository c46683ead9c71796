"""Makes the goldens of data/image with Pillow and transformers.

    python make.py        (Pillow 13.0, transformers 5.23, NumPy; cjpeg of libjpeg-turbo-progs and webpmux of webp)

files/          one small image of every kind (tests/support/image_files.py), and JPEG forms that Pillow does not write
decoded.tsv     each file: its size, sha256 of the RGB pixels on white and with alpha dropped, a size and sha256 of the
                resize to it, the grid and sha256 of the patches (limits 4 and 12 merged patches)
resized.tsv     sizes from and to, sha256 of the resize of formula_picture() in Pillow's order and with rows first
smart_resize.tsv  rule, limits, patch and merge size, size, and the size that comes of it
hostile/        bombs and shapes that must be refused

16-bit grey is given to Pillow by its high byte.
"""
import hashlib
import io
import math
import pathlib
import shutil
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "support"), str(HERE.parents[1] / "peer")]
import image_files  # noqa: E402
from image_parity import on_white, upright  # noqa: E402

LIMITS = (4 * 28 * 28, 12 * 28 * 28)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def write_table(name: str, rows: list[tuple]) -> None:
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (HERE / name).write_text(text, encoding="utf-8")


def with_cjpeg(picture: np.ndarray, *options: str) -> bytes:
    ppm = image_files.saved(Image.fromarray(picture), format="PPM")
    return subprocess.run(["cjpeg", *options], input=ppm, capture_output=True, check=True).stdout


def offset_animation(rng) -> bytes:
    """An animation whose first frame leaves part of the canvas open."""
    folder = HERE / "animation"
    folder.mkdir()
    for index in range(2):
        frame = Image.fromarray(image_files.picture(rng, 12, 14, 4))
        (folder / f"{index}").write_bytes(image_files.saved(frame, format="WEBP", lossless=True))
    subprocess.run(["webpmux", "-frame", folder / "0", "+100+4+2+1", "-frame", folder / "1", "+100+12+10+0",
                    "-bgcolor", "255,10,200,30", "-o", folder / "out"], check=True, capture_output=True)
    data = (folder / "out").read_bytes()
    shutil.rmtree(folder)
    return data


def make_files(rng) -> None:
    folder = HERE / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

    def write(kind: str, data: bytes) -> None:
        form = kind.split()[0].replace("jpeg", "jpg")
        name = "".join(letter if letter.isalnum() else "_" for letter in kind.split(" ", 1)[1]).replace("__", "_")
        (folder / f"{name}.{form}").write_bytes(data)

    for kind, make in image_files.KINDS.items():
        write(kind, make(rng, int(rng.integers(9, 40)), int(rng.integers(9, 40))))
    for orientation in range(1, 9):
        write(f"jpeg orientation {orientation}",
              image_files.jpeg(rng, 10, 17, exif_data=b"Exif\0\0" + image_files.exif(orientation)))
    picture = image_files.picture(rng, 35, 26, 3)
    for name, *options in (("4:4:0", "-sample", "1x2"), ("4:1:1", "-sample", "4x1"), ("arithmetic", "-arithmetic"),
                           ("odd sampling", "-sample", "2x2,1x2"),
                           ("arithmetic progressive", "-arithmetic", "-progressive")):
        write(f"jpeg {name}", with_cjpeg(picture, *options))
    write("webp animated with offset", offset_animation(rng))


def describe_files(rng) -> None:
    processor = Qwen2VLImageProcessorPil(min_pixels=LIMITS[0], max_pixels=LIMITS[1])
    rows = []
    for path in sorted((HERE / "files").iterdir()):
        image = upright(path.read_bytes())
        rgb = on_white(image)
        to = (int(rng.integers(5, 70)), int(rng.integers(5, 70)))
        resized = Image.fromarray(rgb).resize((to[1], to[0]), Image.Resampling.BICUBIC)
        out = processor(images=image, return_tensors="np")
        rows.append((path.name, image.height, image.width, sha256(rgb), sha256(np.array(image.convert("RGB"))), *to,
                     sha256(np.array(resized)), *out["image_grid_thw"][0, 1:], sha256(out["pixel_values"])))
    write_table("decoded.tsv", rows)


def formula_picture(height: int, width: int) -> np.ndarray:
    y, x, c = np.mgrid[0:height, 0:width, 0:3].astype(np.uint32)
    return (((y * 73 + x * 151 + c * 199 + (y * x) % 251) * np.uint32(2654435761)) >> 24).astype(np.uint8)


def make_resized(rng) -> None:
    sizes = [(1, 1, 1, 1), (1, 1, 7, 9), (9, 7, 1, 1), (5, 5, 5, 9), (5, 5, 9, 5), (300, 2, 30, 28), (2, 300, 28, 30),
             (40, 40, 30, 35), (40, 40, 29, 35), (40, 40, 31, 35), (1000, 700, 560, 392), (64, 48, 640, 480)]
    sizes += [tuple(int(side) for side in rng.integers(1, 180, 4)) for _ in range(60)]
    rows = []
    for height, width, to_height, to_width in sizes:
        image = Image.fromarray(formula_picture(height, width))
        direct = image.resize((to_width, to_height), Image.Resampling.BICUBIC)
        rows_first = image.resize((to_width, height), Image.Resampling.BICUBIC)
        rows_first = rows_first.resize((to_width, to_height), Image.Resampling.BICUBIC)
        rows.append((height, width, to_height, to_width, sha256(np.array(direct)), sha256(np.array(rows_first))))
    write_table("resized.tsv", rows)


def lamra_smart_resize(height, width, factor, min_pixels, max_pixels):
    """qwen-vl-utils' arithmetic, and the bound on the result's aspect ratio that LamRA's copy adds."""
    if max(height, width) / min(height, width) > 200:
        raise ValueError
    new_height, new_width = max(factor, round(height / factor) * factor), max(factor, round(width / factor) * factor)
    if new_height * new_width > max_pixels:
        beta = math.sqrt(height * width / max_pixels)
        new_height = math.floor(height / beta / factor) * factor
        new_width = math.floor(width / beta / factor) * factor
    elif new_height * new_width < min_pixels:
        beta = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * beta / factor) * factor
        new_width = math.ceil(width * beta / factor) * factor
    new_height = min(new_height, 200 * new_width)
    return new_height, min(new_width, 200 * new_height)


def make_smart_resize(rng) -> None:
    rows = []
    sizes = [(1, 1), (14, 14), (13, 15), (14, 42), (42, 70), (28, 5600), (28, 5601), (1, 200), (1, 201), (20, 4000),
             (7, 1400), (5600, 28), (98, 98), (1000000, 5000), (126, 126), (182, 42)]
    sizes += [tuple(int(10 ** side) for side in rng.uniform(0, 3.7, 2)) for _ in range(120)]
    for min_pixels, max_pixels, patch, merge in ((3136, 1003520, 14, 2), (3136, 235200, 14, 2), (200704, 401408, 14, 2),
                                                 (1024, 50000, 16, 2), (1, 900, 14, 1)):
        for height, width in sizes:
            for rule, function in (("transformers", smart_resize), ("lamra", lamra_smart_resize)):
                try:
                    result = function(height, width, patch * merge, min_pixels, max_pixels)
                except ValueError:
                    result = (0, 0)  # refused
                rows.append((rule, min_pixels, max_pixels, patch, merge, height, width, *result))
    write_table("smart_resize.tsv", rows)


def make_hostile(rng) -> None:
    folder = HERE / "hostile"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    header = (20000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(image_files.chunk(*parts) for parts in chunks)
    (folder / "bomb.png").write_bytes(png)
    jpeg = bytearray(image_files.jpeg(rng, 8, 8))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5:frame + 9] = (20000).to_bytes(2, "big") * 2
    (folder / "bomb.jpg").write_bytes(jpeg)
    webp = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + (15999).to_bytes(3, "little") * 2
    (folder / "bomb.webp").write_bytes(b"RIFF" + (len(webp) + 4).to_bytes(4, "little") + b"WEBP" + webp)
    wide = image_files.png(np.zeros((1, 20000, 1), np.int64), image_files.GREY, 1, rng)
    (folder / "wide.png").write_bytes(wide)
    text = image_files.chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(32 << 20), 9))
    (folder / "text_bomb.png").write_bytes(image_files.png(np.zeros((4, 4, 3), np.int64), image_files.RGB, 8, rng,
                                                           before=text))
    (folder / "page.html").write_text("<!doctype html><title>404</title>")
    (folder / "picture.gif").write_bytes(image_files.saved(Image.new("P", (3, 3)), format="GIF"))
    empty = io.BytesIO(b"\xff\xd8\xff\xd9")
    (folder / "no_picture.jpg").write_bytes(empty.getvalue())


def main() -> None:
    rng = np.random.default_rng(20240917)
    make_files(rng)
    describe_files(rng)
    make_resized(rng)
    make_smart_resize(rng)
    make_hostile(rng)


if __name__ == "__main__":
    main()
