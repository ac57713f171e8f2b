"""A small Mix Transformer, trained on Fashion-MNIST from random weights.

Everything that is loaded, saved or reported goes through Hugging Face's SegformerForImageClassification.
Pictures are 32x32 (the processor's `size`), three equal channels. Augmentation is a shift, a mirror image
and a grey rectangle; what is reported comes from the pictures as the processor makes them. The weights
written are the average over the last steps, chosen by nothing; the test set is not read here (mit_evaluate.py).
"""

import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from transformers import SegformerConfig, SegformerForImageClassification, SegformerImageProcessorPil

import data

SIDE = 32
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("output", help="folder for the checkpoint")
parser.add_argument("--data", default=data.DEFAULT_DATA)
parser.add_argument("--start", help="checkpoint to go on from, with a new schedule")
parser.add_argument("--steps", type=int, default=0)
parser.add_argument("--minutes", type=float, default=0, help="instead of --steps: stop after so many minutes of wall clock")
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--lr", type=float, default=3e-3)
parser.add_argument("--decay", type=float, default=0.05)
parser.add_argument("--smoothing", type=float, default=0.05)
parser.add_argument("--average", type=float, default=0.998)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
if not (args.steps or args.minutes):
    raise SystemExit("say how long: --steps or --minutes")
torch.set_num_threads(args.threads)
torch.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)

config = SegformerConfig(
    num_channels=3, depths=[1, 2, 2, 1], sr_ratios=[4, 2, 1, 1], hidden_sizes=[32, 64, 96, 128],
    patch_sizes=[5, 3, 3, 3], strides=[2, 2, 2, 2], num_attention_heads=[1, 2, 3, 4], mlp_ratios=[2, 2, 2, 2],
    drop_path_rate=0.0, hidden_dropout_prob=0.0, classifier_dropout_prob=0.0,
    id2label=dict(enumerate(data.LABELS)), label2id={name: i for i, name in enumerate(data.LABELS)})
model = SegformerForImageClassification(config)
if args.start:
    model = SegformerForImageClassification.from_pretrained(args.start, dtype=torch.float32)
model.train()
print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
processor = SegformerImageProcessorPil(size={"height": SIDE, "width": SIDE})
MEAN = torch.tensor(processor.image_mean).view(1, 3, 1, 1)
STD = torch.tensor(processor.image_std).view(1, 3, 1, 1)

images, labels = data.load(args.data, "train")
keep = len(labels) - data.HOLDOUT
held = processor([np.repeat(i[:, :, None], 3, 2) for i in images[keep:]], return_tensors="pt",
                 input_data_format="channels_last")["pixel_values"]
held_labels = torch.from_numpy(labels[keep:])
wide = torch.from_numpy(np.pad(images[:keep], ((0, 0), (2, 2), (2, 2))))
wanted = torch.from_numpy(labels[:keep])


def batch(pick):
    """Shifted, mirrored, partly covered, enlarged, normalised."""
    dy, dx = rng.integers(0, 5, 2)
    grey = wide[pick, dy:dy + 28, dx:dx + 28].float().unsqueeze(1) / 255
    turn = torch.from_numpy(rng.random(len(pick)) < 0.5)
    grey[turn] = grey[turn].flip(-1)
    grey = F.interpolate(grey, (SIDE, SIDE), mode="bilinear", align_corners=False)
    cover = torch.from_numpy(np.flatnonzero(rng.random(len(pick)) < 0.3))
    if len(cover):
        h, w = rng.integers(4, 13, 2)
        y, x = rng.integers(0, SIDE - h), rng.integers(0, SIDE - w)
        grey[cover, :, y:y + h, x:x + w] = float(rng.random())
    return ((grey - MEAN) / STD).contiguous()


decayed = [p for p in model.parameters() if p.ndim > 1]
plain = [p for p in model.parameters() if p.ndim <= 1]
optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": args.decay},
                               {"params": plain, "weight_decay": 0.0}], lr=args.lr, betas=(0.9, 0.98), fused=True)
average = [p.detach().clone() for p in model.parameters()]
forward = torch.compile(lambda x: model(pixel_values=x).logits, dynamic=False)
forward(torch.zeros(args.batch, 3, SIDE, SIDE))
begin, step, losses, curve = time.time(), 0, [], []
order, at = torch.empty(0, dtype=torch.long), 0
while (done := step / args.steps if args.steps else (time.time() - begin) / (60 * args.minutes)) < 1:
    if at + args.batch > len(order):
        order, at = torch.from_numpy(rng.permutation(keep)), 0
    pick = order[at:at + args.batch]
    at += args.batch
    with torch.autocast("cpu", torch.bfloat16):
        logits = forward(batch(pick))
    loss = F.cross_entropy(logits.float(), wanted[pick], label_smoothing=args.smoothing)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    factor = min(1, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
    for group in optimiser.param_groups:
        group["lr"] = args.lr * factor
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    step += 1
    torch._foreach_lerp_(average, [p.detach() for p in model.parameters()], max(1 - args.average, 1 / step))
    losses.append(float(loss.detach()))
    if step % 100 == 0:
        row = {"step": step, "seconds": round(time.time() - begin, 1), "loss": round(float(np.mean(losses[-100:])), 4)}
        curve.append(row)
        print(row, flush=True)

with torch.no_grad():
    for parameter, value in zip(model.parameters(), average):
        parameter.copy_(value)
    model.eval()
    guess = torch.cat([model(x).logits.argmax(-1) for x in held.split(200)])
curve.append({"step": step, "held_out_accuracy": float((guess == held_labels).float().mean())})
print(curve[-1], flush=True)
model.save_pretrained(args.output)
processor.save_pretrained(args.output)
data.write_json(os.path.join(args.output, "curve.json"), curve)
