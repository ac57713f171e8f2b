"""Test numbers of exported checkpoints, over the whole test set, by Hugging Face's classes in float32.

Accuracy of the classifier with its standard error and its confusion matrix, nats per token of the
language model with the standard error of the mean over images. Writes one JSON file. Nothing may be
chosen by these numbers: choices are made on held-out training images.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from transformers import ImageGPTForCausalImageModeling, ImageGPTForImageClassification

import data
import fast

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("output", help="JSON file")
parser.add_argument("--data", default=data.DEFAULT_DATA)
parser.add_argument("--clf", help="checkpoint of ImageGPTForImageClassification")
parser.add_argument("--lm", help="checkpoint of ImageGPTForCausalImageModeling")
parser.add_argument("--threads", type=int, default=1)
args = parser.parse_args()
torch.set_num_threads(args.threads)
result = {}

if args.clf:
    ids, labels = data.tokens(args.data, "t10k", args.clf)
    model = ImageGPTForImageClassification.from_pretrained(args.clf, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = torch.cat([model(b).logits for b in torch.from_numpy(ids.astype(np.int64)).split(50)])
    guess = logits.argmax(-1).numpy()
    right = guess == labels
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, guess), 1)
    result["classifier"] = {
        "images": len(labels), "accuracy": float(right.mean()),
        "standard_error": float(np.sqrt(right.mean() * (1 - right.mean()) / len(labels))),
        "cross_entropy": float(F.cross_entropy(logits, torch.from_numpy(labels))),
        "accuracy_by_class": {n: float(right[labels == i].mean()) for i, n in enumerate(data.LABELS)},
        "confusion_rows_are_labels": confusion.tolist()}

if args.lm:
    ids, _ = data.tokens(args.data, "t10k", args.lm)
    model = ImageGPTForCausalImageModeling.from_pretrained(args.lm, dtype=torch.float32).eval()
    each = []
    with torch.no_grad():
        for b in torch.from_numpy(ids.astype(np.int64)).split(50):
            logits = model(fast.shift_right(b, model.config.vocab_size - 1), use_cache=False).logits
            each.append(F.cross_entropy(logits.transpose(1, 2), b, reduction="none").mean(1))
    each = torch.cat(each).double()
    result["language_model"] = {
        "images": len(each), "nats_per_token": float(each.mean()),
        "bits_per_token": float(each.mean() / np.log(2)),
        "standard_error": float(each.std() / len(each) ** 0.5)}

data.write_json(args.output, result)
print({k: {n: v for n, v in r.items() if not isinstance(v, (list, dict))} for k, r in result.items()})
