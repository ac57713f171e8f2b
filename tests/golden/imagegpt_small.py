"""Writes a checkpoint of ImageGPT-small's shape (24 layers, width 512, 1,024 tokens, 76,425,216 parameters) with seeded random
weights into the folder OUT: for measuring a conversion, not a golden file. With the versions of requirements.txt:

    python tests/golden/imagegpt_small.py OUT && /usr/bin/time -v target/release/igpt quantize OUT -o small.onnx
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import ImageGPTConfig, ImageGPTForImageClassification

import versions

versions.check()
torch.manual_seed(0)
torch.set_num_threads(1)
model = ImageGPTForImageClassification(ImageGPTConfig(num_labels=10))
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if "ln_" in name:
            parameter.uniform_(0.5, 1.5)
        elif name.endswith("bias"):
            parameter.normal_(0, 0.05)
out = Path(sys.argv[1])
model.save_pretrained(out)
palette = np.random.default_rng(0).uniform(-1, 1, (512, 3))
(out / "preprocessor_config.json").write_text(json.dumps(dict(
    clusters=palette.tolist(), do_normalize=True, do_resize=True, resample=2, size=32,
    feature_extractor_type="ImageGPTFeatureExtractor")))
print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")
