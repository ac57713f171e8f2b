"""ImageNet-1k top-1 of a Mix Transformer's file, beside what its authors published. For whoever has the data: it is not ours to ship.

    igpt quantize nvidia/mit-b0 --size 224 -o mit-b0.onnx
    python tests/imagenet/top1.py mit-b0.onnx --val ILSVRC2012/val

VAL holds the 50,000 validation pictures in a folder for each class, called by its WordNet id (n01440764, ...). Sorted, these are the
model's labels 0 to 999. The published numbers are of pictures whose shorter side was made 256 pixels long, of which the middle 224 x 224 was
taken; the image processor of the published checkpoints squeezes the whole picture into a square instead, so a difference is to be
expected that has nothing to do with int8. Nothing of this was measured by us.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PUBLISHED = {"b0": 70.5, "b1": 78.7, "b2": 81.6, "b3": 83.1, "b4": 83.6, "b5": 83.8}
CLASSES, PICTURES = 1000, (".jpeg", ".jpg", ".png")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", type=Path, help="made with `igpt quantize`")
parser.add_argument("--val", type=Path, required=True, help="folder of the class folders")
parser.add_argument("--every", type=int, default=1, help="only every Nth picture of each class")
parser.add_argument("--igpt", default="igpt", help="the program")
parser.add_argument("--against", help="also compare with this model, the checkpoint in f32 say")
args = parser.parse_args()

folders = sorted(path for path in args.val.iterdir() if path.is_dir())
if len(folders) != CLASSES:
    sys.exit(f"{args.val}: {len(folders)} folders, expected the {CLASSES} classes")
with tempfile.TemporaryDirectory() as folder:
    table = Path(folder) / "val.csv"
    with table.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["file_name", "label"])
        for index, path in enumerate(folders):
            pictures = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
            rows.writerows([file.resolve(), index] for file in pictures[::args.every])
    command = [args.igpt, "eval", args.model, "--data", table, "--json"]
    if args.against:
        command += ["--against", args.against]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
if done.returncode:
    sys.exit(done.returncode)
report = json.loads(done.stdout)
top1, error = 100 * report["top1"], 100 * report["top1_standard_error"]
print(f"{args.model}: top-1 {top1:.2f} ± {error:.2f} %")
for size, published in PUBLISHED.items():
    if size in args.model.stem.lower():
        print(f"published for MiT-{size}: {published} %, of pictures that were cropped")
if args.against:
    print(f"the same verdict as {args.against}: {100 * report['comparison']['argmax_agreement']:.2f} %")
