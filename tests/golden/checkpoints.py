"""Makes tests/golden/checkpoint/: one tiny ImageGPT stored in every way Hugging Face stores weights.

Run from the repository's root with the versions of requirements.txt:  python tests/golden/checkpoints.py
"""

import json
import os
import pickle
import shutil
import zipfile
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import ImageGPTConfig, ImageGPTForImageClassification

import versions

OUT = Path(__file__).parent / "checkpoint"


def main():
    versions.check()
    shutil.rmtree(OUT, ignore_errors=True)
    torch.manual_seed(7)
    config = ImageGPTConfig(
        vocab_size=9, n_positions=9, n_embd=15, n_layer=2, n_head=3, n_inner=20,
        id2label={0: "zero", 1: "one", 2: "two", 3: "three"}, label2id={"zero": 0, "one": 1, "two": 2, "three": 3},
        architectures=["ImageGPTForImageClassification"],
    )
    model = ImageGPTForImageClassification(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Gains around one, biases and weights around zero: nothing is left at its neutral value.
            parameter.normal_(1.0 if "ln_" in name else 0.0, 0.2)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}

    def folder(name):
        path = OUT / name
        path.mkdir(parents=True)
        config.save_pretrained(path)
        clusters = [[c / 4 - 1.0] * 3 for c in range(8)]
        (path / "preprocessor_config.json").write_text(json.dumps({
            "clusters": clusters, "do_normalize": True, "do_resize": True, "resample": 2, "size": 3,
            "feature_extractor_type": "ImageGPTFeatureExtractor"}))
        return path

    save_file(weights, folder("safetensors") / "model.safetensors", metadata={"format": "pt"})

    # Hugging Face's own sharding.
    sharded = folder("sharded")
    model.save_pretrained(sharded, max_shard_size="7KB")
    assert (sharded / "model.safetensors.index.json").exists()

    # As the hub's first checkpoints were: a pickle, no prefix on the head, masks among the weights.
    old = dict(weights)
    for layer in range(config.n_layer):
        mask = torch.tril(torch.ones(9, 9, dtype=torch.uint8)).view(1, 1, 9, 9)
        old[f"transformer.h.{layer}.attn.bias"] = mask.bool() if layer else mask
        old[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    # Not contiguous: a transposed view, and a slice in the middle of a larger storage.
    name = "transformer.h.0.mlp.c_fc.weight"
    old[name] = weights[name].T.contiguous().T
    name = "transformer.h.1.mlp.c_fc.bias"
    old[name] = torch.cat([torch.ones(3), weights[name], torch.ones(2)])[3:-2]
    binary = folder("bin")
    torch.save(model.state_dict(), binary / "pytorch_model.bin")  # OrderedDict with _metadata
    strided = folder("bin_strided")
    torch.save(old, strided / "pytorch_model.bin")
    # The same archive deflated, as some re-packed ones are.
    deflated = folder("bin_deflated")
    with zipfile.ZipFile(strided / "pytorch_model.bin") as source, \
            zipfile.ZipFile(deflated / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            target.writestr(item.filename, source.read(item))

    names = sorted(weights)
    halves = {"pytorch_model-00001-of-00002.bin": names[: len(names) // 2],
              "pytorch_model-00002-of-00002.bin": names[len(names) // 2:]}
    shards = folder("bin_sharded")
    for file, part in halves.items():
        torch.save({n: weights[n] for n in part}, shards / file)
    (shards / "pytorch_model.bin.index.json").write_text(json.dumps(
        {"metadata": {}, "weight_map": {n: file for file, part in halves.items() for n in part}}))

    f16 = {n: t.half() for n, t in weights.items()}
    bf16 = {n: t.bfloat16() for n, t in weights.items()}
    torch.save(f16, folder("bin_f16") / "pytorch_model.bin")
    save_file(bf16, folder("safetensors_bf16") / "model.safetensors")

    def sums(tensors):
        return {n.removeprefix("transformer."): {
            "shape": list(t.shape), "crc32": zlib.crc32(t.float().contiguous().numpy().tobytes())}
            for n, t in tensors.items()}

    (OUT / "expected.json").write_text(json.dumps(
        {"f32": sums(weights), "f16": sums(f16), "bf16": sums(bf16)}, indent=1, sort_keys=True))
    hostile(folder("bin_hostile") / "pytorch_model.bin")


class Attack:
    """Unpickling this runs a shell."""

    def __reduce__(self):
        return os.system, ("echo pickle executed >&2",)


def hostile(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"transformer.wte.weight": Attack()}, protocol=2))
        archive.writestr("archive/version", "3\n")


main()
