"""Our decoder and preprocessing against Pillow and transformers' Qwen2VLImageProcessorPil, on random images.

    python tests/peer/image_parity.py --build build/release --images 200 [--seed 1]

Equal means every bit: decoded RGB, a bicubic resize to a random size, patches and grids. Expected values are those of
ImageOps.exif_transpose and the processor (which composites alpha on white), and of convert("RGB") for --drop-alpha. One
rule is ours: 16-bit grey counts by its high byte, where Pillow clips at 255; the reference is given the high byte.
JPEGs are also compared with Pillow's own decoding saved as PNG, which leaves the two JPEG decoders out.
Exit code 1 when anything differs. The last line sums up.
"""
import argparse
import collections
import io
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import PIL
import transformers
from PIL import Image, ImageOps, features
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import image_files  # noqa: E402

PIXEL_LIMITS = ((56 * 56, 28 * 28 * 1280), (4 * 28 * 28, 300 * 28 * 28), (256 * 28 * 28, 512 * 28 * 28),
                (4 * 28 * 28, 12 * 28 * 28))


def drawn_size(rng) -> tuple[int, int]:
    kind = rng.integers(0, 10)
    if kind == 0:  # very flat or very tall, down to one pixel
        short = int(rng.integers(1, 6))
        sides = [short, int(rng.integers(short, 200 * short + 1))]
        return tuple(int(side) for side in rng.permutation(sides))
    if kind == 1:
        return int(rng.integers(1, 30)), int(rng.integers(1, 30))
    if kind == 2:
        return int(rng.integers(400, 1200)), int(rng.integers(400, 1200))
    height = int(rng.integers(8, 400))
    return height, max(1, int(height * rng.uniform(0.3, 3)))


def upright(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    if image.mode == "I;16":
        high = Image.fromarray((np.array(image) >> 8).astype(np.uint8))
        high.info = {key: image.info[key] for key in ("exif",) if key in image.info}
        image = high
    return ImageOps.exif_transpose(image)


def on_white(image: Image.Image) -> np.ndarray:
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.split()[3])
        return np.array(white)
    return np.array(image.convert("RGB"))


def read_array(path: pathlib.Path, dtype, last_axis: int) -> np.ndarray | None:
    if not path.exists():
        return None
    raw = path.read_bytes()
    first, second = np.frombuffer(raw, np.int64, 2)
    return np.frombuffer(raw, dtype, offset=16).reshape(first, second, last_axis)


def equal(ours, theirs) -> bool:
    return ours is not None and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()


class Comparison:
    def __init__(self, tool: pathlib.Path, folder: pathlib.Path, limits: tuple[int, int]):
        self.tool, self.folder, self.limits = tool, folder, limits
        self.processor = Qwen2VLImageProcessorPil(min_pixels=limits[0], max_pixels=limits[1])

    def ours(self, paths, sizes, *options) -> tuple[pathlib.Path, list[str]]:
        out = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        rows = [f"{path}\t{size[0]}x{size[1]}" for path, size in zip(paths, sizes)]
        (out / "list").write_text("\n".join(rows) + "\n", encoding="utf-8")
        command = [self.tool, "dump", out / "list", "--out", out, *options]
        command += ["--min-pixels", str(self.limits[0]), "--max-pixels", str(self.limits[1])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return out, done.stdout.splitlines()

    def problems(self, out: pathlib.Path, index: int, image: Image.Image, rgb: np.ndarray, size) -> list[str]:
        """What differs, "" first for the decoded pixels so that a difference there explains the rest."""
        found = []
        ours = read_array(out / f"{index}.rgb", np.uint8, 3)
        if not equal(ours, rgb):
            found.append("decoded" + (f" (largest difference {np.abs(ours.astype(int) - rgb).max()}, "
                                      f"{(ours != rgb).mean():.2%} of samples)"
                                      if ours is not None and ours.shape == rgb.shape else ""))
        resized = np.array(Image.fromarray(rgb).resize((size[1], size[0]), Image.Resampling.BICUBIC))
        if not equal(read_array(out / f"{index}.resized", np.uint8, 3), resized):
            found.append("resized")
        theirs = self.processor(images=image, return_tensors="np")
        grid = theirs["image_grid_thw"][0].tolist()
        raw = read_array(out / f"{index}.patches", np.float32, theirs["pixel_values"].shape[1])
        if raw is None or [1, *raw.shape[:2]] != grid:
            found.append("grid")
        elif raw.tobytes() != theirs["pixel_values"].tobytes():
            found.append("patches")
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(arguments.seed)
    tool = (arguments.build / "bin" / "image_dump").resolve()
    print(f"Pillow {PIL.__version__} (libjpeg-turbo {features.version('libjpeg_turbo')}, libwebp "
          f"{features.version('webp')}), transformers {transformers.__version__}, seed {arguments.seed}")

    counts = collections.Counter()
    by_kind = collections.defaultdict(list)
    kinds = list(image_files.KINDS)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for batch, limits in enumerate(PIXEL_LIMITS):
            comparison = Comparison(tool, folder, limits)
            paths, chosen, sizes = [], [], []
            for index in range(batch, arguments.images, len(PIXEL_LIMITS)):
                kind = kinds[index % len(kinds)]
                paths.append(folder / f"{index}.image")
                paths[-1].write_bytes(image_files.KINDS[kind](rng, *drawn_size(rng)))
                chosen.append(kind)
                sizes.append((int(rng.integers(1, 600)), int(rng.integers(1, 600))))
            out, reports = comparison.ours(paths, sizes)
            dropped, _ = comparison.ours(paths, sizes, "--drop-alpha")
            for index, (path, kind, size, report) in enumerate(zip(paths, chosen, sizes, reports, strict=True)):
                image = upright(path.read_bytes())
                found = comparison.problems(out, index, image, on_white(image), size)
                bare = np.array(image.convert("RGB"))
                if not equal(read_array(dropped / f"{index}.rgb", np.uint8, 3), bare):
                    found.append("decoded without alpha")
                counts["patches"] += not {"grid", "patches"} & set(found)
                counts["all"] += not found
                by_kind[kind].append(not found)
                if found:
                    print(f"DIFFERS {path.name} {kind}, {image.width}x{image.height}: {', '.join(found)}; {report}")
            jpegs = [index for index, kind in enumerate(chosen) if kind.startswith("jpeg")]
            twins = [paths[index].with_suffix(".png") for index in jpegs]
            images = [upright(paths[index].read_bytes()).convert("RGB") for index in jpegs]
            for twin, image in zip(twins, images):
                image.save(twin)
            out, _ = comparison.ours(twins, [sizes[index] for index in jpegs])
            for twin, (index, image) in enumerate(zip(jpegs, images)):
                counts["twins"] += 1
                counts["equal twins"] += not comparison.problems(out, twin, image, np.array(image), sizes[index])
            for path in [*paths, *twins]:
                path.unlink()

    for kind, results in by_kind.items():
        print(f"{sum(results):4d} of {len(results):4d} equal  {kind}")
    print(f"same decoder: {counts['equal twins']} of {counts['twins']} JPEGs equal when Pillow decodes them for both")
    passed = counts["all"] == arguments.images and counts["equal twins"] == counts["twins"]
    print(f"image_parity: {'passed' if passed else 'FAILED'}: {counts['patches']} of {arguments.images} images "
          f"bit-identical in patches and grids, {counts['all']} in every comparison (seed {arguments.seed})")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
