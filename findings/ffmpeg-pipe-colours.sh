#!/usr/bin/env bash
# ffmpeg 7.0.2 (PyPI imageio-ffmpeg 0.6.0): the colours of a BT.709 film that is piped as Motion JPEG or Y4M.
#
# One would expect JPEGs of BT.601, which is all that JFIF knows, and Y4M, which has no word for the matrix, likewise; or that
# naming the matrix to the scale filter cures both.
# Seen: both keep BT.709's coefficients, so that every other reader sees wrong colours. Naming the matrix cures Y4M and not
# Motion JPEG: the film's rgb(29,188,59) is (43,216,64) in Pillow 13.0.0, with out_color_matrix=bt601 too; in Y4M also, and with
# it (27,187,56).
#
# Exits 0 while that is so.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -q imageio-ffmpeg==0.6.0 pillow==13.0.0
ffmpeg=$(venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
tags=(-colorspace bt709 -color_primaries bt709 -color_trc bt709)
"$ffmpeg" -loglevel error -f lavfi -i color=c=0x20C040:s=64x48:d=0.2:r=25 -vf scale=out_color_matrix=bt709,format=yuv420p "${tags[@]}" -c:v libx264 -qp 0 film.mp4
for filter in null scale=out_color_matrix=bt601; do
  "$ffmpeg" -loglevel error -i film.mp4 -vf "$filter" -q:v 1 -frames:v 1 -f mjpeg "$filter.jpg"
  "$ffmpeg" -loglevel error -i film.mp4 -vf "$filter" -frames:v 1 -f yuv4mpegpipe "$filter.y4m"
done
venv/bin/python - <<'P'
from PIL import Image

def y4m(name):
    # The first sample of each plane, by BT.601 in limited range.
    data = open(name, "rb").read()
    planes = data[data.index(b"FRAME\n") + 6:]
    y, cb, cr = planes[0] - 16, planes[64 * 48] - 128, planes[64 * 48 + 32 * 24] - 128
    return round(1.164 * y + 1.596 * cr), round(1.164 * y - 0.392 * cb - 0.813 * cr), round(1.164 * y + 2.017 * cb)

seen = {name: Image.open(f"{name}.jpg").getpixel((20, 20)) for name in ("null", "scale=out_color_matrix=bt601")}
seen |= {f"{name}.y4m": y4m(f"{name}.y4m") for name in list(seen)}
print(seen)
far = lambda rgb: max(abs(a - b) for a, b in zip(rgb, (29, 188, 59))) > 15
assert [far(rgb) for rgb in seen.values()] == [True, True, True, False], seen
P
