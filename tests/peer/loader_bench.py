"""Our training loader alone, and beside transformers' Qwen2-VL processor in a DataLoader with as many workers.

    python tests/peer/loader_bench.py --build build/release [--pictures 1500] [--photos 96] [--workers 2] [--rounds 3]

pictograms  pairs of a text and a 64-pixel PNG, resized to 56 x 56; records per second (a record is one side of a pair),
            with and without augmentation
photos      JPEG photographs of 640 x 480 to 1600 x 1200 pixels, scaled to at most 300 * 28 * 28: a query of picture and
            text against a text. The reference decodes with Pillow and runs image processor and tokenizer over prompts
            of the same words, in a torch DataLoader whose workers return the patches as they are: once with the image
            processor on Pillow and NumPy, to which ours is equal bit by bit, once with the one on torchvision.
All are timed in turn, `rounds` times; the best of each counts. The last line is the ratio to the faster reference.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.update(TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil  # noqa: E402
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests" / "golden" / "embed" / "model"
MAX_PIXELS = 300 * 28 * 28
WORDS = "a red apple on the table with two green pears and one yellow plum beside it".split()
PROMPT = ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{}{}\n"
          "Summarize above {} in one word: <|im_end|>\n<|im_start|>assistant\n")
AUGMENT = {"rotate_degrees": 12, "scale": 0.2, "shift": 0.1, "aspect": 0.12, "colour": 0.4, "grey": 0.15}


def scene(rng, height: int, width: int) -> np.ndarray:
    """Smooth colours, edges and a little noise: compresses about as a photograph does."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    image = np.zeros((height, width, 3), np.float32)
    for channel in range(3):
        for _ in range(4):
            fx, fy, phase = rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03), rng.uniform(0, 6.28)
            image[..., channel] += 32 * np.sin(fx * x + fy * y + phase)
    for _ in range(30):
        top, left = rng.integers(0, height), rng.integers(0, width)
        box = image[top:top + rng.integers(1, height // 3), left:left + rng.integers(1, width // 3)]
        box += rng.uniform(-90, 90, 3)
    return np.clip(image + 128 + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def sentence(rng) -> str:
    return " ".join(rng.choice(WORDS, size=rng.integers(4, 16)))


def write_benchmark(folder: pathlib.Path, paths: list[str], task: int, rng) -> list[tuple[str, str]]:
    """An M-BEIR folder: task 0, text to picture, or task 6, picture and text to text."""
    texts = [sentence(rng) for _ in paths]
    with open(folder / "queries.jsonl", "w", encoding="utf-8") as queries, \
            open(folder / "pool.jsonl", "w", encoding="utf-8") as pool:
        for i, (path, text) in enumerate(zip(paths, texts)):
            with_image = task == 6
            queries.write(json.dumps(dict(qid=f"9:{i}", query_txt=text, query_img_path=path if with_image else None,
                                          query_modality="image,text" if with_image else "text",
                                          pos_cand_list=[f"9:{i}"], task_id=task)) + "\n")
            pool.write(json.dumps(dict(did=f"9:{i}", txt=text if with_image else None,
                                       img_path=None if with_image else path,
                                       modality="text" if with_image else "image")) + "\n")
    (folder / "instructions.tsv").write_text(
        "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\n"
        "text\timage\tBench\t9\tFind the image.\nimage,text\ttext\tBench\t9\tFind the text.\n", encoding="utf-8")
    return list(zip(paths, texts))


def run_ours(build: pathlib.Path, folder: pathlib.Path, pairs: int, steps: int, workers: int, **options) -> dict:
    source = dict(files=["queries.jsonl"], pool="pool.jsonl", instructions="instructions.tsv")
    data = dict(root=str(folder), loader_threads=workers, sampler=dict(pairs_global=pairs), sources=[source],
                **options)
    run = dict(recipe="lamra_ret", run_dir=str(folder / "run"), model=dict(path=str(MODEL)),
               lora=dict(rank=1, alpha=1), data=data, train=dict(steps=1))
    (folder / "run.yaml").write_text(json.dumps(run), encoding="utf-8")
    done = subprocess.run([build / "bin" / "trireme", "bench", "loader", folder / "run.yaml", "--steps", str(steps)],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


class Records(torch.utils.data.Dataset):
    def __init__(self, folder: pathlib.Path, records: list[tuple[str, str]], rounds: int, processor):
        self.folder, self.records, self.rounds = folder, records, rounds
        self.processor = processor(min_pixels=56 * 56, max_pixels=MAX_PIXELS)
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(MODEL / "tokenizer.json"))

    def __len__(self) -> int:
        return len(self.records) * self.rounds

    def __getitem__(self, index: int):
        path, text = self.records[index % len(self.records)]
        image = Image.open(self.folder / path).convert("RGB")
        picture = self.processor(images=image, return_tensors="pt")
        tokens = int(picture["image_grid_thw"].prod()) // 4
        pads = "<|vision_start|>" + "<|image_pad|>" * tokens + "<|vision_end|>"
        query = self.tokenizer(PROMPT.format(pads, f"Find the text. {text}.", "image and sentence"))["input_ids"]
        target = self.tokenizer(PROMPT.format("", f"{text}.", "sentence"))["input_ids"]
        return picture["pixel_values"], torch.tensor(query), torch.tensor(target)


def run_reference(folder: pathlib.Path, records, workers: int, rounds: int, processor) -> float:
    """Pairs per second; the workers' start is not counted."""
    data = Records(folder, records, rounds, processor)
    loader = iter(torch.utils.data.DataLoader(data, batch_size=8, num_workers=workers, collate_fn=list,
                                              prefetch_factor=2))
    warm = 2 * workers
    for _ in range(warm):
        next(loader)
    start, pairs = time.perf_counter(), 0
    for batch in loader:
        pairs += len(batch)
    return pairs / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--photos", type=int, default=96)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    build, workers, rng = arguments.build.resolve(), arguments.workers, np.random.default_rng(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        paths = [f"{i}.png" for i in range(arguments.pictures)]
        for path in paths:
            Image.fromarray(scene(rng, 64, 64)).save(folder / path)
        write_benchmark(folder, paths, 0, rng)
        for title, options in (("pictograms", {}), ("pictograms, augmented", dict(augment=AUGMENT))):
            runs = [run_ours(build, folder, 64, 60, workers, min_pixels=56 * 56, max_pixels=56 * 56, prompt="bare",
                             **options) for _ in range(arguments.rounds)]
            best = max(runs, key=lambda run: run["records_per_s"])
            print(f"{title}: {best['records_per_s']:.0f} records/s ({best['images']} pictures in {best['records']} "
                  f"records, {workers} threads)", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        paths = [f"{i}.jpg" for i in range(arguments.photos)]
        for path in paths:
            height = int(rng.integers(480, 1200))
            Image.fromarray(scene(rng, height, height * 4 // 3)).save(folder / path, quality=90)
        records = write_benchmark(folder, paths, 6, rng)
        ours, by_pillow, by_torchvision = [], [], []
        for _ in range(arguments.rounds):
            run = run_ours(build, folder, 16, 12, workers, min_pixels=56 * 56, max_pixels=MAX_PIXELS)
            ours.append(run["pairs"] / run["seconds"])
            by_pillow.append(run_reference(folder, records, workers, 2, Qwen2VLImageProcessorPil))
            by_torchvision.append(run_reference(folder, records, workers, 2, Qwen2VLImageProcessor))
        print(f"photos, pairs/s: ours {max(ours):.1f} ({workers} threads); transformers {transformers.__version__} "
              f"with {workers} workers: Pillow {max(by_pillow):.1f}, torchvision {max(by_torchvision):.1f}")
        print(f"loader_bench: {max(ours) / max(*by_pillow, *by_torchvision):.2f} times the reference")


if __name__ == "__main__":
    sys.exit(main())
