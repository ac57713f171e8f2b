"""Writes a checkpoint folder for the repository: weights stored in float16, everything else as it was.

Hugging Face loads by the `dtype` of config.json, which stays float32: the file is half the size and
the arithmetic is unchanged. evaluate.py is run on the exported folder, so the card's numbers already
contain whatever the rounding to float16 cost.
"""

import argparse
import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("checkpoint")
parser.add_argument("output")
args = parser.parse_args()

os.makedirs(args.output, exist_ok=True)
weights = load_file(os.path.join(args.checkpoint, "model.safetensors"))
halves = {k: v.to(torch.float16).contiguous() for k, v in weights.items()}
for name, half in halves.items():
    if not torch.isfinite(half).all():
        raise SystemExit(f"{name} does not fit float16")
save_file(halves, os.path.join(args.output, "model.safetensors"), metadata={"format": "pt"})
with open(os.path.join(args.checkpoint, "config.json")) as f:
    config = json.load(f)
config["dtype"] = "float32"
with open(os.path.join(args.output, "config.json"), "w") as f:
    json.dump(config, f, indent=2)
    f.write("\n")
for extra in ("preprocessor_config.json", "generation_config.json"):
    if os.path.exists(os.path.join(args.checkpoint, extra)):
        shutil.copyfile(os.path.join(args.checkpoint, extra), os.path.join(args.output, extra))
