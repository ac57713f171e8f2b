"""What int8 costs the three models over the whole test set, by `igpt eval`: the classifier's file, the language model's, the Mix Transformer's.

Of each report the numbers of the card are kept, without times: they are the machine's.
"""

import argparse
import json
import os
import shlex
import subprocess
import tempfile

IGPT = os.environ.get("IGPT", "cargo run --quiet --release -p igpt-tools --")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("output", help="JSON file")
parser.add_argument("--models", default="models/fashion-mnist", help="folder of the models")
parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
parser.add_argument("--limit", type=int, help="only so many images, to try it")
args = parser.parse_args()


def igpt(*words):
    return subprocess.run([*shlex.split(IGPT), *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def evaluate(file, against):
    limit = ["--limit", str(args.limit)] if args.limit else []
    report = json.loads(igpt("eval", file, "--data", args.data, "--against", against, "--json", *limit))
    comparison = report["comparison"]
    numbers = ("argmax_agreement", "logits_cosine", "top1_points", "nats_percent")
    kept = {"against": score(comparison["against"])} | {key: comparison[key] for key in numbers}
    return score(report) | {"comparison": kept}


def score(report):
    """Whose numbers, and those that do not depend on the machine."""
    model = report["model"]
    who = {"file": os.path.basename(model["file"]), "task": model["task"]}
    return who | {key: report[key] for key in ("images", "top1", "nats")}


with tempfile.TemporaryDirectory() as folder:
    lm = os.path.join(folder, "lm-int8.onnx")
    igpt("quantize", os.path.join(args.models, "lm"), "-o", lm)
    classifier = os.path.join(args.models, "igpt-fashion-mnist-int8.onnx")
    reports = {
        "classifier": evaluate(classifier, os.path.join(args.models, "clf")),
        "language_model": evaluate(lm, os.path.join(args.models, "lm")),
        "mix_transformer": evaluate(os.path.join(args.models, "mit-fashion-mnist-int8.onnx"), os.path.join(args.models, "mit")),
    }
with open(args.output, "w") as out:
    json.dump(reports, out, indent=1)
    out.write("\n")
