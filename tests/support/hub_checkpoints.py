"""Random checkpoints in every layout that hub folders come in: for the goldens, the parity suite and the benchmark.

Needs torch, transformers 5 and safetensors. A checkpoint is drawn from a spec, a dictionary of
    family      qwen2_vl, qwen2_5_vl, qwen2
    layout      of config.json: flat, as the hub has it; nested, as transformers 5 writes it
    naming      of the tensors: old (model.layers, visual), new (model.language_model.layers, model.visual), base (those
                of the class without a head)
    dtype       of the file: float32, bfloat16, float16
    shards      number of files
    tied        whether the head is the embedding table
    text        (keys of the decoder, rope_theta)
    mrope       how head_dim / 2 is split over time, height and width; None for qwen2
    vision      keys of vision_config; None for qwen2
    token_ids   keys of config.json that name the image and video tokens
"""
import json

import torch
import transformers
from safetensors.torch import save_file

DTYPES = dict(float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)


def rope(spec, theta, nested):
    if nested:
        return dict(rope_parameters=dict(rope_type="default", rope_theta=theta, mrope_section=spec["mrope"]))
    if spec["mrope"] is None:
        return dict(rope_theta=theta)
    return dict(rope_theta=theta, rope_scaling=dict(type="mrope", mrope_section=spec["mrope"]))


def config_json(spec):
    """config.json as the hub (flat) or transformers 5 (nested) has it, without keys that do not concern the weights."""
    decoder, theta = spec["text"]
    nested = spec["layout"] == "nested"
    cls = class_of(spec)
    out = dict(architectures=[cls.__name__], model_type=spec["family"], tie_word_embeddings=spec["tied"])
    out["dtype" if nested else "torch_dtype"] = spec["dtype"]
    decoder = dict(decoder, **rope(spec, theta, nested))
    if nested:
        decoder.update(model_type=spec["family"] + "_text", sliding_window=None,
                       layer_types=["full_attention"] * decoder["num_hidden_layers"])
        out["text_config"] = decoder
    else:
        out.update(decoder)
    if spec["vision"]:
        out["vision_config"] = dict(spec["vision"])
        if nested:
            out["vision_config"].update(model_type=spec["family"] + "_vision",
                                        rope_parameters=dict(rope_type="axial", rope_theta=10000.0))
        out.update(spec["token_ids"])
    out["transformers_version"] = "5.0.0" if nested else "4.41.2"
    return out


def class_of(spec):
    base = spec["naming"] == "base"
    return {
        "qwen2_vl": transformers.Qwen2VLModel if base else transformers.Qwen2VLForConditionalGeneration,
        "qwen2_5_vl": transformers.Qwen2_5_VLModel if base else transformers.Qwen2_5_VLForConditionalGeneration,
        "qwen2": transformers.Qwen2Model if base else transformers.Qwen2ForCausalLM,
    }[spec["family"]]


def randomise(model, generator):
    """Weights large enough that every part moves the result: fan-in scaled matrices, norms around one, real biases."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "norm" in name or "ln_q" in name:
            value = 0.2 * noise + (1 if name.endswith("weight") else 0)
        elif name.endswith("bias"):
            value = 0.3 * noise
        elif "embed_tokens" in name:
            value = noise
        else:
            value = noise / (p[0].numel() ** 0.5)
        p.data.copy_(value)


def spell(name, naming, family):
    """From the names inside transformers 5 to those of the file."""
    if family == "qwen2" or naming != "old":
        return name
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def write_checkpoint(folder, spec, generator):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_json(spec), indent=2) + "\n")
    config = transformers.AutoConfig.from_pretrained(folder)
    model = class_of(spec)(config)
    randomise(model, generator)
    tensors = {spell(name, spec["naming"], spec["family"]): p.detach().to(DTYPES[spec["dtype"]]).contiguous()
               for name, p in sorted(model.state_dict().items()) if not (spec["tied"] and name.startswith("lm_head"))}
    if spec["shards"] == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = list(tensors)
    weight_map = {}
    for shard in range(spec["shards"]):
        file = f"model-{shard + 1:05d}-of-{spec['shards']:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard::spec["shards"]]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map.update({name: file for name in part})
    index = dict(metadata=dict(total_size=sum(t.nbytes for t in tensors.values())),
                 weight_map=dict(sorted(weight_map.items())))
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def load(folder, spec, dtype=torch.float32):
    model, info = class_of(spec).from_pretrained(folder, dtype=dtype, output_loading_info=True)
    wrong = {key: value for key, value in info.items() if value}
    assert not wrong, f"{folder.name}: transformers did not read the file as meant: {wrong}"
    return model.eval()
