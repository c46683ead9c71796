"""The two sides that are compared: `trireme embed` as a user runs it, and transformers on the same files."""
import json
import os
import pathlib
import subprocess

import h5py
import numpy as np
import peft
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_BUILD = ROOT / "build" / "release"
# LamRA's prompts (arXiv:2412.01720 and its released code); the blank at the end is part of them.
ENDINGS = {(True, False): "\nSummarize above sentence in one word: ",
           (False, True): "\nSummarize above image in one word: ",
           (True, True): "\nSummarize above image and sentence in one word: "}
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "btl", "self,vader", "-n"]
MPI_ENVIRONMENT = dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_WAIT_POLICY="passive")


def read_embeddings(path: pathlib.Path) -> tuple[list[str], np.ndarray]:
    with h5py.File(path) as file:
        return [name.decode() for name in file["id"][:]], file["embedding"][:].astype(np.float64)


def embed_with_trireme(build: pathlib.Path, model: pathlib.Path, records: pathlib.Path, out: pathlib.Path,
                       *options: str, ranks: int = 0) -> tuple[list[str], np.ndarray]:
    """Ids and embeddings [N, D] of `trireme embed`; under mpirun when ranks is not 0."""
    command = [str(build / "bin" / "trireme"), "embed", "--model", str(model), "--records", str(records),
               "--image-root", str(records.parent), "--out", str(out), *options]
    environment = {**os.environ, **MPI_ENVIRONMENT}
    if ranks:
        command = [*MPIRUN, str(ranks), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\nleft with {done.returncode}:\n{done.stdout}{done.stderr}")
    return read_embeddings(out)


def messages_for(record: dict) -> list[dict]:
    text = record.get("txt") or ""
    has_image = bool(record.get("img_path"))
    images = [dict(type="image")] if has_image else []
    return [dict(role="user", content=[*images, dict(type="text", text=text + ENDINGS[bool(text), has_image])])]


class Reference:
    """One sequence at a time, so that no padding takes part; embedding: last position, after the final norm."""

    def __init__(self, folder: pathlib.Path, model: torch.nn.Module):
        base = model.get_base_model() if isinstance(model, peft.PeftModel) else model
        self.backbone = getattr(base, "model", base)  # without the head
        self.folder = folder
        self.template = AutoTokenizer.from_pretrained(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.image_token = self.tokenizer.token_to_id("<|image_pad|>")
        self.has_vision = (folder / "preprocessor_config.json").exists()
        if self.has_vision:
            self.processor = Qwen2VLImageProcessorPil.from_pretrained(folder)

    def prompt(self, record: dict) -> str:
        return self.template.apply_chat_template(messages_for(record), tokenize=False, add_generation_prompt=True)

    def inputs(self, record: dict, image_root: pathlib.Path) -> dict[str, torch.Tensor]:
        """What the model is called with, positions left to it."""
        prompt, inputs = self.prompt(record), {}
        if record.get("img_path"):
            with Image.open(image_root / record["img_path"]) as image:
                pixels = self.processor(images=[image], return_tensors="pt")
            visual_tokens = int(pixels["image_grid_thw"].prod()) // 4
            prompt = prompt.replace("<|image_pad|>", "<|image_pad|>" * visual_tokens)
            inputs = dict(pixel_values=pixels["pixel_values"], image_grid_thw=pixels["image_grid_thw"])
        ids = torch.tensor([self.tokenizer.encode(prompt, add_special_tokens=False).ids])
        if self.has_vision:
            inputs["mm_token_type_ids"] = (ids == self.image_token).int()
        return dict(input_ids=ids, **inputs)

    @torch.no_grad()
    def embed(self, record: dict, image_root: pathlib.Path, oned: bool) -> np.ndarray:
        inputs = self.inputs(record, image_root)
        if oned and self.has_vision:
            inputs["position_ids"] = torch.arange(inputs["input_ids"].shape[1]).expand(3, 1, -1)
        hidden = self.backbone(use_cache=False, **inputs).last_hidden_state[0, -1]
        return torch.nn.functional.normalize(hidden.double(), dim=-1).numpy()

    def embed_all(self, records: list[dict], image_root: pathlib.Path, oned: bool = False) -> np.ndarray:
        return np.stack([self.embed(record, image_root, oned) for record in records])


def read_records(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
