#!/usr/bin/env bash
# ffmpeg 7.0.2 (PyPI imageio-ffmpeg 0.6.0), Pillow 13.0.0: a JPEG's range.
#
# One would expect the whole byte, as JFIF has it, in every JPEG; or, where a file says otherwise, that its readers agree.
# Seen: with `-strict unofficial` ffmpeg writes luma of 16 to 235 and says so only in a comment, CS=ITU601, which it alone reads:
# white is (235,235,235) in Pillow and (255,255,255) in ffmpeg, of one file. The comment is b'CS=ITU601\x00' for BT.709 too.
#
# Exits 0 while that is so.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv && venv/bin/pip install -q imageio-ffmpeg==0.6.0 pillow==13.0.0
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
