#!/bin/sh
# torch 2.15.0 and torchvision 0.29.2: the same uint8 image resized to other pixels on another x86-64 CPU.
#
# One would expect: 8-bit pixels in, 8-bit pixels out, integer coefficients: the same result everywhere.
# Seen, with ATEN_CPU_CAPABILITY to stand for the CPU:
# - torchvision resizes bilinearly in 8-bit integers where torch sees AVX2, and in f32 where it does not: pixels of noise
#   differ by a level (one value in ten).
# - torch's own integer resize is the same with and without vector code, until the target is one pixel wide: then the
#   scalar code's second pass goes wrong, by more than ten levels, for every antialiased filter. AArch64 has only that code.
#
# Downloads torch with all it needs (gigabytes). Needs an x86-64 CPU with AVX2. Exits 0 while that is so.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q torch==2.15.0 torchvision==0.29.2 numpy==2.4.6
cat >"$dir/resize.py" <<'P'
import sys
import numpy as np
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as tvF

noise = lambda h, w: torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, h, w), dtype=np.uint8))
out = {"torchvision": tvF.resize(noise(97, 83), [32, 32]).numpy()}
for width in (1, 2):
    for mode in ("bilinear", "bicubic"):
        resized = F.interpolate(noise(97, 83), size=(32, width), mode=mode, antialias=True, align_corners=False)
        out[f"{mode} to {width}x32"] = resized.numpy()
np.savez(sys.argv[1], **out)
print(torch.backends.cpu.get_cpu_capability())
P
ATEN_CPU_CAPABILITY=avx2 "$dir/venv/bin/python" "$dir/resize.py" "$dir/vector.npz"
ATEN_CPU_CAPABILITY=default "$dir/venv/bin/python" "$dir/resize.py" "$dir/scalar.npz"
"$dir/venv/bin/python" - "$dir" <<'P'
import sys
import numpy as np

vector, scalar = (np.load(f"{sys.argv[1]}/{name}.npz") for name in ("vector", "scalar"))
most = {}
for case in vector.files:
    levels = np.abs(vector[case].astype(int) - scalar[case].astype(int))
    most[case] = int(levels.max())
    print(f"{case}: {100 * (levels > 0).mean():.2f} % of the values differ, by {most[case]} levels at most")
assert most["torchvision"] == 1
assert most["bilinear to 2x32"] == most["bicubic to 2x32"] == 0
assert most["bilinear to 1x32"] > 10 and most["bicubic to 1x32"] > 10
P
