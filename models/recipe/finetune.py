"""Fine-tuning: a classifier from a pre-trained checkpoint, or from scratch as the control.

Follows Hugging Face's ImageGPTForImageClassification: no start token, the mean over all tokens after
ln_f, a linear head without bias. Positions are rolled by one, because a token that stood at position
i + 1 behind the start token now stands at i. The generative loss is kept as an auxiliary one. With
--scratch the same loop starts from random weights: what it lacks is what pre-training was worth.
--continue starts a new schedule from another run's averaged weights; --grid trains with the blocks'
matrices on the int8 grid and leaves them there, so that quantising the result costs them nothing.
"""

import argparse
import os
import shutil

import numpy as np
import torch
from transformers import ImageGPTConfig, ImageGPTForCausalImageModeling, ImageGPTForImageClassification

import data
import fast
import grid
import trainer

parser = argparse.ArgumentParser(description=__doc__)
trainer.add_arguments(parser)
parser.add_argument("--start", required=True, help="pre-trained checkpoint (ImageGPTForCausalImageModeling)")
parser.add_argument("--scratch", action="store_true", help="take only configuration and palette from --start")
parser.add_argument("--continue", dest="continued", help="folder of a run whose averaged weights to start from")
parser.add_argument("--grid", action="store_true", help="quantisation-aware: matrices on the int8 grid")
parser.add_argument("--lr", type=float, default=0.01, help="Muon's, for the matrices of the blocks")
parser.add_argument("--lr-rest", type=float, default=1e-3, help="AdamW's, for everything else")
parser.add_argument("--decay", type=float, default=0.05)
parser.add_argument("--shift", type=int, default=1, help="random shifts of up to so many pixels, 0 to 2")
parser.add_argument("--flip", type=float, default=0.3, help="how often pictures are mirrored")
parser.add_argument("--smoothing", type=float, default=0.05, help="label smoothing")
parser.add_argument("--generative", type=float, default=0.2, help="weight of the generative loss")
args = parser.parse_args()
trainer.prepare(args)

language = ImageGPTForCausalImageModeling.from_pretrained(args.start, dtype=torch.float32)
labelled = language.config.to_dict() | {
    "id2label": dict(enumerate(data.LABELS)), "label2id": {n: i for i, n in enumerate(data.LABELS)},
    "architectures": ["ImageGPTForImageClassification"]}
config = ImageGPTConfig(**labelled)
if args.scratch:
    language = ImageGPTForCausalImageModeling(config)
model = ImageGPTForImageClassification(config)
if not args.scratch:
    model.transformer.load_state_dict(language.transformer.state_dict())
    with torch.no_grad():
        model.transformer.wpe.weight.copy_(language.transformer.wpe.weight.roll(-1, 0))
model.train()
p = fast.names(model) | {"lm_head.weight": language.lm_head.weight}
if args.continued:
    averages = torch.load(os.path.join(args.continued, "state.pt"), weights_only=True)["average"]
    with torch.no_grad():
        for name, parameter in p.items():
            parameter.copy_(averages[name])
on_grid = [name for name in p if args.grid and name.endswith(trainer.MATRICES)]

table = data.palette_table(args.start)
_, labels = data.load(args.data, "train")
greys = data.shifted_greys(args.data, args.cache)
keep = len(labels) - data.HOLDOUT
held = torch.from_numpy(table[greys[data.MAX_SHIFT, data.MAX_SHIFT, keep:]].reshape(
    -1, data.TOKENS).astype(np.int64))
held_labels = torch.from_numpy(labels[keep:])
fast.check(model, held[:4])

losses_of = fast.classifier_losses
if args.compile:
    losses_of = torch.compile(losses_of, dynamic=False)


def losses(ids, wanted):
    seen = p | {name: grid.straight_through(p[name]) for name in on_grid}
    label, nats = losses_of(seen, config, ids, wanted, args.smoothing)
    return label + args.generative * nats, {"label": label, "nats": nats}


def validate():
    """Accuracy on the held-out training images, computed by Hugging Face's class in float32."""
    with torch.no_grad():
        for name in on_grid:
            p[name].copy_(grid.snap(p[name]))
        guess = torch.cat([model(ids).logits.argmax(-1) for ids in held.split(60)])
    return {"held_out_accuracy": float((guess == held_labels).float().mean())}


run = trainer.Run(p, args.output, args)
batches = data.Batches(greys, labels[:keep], table, args.batch, [args.seed, run.step], args.shift, args.flip)
run.loop(batches, losses, validate)
model.save_pretrained(args.output)
shutil.copyfile(os.path.join(args.start, "preprocessor_config.json"),
                os.path.join(args.output, "preprocessor_config.json"))
print("wrote", os.path.join(args.output, "model.safetensors"))
