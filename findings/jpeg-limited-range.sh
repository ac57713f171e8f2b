#!/usr/bin/env bash
# A JPEG's range is not always JFIF's: ffmpeg 7.0.2 (PyPI imageio-ffmpeg 0.6.0) writes limited range with `-strict unofficial` and says
# so only in a comment, CS=ITU601, which it alone reads. It writes the same words for BT.709.
#   seen: white is (235,235,235) in Pillow 12.0.0 and (255,255,255) in ffmpeg, of one file; the comment is b'CS=ITU601\x00' for both matrices
set -euo pipefail
cd "$(mktemp -d)" && trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv && venv/bin/pip install -q imageio-ffmpeg==0.6.0 pillow==12.0.0
ffmpeg=$(venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
for matrix in bt601 bt709; do
  "$ffmpeg" -loglevel error -f lavfi -i color=c=white:s=64x48:d=0.04:r=25 -vf "scale=out_color_matrix=$matrix,format=yuv420p" -strict unofficial -f mjpeg "$matrix.jpg"
done
"$ffmpeg" -loglevel error -i bt601.jpg -pix_fmt rgb24 -f rawvideo pixels
venv/bin/python - <<'P'
from PIL import Image
comments = [Image.open(f"{m}.jpg").info.get("comment") for m in ("bt601", "bt709")]
pillow, ffmpeg = Image.open("bt601.jpg").getpixel((20, 20)), tuple(open("pixels", "rb").read(3))
print(comments, pillow, ffmpeg)
assert comments == [b"CS=ITU601\x00"] * 2 and pillow == (235,) * 3 and ffmpeg == (255,) * 3
P
