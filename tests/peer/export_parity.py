"""`trireme export` against transformers and PEFT: what is written loads there and gives the embeddings it should.

    .venv-peer/bin/python tests/peer/export_parity.py --configs 9 [--first-seed 1] [--build build/release]

Per configuration, a checkpoint and an adapter are drawn and exported. The adapter is put by PEFT onto the class it is
spelled for (the legacy spelling is for transformers before 4.52: its tensors must be the modern ones under other
names); the merged folder is loaded by transformers; the TorchScript archive runs on the texts among the records. Bars:
embeddings within 1e-5 of those of the PEFT model that was exported (merged: as PEFT merges it), and so are, over the
largest of them, the scores of the vocabulary where there is a head, tied or not, with LoRA or not; every key used, none
left over. An adapter that changes nothing would prove nothing: it must move some embedding by 1e-3. Exit status 1
when a bar is missed.
"""
import argparse
import pathlib
import random
import subprocess
import warnings

import numpy as np
import peft
import torch
from safetensors.torch import load_file

import drawing
import embedders
import hub_checkpoints
import qwen_files
import seeds

BAR, LEAST_EFFECT = 1e-5, 1e-3


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=int, default=9)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=embedders.DEFAULT_BUILD)
    options = parser.parse_args()
    return options


def export(build: pathlib.Path, *arguments: str) -> None:
    done = subprocess.run([str(build / "bin" / "trireme"), "export", *arguments], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, f"export left with {done.returncode}: {done.stderr}"


def class_for(naming: str, spec: dict):
    """The class whose module paths the naming spells."""
    return hub_checkpoints.class_of(dict(spec, naming="base" if naming == "base_model" else "new"))


def with_adapter(checkpoint: drawing.Checkpoint, adapter: pathlib.Path, naming: str) -> peft.PeftModel:
    cls = class_for(naming, checkpoint.spec)
    if naming != "base_model" and checkpoint.spec["naming"] == "base" and not checkpoint.spec["tied"]:
        # The files have no head; the class makes a random one, which an embedding does not see.
        warnings.simplefilter("ignore")
    if naming == "base_model" and checkpoint.spec["naming"] != "base":
        # Read by itself from such files, transformers' base class leaves weights as they were drawn.
        base = class_for("modern", checkpoint.spec).from_pretrained(checkpoint.folder, dtype=torch.float32).model
    else:
        base = cls.from_pretrained(checkpoint.folder, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*missing adapter keys.*")
        model = peft.PeftModel.from_pretrained(base, adapter)
    return model.eval()


def difference_of_respelt(modern: pathlib.Path, legacy: pathlib.Path) -> float:
    expected = {"base_model.model." + drawing.respelt(name.removeprefix("base_model.model."), "legacy"): tensor
                for name, tensor in load_file(modern / "adapter_model.safetensors").items()}
    written = load_file(legacy / "adapter_model.safetensors")
    assert written.keys() == expected.keys(), "the legacy adapter's names are not the modern ones respelt"
    return max((written[name] - expected[name]).abs().max().item() for name in expected)


def run_torchscript(file: pathlib.Path, reference: embedders.Reference, records: list[dict]) -> np.ndarray:
    texts = [reference.tokenizer.encode(reference.prompt(record), add_special_tokens=False).ids for record in records]
    longest = max(map(len, texts))
    ids, mask = torch.zeros(len(texts), longest, dtype=torch.int64), torch.zeros(len(texts), longest, dtype=torch.int64)
    for row, text in enumerate(texts):
        ids[row, :len(text)], mask[row, :len(text)] = torch.tensor(text), 1
    with torch.no_grad():
        return torch.jit.load(file)(ids, mask).numpy()


@torch.no_grad()
def scores(model: torch.nn.Module, reference: embedders.Reference, records: list[dict],
           root: pathlib.Path) -> np.ndarray:
    rows = [model(**reference.inputs(record, root), use_cache=False).logits[0, -1].numpy() for record in records]
    return np.stack(rows)


def merge(adapted: peft.PeftModel) -> torch.nn.Module:
    """PEFT adds the head's pair to the weight in place: of a tied one that would be the embeddings' too."""
    head = adapted.get_base_model().get_output_embeddings()
    if hasattr(head, "lora_A"):
        head.base_layer.weight = torch.nn.Parameter(head.base_layer.weight.detach().clone())
    return adapted.merge_and_unload()


def run(seed: int, folder: pathlib.Path, tokenizers: list, options: argparse.Namespace) -> tuple[dict, str]:
    rng = random.Random(seed)
    family = drawing.FAMILIES[seed % len(drawing.FAMILIES)]
    checkpoint = drawing.draw_checkpoint(rng, folder / "model", rng.choice(tokenizers), family)
    (folder / "data").mkdir()
    records = drawing.write_records(rng, folder / "data", 8, family != "qwen2")
    adapted, about = drawing.draw_adapter(rng, checkpoint, folder / "adapter", everything=True)
    on_head = any("lm_head" in name for name, _ in adapted.named_parameters() if "lora_" in name)
    with_head = checkpoint.spec["naming"] != "base"

    def embed_all(model: torch.nn.Module, model_folder: pathlib.Path = checkpoint.folder) -> np.ndarray:
        return embedders.Reference(model_folder, model).embed_all(records, folder / "data")

    wanted = embed_all(adapted)
    if with_head:
        reference = embedders.Reference(checkpoint.folder, adapted)
        wanted_scores = scores(adapted, reference, records, folder / "data")
    plain = embed_all(hub_checkpoints.load(checkpoint.folder, checkpoint.spec))
    assert abs(wanted - plain).max() > LEAST_EFFECT, "the adapter changes nothing: nothing was compared"
    found = {}
    source = ["--model", str(folder / "model"), "--adapter", str(folder / "adapter")]
    for naming in ("modern", "legacy", "base_model"):
        if naming == "base_model" and on_head:
            continue  # of the class without a head; refused
        out = folder / f"out_{naming}"
        export(options.build, *source, "--out", str(out), "--format", "adapter", "--adapter-naming", naming)
        if naming == "legacy" and family != "qwen2":
            found[naming] = difference_of_respelt(folder / "out_modern" / "adapter", out / "adapter")
        else:
            found[naming] = abs(embed_all(with_adapter(checkpoint, out / "adapter", naming)) - wanted).max()
    export(options.build, *source, "--out", str(folder / "out"), "--format", "merged,torchscript", "--max-shard-gb",
           str(rng.choice([5, 0.0005])))
    merged, info = hub_checkpoints.class_of(checkpoint.spec).from_pretrained(
        folder / "out" / "merged", dtype=torch.float32, output_loading_info=True)
    wrong = {key: value for key, value in info.items() if value}
    assert not wrong, f"transformers did not read the merged folder as meant: {wrong}"
    texts = [index for index, record in enumerate(records) if not record.get("img_path")]
    if texts:
        script = run_torchscript(folder / "out" / "torchscript" / "embed_text.pt",
                                 embedders.Reference(checkpoint.folder, adapted), [records[i] for i in texts])
        found["torchscript"] = abs(script - wanted[texts]).max()
    # Adding the pairs to the weights rounds: the merged form is held to PEFT's own merge, the last thing done to it.
    found["merged"] = abs(embed_all(merged.eval(), folder / "out" / "merged") - embed_all(merge(adapted))).max()
    if with_head:
        difference = abs(scores(merged, reference, records, folder / "data") - wanted_scores).max()
        found["scores"] = difference / abs(wanted_scores).max()
    return found, f"{checkpoint}; {about}"


def main() -> None:
    options = parse_arguments()
    tokenizers = [qwen_files.train_tokenizer(300)]
    seeds.check(options, lambda seed, folder: run(seed, folder, tokenizers, options), {}, BAR)



if __name__ == "__main__":
    main()
