"""Measures what int8 costs MiT-b0 and b2 of random weights: the relative error of the logits against transformers.

Run from the repository's root with the versions of requirements.txt, after `cargo build --release -p igpt-tools`:

    python tests/golden/segformer_random.py target/release/igpt

Gains 1 +- 0.3, biases +- 0.2, so that nothing is at its neutral value; two pictures of smooth noise at 224 x 224.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from transformers import SegformerConfig, SegformerForImageClassification

import versions

SIZES = {"b0": {}, "b2": dict(depths=[3, 4, 6, 3], hidden_sizes=[64, 128, 320, 512])}
SIDE, LABELS = 224, 1000


def model(fields):
    torch.manual_seed(1)
    labels = {i: str(i) for i in range(LABELS)}
    config = SegformerConfig(**fields, id2label=labels, label2id={v: k for k, v in labels.items()},
                             architectures=["SegformerForImageClassification"])
    made = SegformerForImageClassification(config).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.normal_(1, 0.3)
            elif parameter.ndim == 1:
                parameter.normal_(0, 0.2)
            else:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    return made


def pictures(folder):
    rng = np.random.default_rng(0)
    for index in range(2):
        total = 0
        for cell, weight in ((32, 0.4), (8, 0.3), (4, 0.3)):
            coarse = rng.integers(0, 255, (SIDE // cell, SIDE // cell, 3))
            total = total + weight * np.kron(coarse, np.ones((cell, cell, 1)))
        Image.fromarray(total.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
        yield folder / f"{index}.png"


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def main():
    versions.check()
    binary = sys.argv[1]
    for name, fields in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            made = model(fields)
            made.save_pretrained(folder)
            # As the hub has it, 512 and all.
            (folder / "preprocessor_config.json").write_text(json.dumps({
                "do_normalize": True, "do_resize": True, "feature_extractor_type": "SegformerFeatureExtractor",
                "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "reduce_labels": False,
                "resample": 2, "size": 512}))
            images = list(pictures(folder))
            errors = {}
            for dtype in ("f32", "int8"):
                file, out = folder / f"{dtype}.onnx", folder / f"{dtype}.npz"
                subprocess.run([binary, "quantize", folder, "-o", file, "--size", str(SIDE), "--dtype", dtype],
                               check=True, stdout=subprocess.DEVNULL)
                subprocess.run([binary, "run", file, *images, "-o", out], check=True, stdout=subprocess.DEVNULL)
                arrays = np.load(out)
                with torch.no_grad():
                    expected = made(torch.tensor(arrays["pixel_values"])).logits.numpy()
                errors[dtype] = relative(arrays["logits"], expected)
            session = onnxruntime.InferenceSession(folder / "int8.onnx", providers=["CPUExecutionProvider"])
            (theirs,) = session.run(None, {"pixel_values": arrays["pixel_values"]})
            print(f"{name}: f32 {errors['f32']:.1e}, int8 {errors['int8']:.4f}, onnxruntime on the int8 file "
                  f"{relative(theirs, expected):.4f}")


main()
