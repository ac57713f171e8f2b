#!/usr/bin/env bash
# Makes streams/: short streams as real programs write them. Made with Debian 12's ffmpeg 5.1.9 and GStreamer 1.22.0.
# usage: tests/golden/streams.sh
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p streams && cd streams
picture=(-loglevel error -y -f lavfi -i testsrc2=s=32x24:d=0.12:r=25)
# The same three pictures one after another, in a multipart body, and with limited range and ffmpeg's word for it.
ffmpeg "${picture[@]}" -pix_fmt yuvj420p -q:v 6 -bitexact -f mjpeg ffmpeg.mjpeg
ffmpeg "${picture[@]}" -pix_fmt yuvj420p -q:v 6 -bitexact -f mpjpeg ffmpeg-multipart.mjpeg
ffmpeg "${picture[@]}" -pix_fmt yuv420p -q:v 6 -strict unofficial -f mjpeg ffmpeg-limited.mjpeg
source=(videotestsrc num-buffers=2 pattern=smpte)
gst-launch-1.0 -q "${source[@]}" ! video/x-raw,format=I420,width=32,height=24,framerate=25/1 ! jpegenc quality=60 ! tee name=t \
  t. ! queue ! filesink location=gstreamer.mjpeg t. ! queue ! multipartmux boundary=frame ! filesink location=gstreamer-multipart.mjpeg
for layout in I420 Y42B Y41B Y444; do
  gst-launch-1.0 -q "${source[@]}" ! "video/x-raw,format=$layout,width=30,height=22,framerate=25/1" ! y4menc ! filesink location="gstreamer-$layout.y4m"
done
