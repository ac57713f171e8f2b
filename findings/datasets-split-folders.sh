#!/bin/sh
# datasets 5.2.0 (Hugging Face), ImageFolder: which folders are splits, and which are nothing.
#
# A good engineer expects: folders of classes give one split with all classes; Train/ and Test/ give two splits.
# Seen: a word of a class folder's name is enough to make it a split, and whatever is in no split is dropped without
# a word: of bullet_train/ beside car/ only the former is loaded. Names count in lower case only: Train/ and Test/
# are no splits, and their images are merged into one called "train". A class __background__/ is dropped, as
# every folder of two underscores.
#
# Exits 0 while that is so.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q datasets==5.2.0 pillow==13.0.0
export HF_HOME="$dir/home" HF_HUB_OFFLINE=1
"$dir/venv/bin/python" - "$dir" <<'P'
import os, sys
from PIL import Image
from datasets import Image as ImageColumn, disable_progress_bars, load_dataset

disable_progress_bars()
root = sys.argv[1]

def load(name, files):
    for file in files:
        path = os.path.join(root, name, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    loaded = load_dataset("imagefolder", data_dir=os.path.join(root, name))
    found = {}
    for split, part in loaded.items():
        paths = part.cast_column("image", ImageColumn(decode=False))["image"]
        found[split] = sorted(os.path.relpath(image["path"], os.path.join(root, name)) for image in paths)
    print(name, found)
    return found

assert load("classes", ["bullet_train/1.png", "car/2.png"]) == {"train": ["bullet_train/1.png"]}
assert load("capitals", ["Train/cat/1.png", "Train/dog/2.png", "Test/cat/3.png"]) == {
    "train": ["Test/cat/3.png", "Train/cat/1.png", "Train/dog/2.png"]}
assert load("underscores", ["__background__/1.png", "cat/2.png"]) == {"train": ["cat/2.png"]}
P
