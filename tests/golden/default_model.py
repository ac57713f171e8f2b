"""Makes tests/golden/default/: what transformers computes from the shipped model, models/fashion-mnist.

Run from the repository's root with the versions of requirements.txt whenever models/fashion-mnist changes (a test
compares checksums):

    cargo build --release -p igpt-tools && python tests/golden/default_model.py target/release/igpt

The inputs are images of models/fashion-mnist/sample. Hidden states are kept at every 14th token only.
"""

import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image
from transformers import ImageGPTForCausalImageModeling, ImageGPTForImageClassification
from transformers.models.imagegpt.image_processing_pil_imagegpt import ImageGPTImageProcessorPil

import versions

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models/fashion-mnist"
OUT = Path(__file__).parent / "default"
IMAGES = 4
STEP = 14


def main():
    versions.check()
    OUT.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    names = sorted((MODELS / "sample").glob("*.png"))[:IMAGES]
    images = [Image.open(name).convert("RGB") for name in names]
    sums = {}
    for kind, cls in (("clf", ImageGPTForImageClassification), ("lm", ImageGPTForCausalImageModeling)):
        folder = MODELS / kind
        processor = ImageGPTImageProcessorPil.from_pretrained(folder)
        model = cls.from_pretrained(folder, dtype=torch.float32).eval()
        ids = np.stack(processor(images)["input_ids"]).reshape(IMAGES, -1).astype(np.int64)
        start = np.full((IMAGES, 1), model.config.vocab_size - 1)
        if kind == "lm":
            ids = np.concatenate([start, ids[:, :-1]], axis=1)
        with torch.no_grad():
            out = model(torch.tensor(ids), output_hidden_states=True, use_cache=False)
        hidden = torch.stack(out.hidden_states).numpy()[:, :, ::STEP]
        logits = out.logits.numpy()
        quantized = onnxruntime_logits(sys.argv[1], folder, ids)
        arrays = {"input_ids": ids, "hidden_states": hidden,
                  "logits": logits if kind == "clf" else logits[:, ::STEP],
                  "onnxruntime_logits": quantized if kind == "clf" else quantized[:, ::STEP]}
        if kind == "lm":
            arrays["greedy"], margin = greedy(model, ids)
            print(f"smallest lead of a greedy choice: {margin:.2e}")
        np.savez(OUT / f"{kind}.npz", **arrays)
        sums[kind] = zlib.crc32((folder / "model.safetensors").read_bytes())
    (OUT / "sources.json").write_text(json.dumps(
        {"step": STEP, "images": [name.name for name in names], "crc32": sums}, indent=1))


def onnxruntime_logits(binary, folder, ids):
    """What onnxruntime computes from the int8 file that igpt writes."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.onnx"
        subprocess.run([binary, "quantize", folder, "-o", path], check=True, stdout=subprocess.DEVNULL)
        onnx.checker.check_model(path, full_check=True)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(["logits"], {"input_ids": ids})[0]


def greedy(model, ids):
    """The upper half of each image completed to all its tokens, and the smallest gap between the best two."""
    prompt = torch.tensor(ids[:, : ids.shape[1] // 2 + 1])
    out = model.generate(prompt, max_length=ids.shape[1] + 1, do_sample=False, output_logits=True,
                         return_dict_in_generate=True)
    best = torch.stack(out.logits).topk(2).values
    return out.sequences.numpy(), float((best[..., 0] - best[..., 1]).min())


main()
