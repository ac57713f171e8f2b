#!/usr/bin/env bash
# Pillow 13.0.0 (its wheel's libjpeg-turbo 3.2.0, x86-64): a JPEG's pixels and the CPU's vector instructions.
#
# One would expect the same pixels on every CPU: libjpeg-turbo's plain C and its SIMD are known as bit-exact to each other.
# Seen: they are for what encoders write; but where coefficient times quantiser leaves 16 bits, which the format allows, the
# vector paths wrap around and C does not. Quantisers of 1: the same pixels; all of them raised to 255: 10,086 of 12,288 bytes
# differ with JSIMD_FORCENONE=1.
#
# Exits 0 while that is so; needs an x86-64 CPU.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -q pillow==13.0.0 numpy==2.4.6
[ "$(uname -m)" = x86_64 ] || { echo "says nothing about $(uname -m)"; exit 0; }
cat >decode.py <<'P'
import io, sys
import numpy as np
from PIL import Image

noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
out = io.BytesIO()
Image.fromarray(noise).save(out, "JPEG", quality=100, subsampling=0)
jpeg = bytearray(out.getvalue())
at = -1
while sys.argv[1] != "1" and (at := jpeg.find(b"\xff\xdb", at + 1)) >= 0:  # one table a segment
    jpeg[at + 5:at + 69] = bytes([int(sys.argv[1])] * 64)
open(sys.argv[2], "wb").write(Image.open(io.BytesIO(jpeg)).convert("RGB").tobytes())
P
for quantiser in 1 255; do
  venv/bin/python decode.py $quantiser simd
  JSIMD_FORCENONE=1 venv/bin/python decode.py $quantiser plain
  different=$({ cmp -l simd plain || true; } | wc -l)
  echo "quantisers of $quantiser: $different of $(stat -c %s plain) bytes differ"
  case $quantiser in
    1) [ "$different" = 0 ] ;;
    *) [ "$different" -gt 0 ] ;;
  esac
done
