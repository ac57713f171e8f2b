"""The pictures of the model card: training curves, accuracy by layer, completions of half pictures.

Reads what the other scripts wrote (curve.json, probe.json) and lets Hugging Face's generate() finish
pictures of which the model sees the upper half; writes three small PNG files.
"""

import argparse
import json
import os

import matplotlib
import numpy as np
import torch
from PIL import Image
from transformers import ImageGPTForCausalImageModeling

import data

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the back end must be chosen first)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("output", help="folder")
parser.add_argument("--pretrain", help="folder of the pre-training run")
parser.add_argument("--finetune", help="folder of the fine-tuning run")
parser.add_argument("--grid", help="folder of the quantisation-aware run")
parser.add_argument("--control", help="folder of the control's run")
parser.add_argument("--probe", help="JSON file of probe.py")
parser.add_argument("--lm", help="checkpoint for the completions")
parser.add_argument("--data", default=data.DEFAULT_DATA)
args = parser.parse_args()
os.makedirs(args.output, exist_ok=True)
torch.set_num_threads(1)


def curve(folder, key, batch=64):
    with open(os.path.join(folder, "curve.json")) as f:
        rows = [r for r in json.load(f) if key in r]
    return [r["step"] * batch / 1000 for r in rows], [r[key] for r in rows]


def save(figure, name):
    figure.tight_layout()
    figure.savefig(os.path.join(args.output, name), dpi=80)
    plt.close(figure)


if args.pretrain and args.finetune:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    left.plot(*curve(args.pretrain, "nats"))
    left.set(title="pre-training", xlabel="thousand images", ylabel="nats per token (training)")
    right.plot(*curve(args.finetune, "label"), label="pre-trained")
    if args.grid:
        before = curve(args.finetune, "label")[0][-1]
        x, y = curve(args.grid, "label")
        right.plot([before + images for images in x], y, label="then on the int8 grid")
    if args.control:
        right.plot(*curve(args.control, "label"), label="from scratch (control)")
    right.set(title="fine-tuning", xlabel="thousand images", ylabel="cross-entropy, smoothed labels")
    right.legend(frameon=False)
    save(figure, "training.png")

if args.probe:
    with open(args.probe) as f:
        probes = json.load(f)["probes"]
    layers = 1 + max(int(n.split()[1]) for n in probes if n.startswith("layer"))
    plain = [100 * probes[f"layer {i}"]["test"] for i in range(layers)]
    unit = [100 * probes[f"layer {i} normalised"]["test"] for i in range(layers - 1)] + plain[-1:]
    figure, axes = plt.subplots(figsize=(5.5, 3.4))
    axes.plot(plain, "o-", label="residual stream")
    axes.plot(unit, "s--", label="normalised, as in the paper")
    axes.axhline(100 * probes["raw 28x28 pixels"]["test"], color="grey", label="raw 28x28 pixels")
    axes.axhline(100 * probes["raw 14x14 pixels"]["test"], color="grey", ls=":", label="raw 14x14 pixels")
    axes.set(xlabel="layer", ylabel="test accuracy of a linear probe, %", ylim=(70, None))
    axes.legend(frameon=False)
    save(figure, "probe.png")

if args.lm:
    ids, labels = data.tokens(args.data, "t10k", args.lm)
    # The first test image of each class, whatever the model makes of it.
    rows = ids[[int(np.argmax(labels == c)) for c in range(10)]].astype(np.int64)
    model = ImageGPTForCausalImageModeling.from_pretrained(args.lm, dtype=torch.float32).eval()
    start = model.config.vocab_size - 1
    half = data.TOKENS // 2
    given = torch.from_numpy(np.concatenate([np.full((10, 1), start), rows[:, :half]], 1))
    torch.manual_seed(1)
    drawn = [model.generate(given, max_length=data.TOKENS + 1, do_sample=True, temperature=1.0, top_k=0,
                            attention_mask=torch.ones_like(given))[:, 1:].numpy() for _ in range(4)]
    with open(os.path.join(args.lm, "preprocessor_config.json")) as f:
        grey = np.rint(127.5 * (np.array(json.load(f)["clusters"])[:, 0] + 1)).astype(np.uint8)
    seen = grey[rows]
    seen[:, half:] = 90
    columns = [grey[rows], seen] + [grey[d] for d in drawn]
    zoom, gap = 3, 4
    cell = data.SIDE * zoom + gap
    sheet = Image.new("L", (10 * cell + gap, len(columns) * cell + gap), 255)
    for y, column in enumerate(columns):
        for x, picture in enumerate(column):
            tile = Image.fromarray(picture.reshape(data.SIDE, data.SIDE))
            sheet.paste(tile.resize((cell - gap,) * 2, Image.Resampling.NEAREST), (gap + x * cell, gap + y * cell))
    sheet.save(os.path.join(args.output, "completions.png"))
