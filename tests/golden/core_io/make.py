"""Makes reference.safetensors with the format's reference writer: one tensor of each dtype that Trireme reads, a
scalar, an empty one and a name beyond ASCII. Values are 0, 1, 2, .. (BOOL: 0, 1, 0, ..), so that the test needs no
second file.

    python make.py        (torch 2.11, safetensors 0.8)
"""
from pathlib import Path

import torch
from safetensors.torch import save_file

DTYPES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64,
          "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool}


def main() -> None:
    tensors = {f"of.{name}": (torch.arange(6) % (2 if name == "bool" else 6)).reshape(2, 3).to(dtype)
               for name, dtype in DTYPES.items()}
    tensors["scalar"] = torch.tensor(0.0)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["größe \"x\""] = torch.arange(3, dtype=torch.uint8)
    save_file(tensors, Path(__file__).parent / "reference.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
