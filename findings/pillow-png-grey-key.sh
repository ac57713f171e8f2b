#!/usr/bin/env bash
# Pillow 13.0.0: a grey PNG of 2 or 4 bits with a transparent level (tRNS).
#
# One would expect the pixels of that level to be transparent, as they are with 8 bits.
# Seen: another level is, or none. The samples are scaled to 8 bits, the level of tRNS is not, and the two are compared: of a
# 2-bit file whose level 3, white, is transparent nothing is, for 3 became 255. (16-bit colour is compared after its low byte is gone; not run here.)
#   the alpha of levels 0 to 3 with level 3 transparent: 2 and 4 bits: 255 255 255 255; 8 bits: 255 255 255 0
#
# Exits 0 while that is so.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -q pillow==13.0.0
venv/bin/python - <<'P'
import io, struct, zlib
from PIL import Image

def alpha(bits):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = {2: b"\x1b", 4: b"\x01\x23", 8: bytes(range(4))}[bits]  # levels 0 1 2 3
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, bits, 0, 0, 0, 0))
    png += chunk(b"tRNS", struct.pack(">H", 3)) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return list(Image.open(io.BytesIO(png)).convert("RGBA").getchannel("A").tobytes())

seen = {bits: alpha(bits) for bits in (2, 4, 8)}
print(seen)
assert seen == {2: [255, 255, 255, 255], 4: [255, 255, 255, 255], 8: [255, 255, 255, 0]}
P
