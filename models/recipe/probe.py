"""Linear probes: logistic regression on mean-pooled features of every layer, against raw pixels.

The pre-trained model is frozen and reads the start token and all tokens but the last. A layer's
features are the mean over positions of its residual stream, once as Hugging Face's hidden_states hold
it and once normalised token by token as the paper does ("normalised"; ln_f has done so in the last).
The same images, the same regression and the same choice of its strength (on held-out training
images, at the small size) serve the features, the raw 28x28 pixels and the 14x14 pixels of the tokens.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import ImageGPTForCausalImageModeling

import data
import fast

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("output", help="JSON file")
parser.add_argument("--lm", required=True, help="checkpoint of ImageGPTForCausalImageModeling")
parser.add_argument("--data", default=data.DEFAULT_DATA)
parser.add_argument("--train", type=int, default=0, help="use only the first so many training images")
parser.add_argument("--small", type=int, default=12000, help="size of the set that the strength is chosen with")
parser.add_argument("--bfloat16", action="store_true", help="features by bfloat16 autocast: twice as fast")
parser.add_argument("--threads", type=int, default=1)
args = parser.parse_args()
torch.set_num_threads(args.threads)
warnings.filterwarnings("ignore", message=".*lbfgs failed to converge.*")

model = ImageGPTForCausalImageModeling.from_pretrained(args.lm, dtype=torch.float32).eval()


def features(ids):
    """{name: [N,C]} of every layer, plain and normalised."""
    found = {}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
        for b in torch.from_numpy(ids.astype(np.int64)).split(50):
            states = model.transformer(fast.shift_right(b, model.config.vocab_size - 1), use_cache=False,
                                       output_hidden_states=True).hidden_states
            for layer, h in enumerate(states):
                h = h.float()
                found.setdefault(f"layer {layer}", []).append(h.mean(1))
                if layer < len(states) - 1:
                    unit = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + model.config.layer_norm_epsilon)
                    found.setdefault(f"layer {layer} normalised", []).append(unit.mean(1))
    return {k: torch.cat(v).numpy() for k, v in found.items()}


def regress(train, labels, strength):
    return LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(train, labels)


began = time.time()
images, labels = data.load(args.data, "train")
test_images, test_labels = data.load(args.data, "t10k")
keep = len(labels) - data.HOLDOUT
if args.train:
    images, labels = (np.concatenate([a[:args.train], a[keep:]]) for a in (images, labels))
    keep = args.train
table = data.palette_table(args.lm)
small_images, small_tests = data.shrink(images), data.shrink(test_images)
train = features(table[small_images].reshape(-1, data.TOKENS))
test = features(table[small_tests].reshape(-1, data.TOKENS))
print(f"features took {time.time() - began:.0f} s", flush=True)
for name, a, b in (("raw 28x28 pixels", images, test_images), ("raw 14x14 pixels", small_images, small_tests)):
    train[name], test[name] = (x.reshape(len(x), -1) / np.float32(255) for x in (a, b))

result = {"train_images": keep, "small": args.small, "test_images": len(test_labels),
          "features": "bfloat16 autocast" if args.bfloat16 else "float32", "probes": {}}
for name in train:
    scaler = StandardScaler().fit(train[name][:keep])
    x, t = scaler.transform(train[name]), scaler.transform(test[name])
    tried = {c: regress(x[:args.small], labels[:args.small], c) for c in (0.003, 0.03, 0.3)}
    score = {c: m.score(x[keep:], labels[keep:]) for c, m in tried.items()}
    best = max(score, key=score.get)
    full = tried[best] if keep <= args.small else regress(x[:keep], labels[:keep], best)
    result["probes"][name] = row = {
        "strength": best, "held_out_small": score[best], "test_small": tried[best].score(t, test_labels),
        "held_out": full.score(x[keep:], labels[keep:]), "test": full.score(t, test_labels)}
    print(f"{time.time() - began:5.0f} s  {name:22s} {row}", flush=True)
    data.write_json(args.output, result)
