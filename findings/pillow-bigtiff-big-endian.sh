#!/usr/bin/env bash
# Pillow 13.0.0 (files by tifffile 2026.3.3): BigTIFF in big-endian order.
#
# One would expect it to be opened: its first bytes (MM 00 2B) are among those that Pillow lists, and the same picture is opened
# as little-endian BigTIFF and as classic TIFF of either order.
# Seen: UnidentifiedImageError. Pillow looks for the 43 of BigTIFF in the third byte, where only a little-endian file has it, and
# reads the directory's place from the wrong bytes. (tifffile reads all four.)
#   <classic: opened, >classic: opened, <BigTIFF: opened, >BigTIFF: UnidentifiedImageError
#
# Exits 0 while that is so.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -q pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3
venv/bin/python - <<'P'
import numpy as np, tifffile
from PIL import Image, UnidentifiedImageError

pixels = np.random.default_rng(1).integers(0, 256, (12, 16, 3)).astype(np.uint8)
seen = {}
for big in (False, True):
    for order in "<>":
        name = f"{order}{'BigTIFF' if big else 'classic'}"
        tifffile.imwrite("picture.tif", pixels, photometric="rgb", bigtiff=big, byteorder=order)
        assert (tifffile.imread("picture.tif") == pixels).all()
        try:
            seen[name] = "opened" if (np.asarray(Image.open("picture.tif")) == pixels).all() else "wrong"
        except UnidentifiedImageError as error:
            seen[name] = type(error).__name__
print(seen)
assert seen == {"<classic": "opened", ">classic": "opened", "<BigTIFF": "opened", ">BigTIFF": "UnidentifiedImageError"}
P
