#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0: two fields of a SegFormer's published files that say something else than what is computed.
#
# 1. `layer_norm_eps` of SegformerConfig is read by nothing. Every LayerNorm of the model has torch's default, 1e-5, whatever the
#    configuration says (the published ones say 1e-6): 1e-6 and 0.1 give the same bits. Seen: epsilons {1e-05}, logits equal.
# 2. The configuration's `image_size` (224 in files of 2021) is no field any more, and the size at which pictures are classified is the image
#    processor's, whose default is 512: pixel_values of (1, 3, 512, 512), though the published accuracies are at 224. Both sizes run, and give other logits.
#
# Downloads torch with all it needs (gigabytes). Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.23.0 pillow numpy
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import torch
from transformers import SegformerConfig, SegformerForImageClassification, SegformerImageProcessorPil

small = dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 3, 4], num_labels=3)


def logits(eps, size):
    torch.manual_seed(0)
    model = SegformerForImageClassification(SegformerConfig(layer_norm_eps=eps, **small)).eval()
    epsilons = {m.eps for m in model.modules() if isinstance(m, torch.nn.LayerNorm)}
    torch.manual_seed(1)
    with torch.no_grad():
        return model(pixel_values=torch.randn(1, 3, size, size)).logits, epsilons


(a, found), (b, also) = logits(1e-6, 64), logits(0.1, 64)
print("epsilons", found | also, "logits equal", torch.equal(a, b))
assert found == also == {1e-05} and torch.equal(a, b)

picture = np.zeros((48, 64, 3), np.uint8)
shape = tuple(SegformerImageProcessorPil()(picture, return_tensors="np")["pixel_values"].shape)
print("pixel_values", shape)
assert shape == (1, 3, 512, 512)
PY
