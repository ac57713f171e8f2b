"""Generative pre-training: the model learns to predict each token of a picture from those before it.

Starts from a Hugging Face checkpoint (--start) or from random weights with that checkpoint's
configuration (--scratch), and writes one that ImageGPTForCausalImageModeling loads.
"""

import argparse
import os
import shutil

import numpy as np
import torch
from transformers import ImageGPTForCausalImageModeling

import data
import fast
import trainer

parser = argparse.ArgumentParser(description=__doc__)
trainer.add_arguments(parser)
parser.add_argument("--start", required=True, help="checkpoint that gives configuration, palette and weights")
parser.add_argument("--scratch", action="store_true", help="take only configuration and palette from --start")
parser.add_argument("--lr", type=float, default=0.02, help="Muon's, for the matrices of the blocks")
parser.add_argument("--lr-rest", type=float, default=2e-3, help="AdamW's, for everything else")
parser.add_argument("--decay", type=float, default=0.01)
parser.add_argument("--shift", type=int, default=0, help="random shifts of up to so many pixels, 0 to 2")
parser.add_argument("--flip", type=float, default=0.0, help="how often pictures are mirrored")
args = parser.parse_args()
trainer.prepare(args)

model = ImageGPTForCausalImageModeling.from_pretrained(args.start, dtype=torch.float32)
if args.scratch:
    model = ImageGPTForCausalImageModeling(model.config)
model.train()
config, p = model.config, fast.names(model)
table = data.palette_table(args.start)
_, labels = data.load(args.data, "train")
greys = data.shifted_greys(args.data, args.cache)
keep = len(labels) - data.HOLDOUT
held = torch.from_numpy(table[greys[data.MAX_SHIFT, data.MAX_SHIFT, keep:keep + 1024]].reshape(
    -1, data.TOKENS).astype(np.int64))
start = config.vocab_size - 1
fast.check(model, held[:4])

loss_of = fast.language_loss
if args.compile:
    loss_of = torch.compile(loss_of, dynamic=False)


def losses(ids, _labels):
    loss = loss_of(p, config, fast.shift_right(ids, start), ids)
    return loss, {"nats": loss}


def validate():
    """Nats per token on 1,024 held-out training images, computed by Hugging Face's class in float32."""
    total = 0.0
    with torch.no_grad():
        for ids in held.split(64):
            logits = model(fast.shift_right(ids, start), use_cache=False).logits
            total += float(torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), ids.flatten(), reduction="sum"))
    return {"held_out_nats": total / held.numel()}


run = trainer.Run(p, args.output, args)
batches = data.Batches(greys, labels[:keep], table, args.batch, [args.seed, run.step], args.shift, args.flip)
run.loop(batches, losses, validate)
model.save_pretrained(args.output)
shutil.copyfile(os.path.join(args.start, "preprocessor_config.json"),
                os.path.join(args.output, "preprocessor_config.json"))
print("wrote", os.path.join(args.output, "model.safetensors"))
