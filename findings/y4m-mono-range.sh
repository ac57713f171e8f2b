#!/usr/bin/env bash
# ffmpeg 7.0.2 (PyPI imageio-ffmpeg 0.6.0) reads `XCOLORRANGE=LIMITED` of a Y4M stream and ignores it where the layout is Cmono:
# its grey has one range, the full one.
#   seen: the samples 16 and 235 are rgb 16 and 235 with LIMITED, with FULL and without a word; of 4:4:4 with LIMITED 0 and 255
set -euo pipefail
cd "$(mktemp -d)" && trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv && venv/bin/pip install -q imageio-ffmpeg==0.6.0
ffmpeg=$(venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
rgb() { "$ffmpeg" -loglevel error -f yuv4mpegpipe -i - -pix_fmt rgb24 -f rawvideo - | od -An -tu1 | tr -s ' '; }
for range in '' ' XCOLORRANGE=FULL' ' XCOLORRANGE=LIMITED'; do
  seen=$(printf 'YUV4MPEG2 W2 H1 F25:1 Cmono%s\nFRAME\n\x10\xeb' "$range" | rgb)
  echo "Cmono$range:$seen"
  [ "$seen" = ' 16 16 16 235 235 235' ]
done
seen=$(printf 'YUV4MPEG2 W2 H1 F25:1 C444 XCOLORRANGE=LIMITED\nFRAME\n\x10\xeb\x80\x80\x80\x80' | rgb)
echo "C444 XCOLORRANGE=LIMITED:$seen"
[ "$seen" = ' 0 0 0 255 255 255' ]
