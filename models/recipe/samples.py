"""Writes the bundled sample stream: a few test images as PNG files, chosen without looking at any model.

The first two test images of every class, then the next four in the data set's order; file names are
the index in the test set and the label, so that a stream sorted by name is a stream in test order. The table
labels.csv says the class of each as the model calls it, for `igpt eval --data`.
"""

import argparse
import os

from PIL import Image

import data

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("output")
parser.add_argument("--data", default=data.DEFAULT_DATA)
parser.add_argument("--count", type=int, default=24)
args = parser.parse_args()

images, labels = data.load(args.data, "t10k")
chosen, seen = [], {}
for i, label in enumerate(labels):
    if seen.get(label, 0) < 2:
        seen[label] = seen.get(label, 0) + 1
        chosen.append(i)
chosen += [i for i in range(len(labels)) if i not in chosen][:args.count - len(chosen)]
os.makedirs(args.output, exist_ok=True)
table = ["file,label"]
for i in sorted(chosen):
    name = data.LABELS[labels[i]].lower().replace("/", "-").replace(" ", "-")
    file = f"{i:04d}-{name}.png"
    Image.fromarray(images[i]).save(os.path.join(args.output, file))
    table.append(f"{file},{data.LABELS[labels[i]]}")
with open(os.path.join(args.output, "labels.csv"), "w") as out:
    out.write("\n".join(table) + "\n")
