#!/usr/bin/env bash
# transformers 5.23.0: num_labels beside id2label wins over it, and takes the names away.
#
# A config.json with three named labels in id2label and "num_labels": 2 (left over from the run that the file was
# copied from) loads with a warning at most, and then has the labels LABEL_0 and LABEL_1: the names are gone, and the
# head is two wide. One expects id2label, the richer of the two, to win, or a refusal. Of the same kind: label2id
# without id2label names nothing, so {"cat": 0, "dog": 1} alone gives LABEL_0 and LABEL_1; and problem_type is typed as
# a Literal, but any string is taken, which the image-classification pipeline then treats as a softmax, so that the
# typing mistake "multi_label" turns independent probabilities into exclusive ones without a word.
#
# Seen:  {0: 'LABEL_0', 1: 'LABEL_1'}    (id2label of three and num_labels 2)
#        {0: 'LABEL_0', 1: 'LABEL_1'}    (label2id alone)
#        multi_label                     (problem_type as given)
#        ValueError                      (single_label_classification of one label: this one is checked)
#
# A tool that reads such files should refuse the contradiction. Exits 1 if transformers does otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q transformers==5.23.0
mkdir "$work/checkpoint"
"$work/venv/bin/python" - "$work/checkpoint" <<'P'
import json
import sys

from transformers import AutoConfig
from transformers.utils import logging

logging.set_verbosity_error()
folder = sys.argv[1]


def load(**fields):
    with open(f"{folder}/config.json", "w") as file:
        json.dump({"model_type": "imagegpt", **fields}, file)
    return AutoConfig.from_pretrained(folder)


named = {"0": "cat", "1": "dog", "2": "cow"}
erased = load(id2label=named, num_labels=2).id2label
alone = load(label2id={"cat": 0, "dog": 1}).id2label
typing = load(problem_type="multi_label").problem_type
try:
    load(problem_type="single_label_classification", id2label={"0": "cat"})
    checked = "taken"
except Exception as error:
    checked = type(error).__name__
print(erased, alone, typing, checked, sep="\n")
default = {0: "LABEL_0", 1: "LABEL_1"}
ok = (erased, alone, typing) == (default, default, "multi_label") and checked.endswith("Error")
sys.exit(0 if ok else 1)
P
