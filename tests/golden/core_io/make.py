"""Makes two files with the libraries that users have. Their values are 0, 1, 2, .., so that the tests need no others.

reference.safetensors: one tensor of each dtype that Trireme reads (BOOL: 0, 1, 0, ..), a scalar, an empty one and a
    name beyond ASCII, by the format's reference writer.
by_h5py.h5: the embeddings file of docs/formats.md's second snippet, not chunked, float16, by h5py.

    python make.py        (torch 2.11, safetensors 0.8, h5py 3)
"""
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

DTYPES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64,
          "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool}


FOLDER = Path(__file__).parent


def make_safetensors() -> None:
    tensors = {f"of.{name}": (torch.arange(6) % (2 if name == "bool" else 6)).reshape(2, 3).to(dtype)
               for name, dtype in DTYPES.items()}
    tensors["scalar"] = torch.tensor(0.0)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["größe \"x\""] = torch.arange(3, dtype=torch.uint8)
    save_file(tensors, FOLDER / "reference.safetensors", metadata={"format": "pt"})


def make_embeddings() -> None:
    with h5py.File(FOLDER / "by_h5py.h5", "w") as file:
        file["embedding"] = np.arange(12, dtype=np.float16).reshape(4, 3)
        file.create_dataset("id", data=["a", "größe", "", "東京"], dtype=h5py.string_dtype())
        file.attrs.update(trireme_format="embeddings", format_version=1, created_by="h5py", config_sha256="",
                          model="my model", model_sha256="", adapter_sha256="", rope_mode="oned", normalized=0)


if __name__ == "__main__":
    make_safetensors()
    make_embeddings()
