"""Makes tests/golden/model/: small random ImageGPTs with what transformers and onnxruntime compute from them.

Run from the repository's root, with the versions of requirements.txt and after `cargo build --release -p igpt-tools`;
then run linear.py, which takes its layers from these files:

    python tests/golden/model.py target/release/igpt

Each case is a checkpoint folder (weights rounded to float16, so that they are small and exact) with:
  expected.npz   input_ids, hidden_states [layers+1, batch, tokens, width], logits: transformers, f32
  onnxruntime.npz  the same two from the int8 file that igpt writes, run by onnxruntime
The script also runs onnx.checker on every file, and the f32 file against transformers.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file
from transformers import (ImageGPTConfig, ImageGPTForCausalImageModeling, ImageGPTForImageClassification,
                          ImageGPTModel)

import versions

OUT = Path(__file__).parent / "model"
CLASSES = {"classify": ImageGPTForImageClassification, "causal": ImageGPTForCausalImageModeling,
           "features": ImageGPTModel}

# name: (task, (batch, tokens), config)
CASES = {
    "odd-heads": ("classify", (2, 16), dict(n_embd=21, n_head=3, n_layer=2, n_positions=16, vocab_size=17)),
    "inner-epsilon": ("causal", (2, 11), dict(
        n_embd=32, n_head=4, n_inner=40, n_layer=2, n_positions=16, vocab_size=33, layer_norm_epsilon=1e-2,
        activation_function="gelu_new")),
    "inverse-layer": ("features", (1, 12), dict(
        n_embd=15, n_head=5, n_layer=4, n_positions=12, vocab_size=9, scale_attn_by_inverse_layer_idx=True,
        activation_function="gelu")),
    "unscaled": ("causal", (2, 9), dict(
        n_embd=26, n_head=2, n_layer=2, n_positions=25, vocab_size=12, scale_attn_weights=False,
        activation_function="relu")),
    "reordered": ("classify", (2, 18), dict(
        n_embd=24, n_head=1, n_layer=3, n_positions=20, vocab_size=65, reorder_and_upcast_attn=True,
        scale_attn_by_inverse_layer_idx=True, activation_function="silu")),
    "long": ("causal", (1, 131), dict(n_embd=16, n_head=2, n_layer=1, n_positions=150, vocab_size=17)),
    "one-token": ("features", (3, 1), dict(n_embd=8, n_head=8, n_layer=2, n_positions=4, vocab_size=5)),
    "outliers": ("classify", (1, 30), dict(n_embd=40, n_head=5, n_layer=2, n_positions=36, vocab_size=513)),
    "aligned": ("causal", (1, 64), dict(n_embd=64, n_head=1, n_layer=1, n_positions=64, vocab_size=33,
                                       n_inner=128)),
}


def build(seed, name, task, fields):
    torch.manual_seed(seed)
    labels = {i: f"label {i}" for i in range(5)}
    config = ImageGPTConfig(**fields, id2label=labels, label2id={v: k for k, v in labels.items()},
                            architectures=[CLASSES[task].__name__])
    model = CLASSES[task](config).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "ln_" in parameter_name:
                parameter.normal_(1.0, 0.3)
            elif parameter.ndim == 1:
                parameter.normal_(0.0, 0.2)
            elif "wte" in parameter_name or "wpe" in parameter_name:
                parameter.normal_(0.0, 0.5)
            else:
                parameter.normal_(0.0, 1.0 / parameter.shape[0] ** 0.5)
            if name == "outliers" and parameter.ndim == 2:
                # A channel twenty times the others: what large GPTs have.
                parameter[:, 3] *= 20 if "wte" in parameter_name else 1
            parameter.copy_(parameter.half().float())
    return config, model


def transformers_outputs(task, model, ids):
    with torch.no_grad():
        out = model(torch.tensor(ids), output_hidden_states=True, use_cache=False)
    arrays = {"input_ids": ids, "hidden_states": torch.stack(out.hidden_states).numpy()}
    if task != "features":
        arrays["logits"] = out.logits.numpy()
    return arrays


def igpt(binary, folder, task, dtype):
    """The bytes of the file igpt writes, checked by onnx."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.onnx"
        subprocess.run([binary, "quantize", folder, "-o", path, "--task", task, "--dtype", dtype, "--tokens-only"],
                       check=True, stdout=subprocess.DEVNULL)
        onnx.checker.check_model(path, full_check=True)
        return path.read_bytes()


def run(file, ids):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids})


def body_crc32(file):
    """Over graph and functions, without the version before them and the metadata after them."""
    return zlib.crc32(file[file.index(b"transformer.embed"):file.index(b"igpt.format")])


def distance(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


def main():
    versions.check()
    binary = sys.argv[1]
    shutil.rmtree(OUT, ignore_errors=True)
    bodies = {}
    for seed, (name, (task, (batch, tokens), fields)) in enumerate(CASES.items()):
        folder = OUT / name
        folder.mkdir(parents=True)
        config, model = build(seed, name, task, fields)
        config.save_pretrained(folder)
        save_file({n: t.half().contiguous() for n, t in model.state_dict().items()}, folder / "model.safetensors")
        rng = np.random.default_rng(seed)
        ids = rng.integers(0, config.vocab_size, (batch, tokens))
        expected = transformers_outputs(task, model, ids)
        np.savez(folder / "expected.npz", **expected)

        worst = {}
        for dtype in ("f32", "int8"):
            features = igpt(binary, folder, "features", dtype)
            arrays = {"hidden_states": np.stack(run(features, ids))}
            file = features
            if task != "features":
                file = igpt(binary, folder, task, dtype)
                (arrays["logits"],) = run(file, ids)
            worst[dtype] = max(distance(a, b) for key, array in arrays.items()
                               for a, b in (zip(array, expected[key]) if key == "hidden_states"
                                            else [(array, expected[key])]))
            if dtype == "int8":
                bodies[name] = body_crc32(file)
                np.savez(folder / "onnxruntime.npz", **arrays)
        print(f"{name:15} onnxruntime against transformers: f32 {worst['f32']:.1e}, int8 {worst['int8']:.1e}")
        assert worst["f32"] < 1e-5
    (OUT / "bodies.json").write_text(json.dumps(bodies, indent=1))


main()
