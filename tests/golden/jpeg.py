#!/usr/bin/env python3
"""A matrix of small JPEGs and the pixels that libjpeg-turbo, through Pillow, makes of them.

    pip install -r tests/golden/requirements.txt          # and Debian's libjpeg-turbo-progs, for cjpeg
    python tests/golden/jpeg.py

writes tests/golden/jpeg/: `jpegs.gz` (the files, one behind another) and `jpegs.json` (of each its name, length and
size, and the CRC-32 of its RGB pixels; null where Pillow refuses it). Every sampling of 1 or 2 by 1 or 2 for each
component, in one scan, one a component and luma apart from chroma, with restart markers, progressive, arithmetic;
larger factors; grey, RGB, CMYK, YCCK; no Huffman tables; padding; tails; cuts.
"""

import gzip
import io
import itertools
import json
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import versions

OUT = Path(__file__).parent / "jpeg"
FACTORS = ["1x1", "1x2", "2x1", "2x2"]
SCANS = dict(apart="0;\n1;\n2;\n", luma="0;\n1 2;\n", chroma="0 1;\n2;\n", backwards="2;\n1;\n0;\n")
# Only these scans: what of the coefficients is missing, libjpeg smooths over.
SCRIPTS = dict(dc="0 1 2: 0-0, 0, 0;\n", rough="0 1 2: 0-0, 0, 1;\n0: 1-5, 0, 2;\n0 1 2: 0-0, 1, 0;\n",
               fine="0: 0-0, 0, 0;\n1: 0-0, 0, 0;\n2: 0-0, 0, 0;\n0: 1-63, 0, 0;\n2: 1-63, 0, 0;\n1: 1-63, 0, 0;\n")
SIZES = [(17, 19), (1, 1), (33, 8), (7, 40), (16, 16), (31, 2), (24, 23), (2, 31), (35, 33)]


def picture(seed, width, height):
    """Slopes, an edge and some noise; every fourth is noise alone, which overshoots most."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width, 3))
    if seed % 4 == 3:
        return Image.fromarray(noise.astype(np.uint8))
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    slope = x * (c + 2) * 5 + y * (7 - 2 * c) + 90 * ((x * 2 > y + 9) ^ (c == seed % 3))
    return Image.fromarray(((slope + noise // 9) % 256).astype(np.uint8))


def cjpeg(image, *options, scans=None):
    with tempfile.TemporaryDirectory() as folder:
        if scans:
            Path(folder, "scans").write_text(scans)
            options += ("-scans", f"{folder}/scans")
        ppm = io.BytesIO()
        image.save(ppm, "PPM")
        done = subprocess.run(["cjpeg", *options], input=ppm.getvalue(), capture_output=True)
    return done.stdout if done.returncode == 0 else None


def pillow(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def segments(jpeg):
    """(marker, start, end) of every segment up to the first scan, whose data is in the last."""
    at = 2
    while True:
        marker, length = struct.unpack(">xBH", jpeg[at:at + 4])
        if marker == 0xDA:
            yield marker, at, len(jpeg)
            return
        yield marker, at, at + 2 + length
        at += 2 + length


def without(jpeg, marker):
    return jpeg[:2] + b"".join(jpeg[a:b] for m, a, b in segments(jpeg) if m != marker)


def adobe(jpeg, transform):
    """The same data, the transform of its APP14 changed: for 4 components 0 is CMYK, 2 YCCK."""
    return b"".join([jpeg[:2]] + [jpeg[a:b - 1] + bytes([transform]) if m == 0xEE else jpeg[a:b]
                                  for m, a, b in segments(jpeg)])


def files():
    seed = itertools.count()

    def one(name, *options, size=None, **kw):
        n = next(seed)
        quality = str([75, 95, 30, 100, 5][n % 5])
        jpeg = cjpeg(picture(n, *(size or SIZES[n % len(SIZES)])), "-quality", quality, *options, **kw)
        # Three components of 2x2 are too many blocks for one scan.
        return [(name, jpeg)] if jpeg else []

    for factors in itertools.product(FACTORS, repeat=3):
        sample = ",".join(factors)
        yield from one(f"{sample}", "-sample", sample)
        yield from one(f"{sample} optimised", "-sample", sample, "-optimize")
        yield from one(f"{sample} restarts", "-sample", sample, "-restart", "2B")
        for name in ("apart", "luma"):
            yield from one(f"{sample} {name}", "-sample", sample, scans=SCANS[name])
        yield from one(f"{sample} progressive", "-sample", sample, "-progressive")
    for sample in ("2x2,1x1,1x1", "1x1,2x2,1x2", "2x1,1x1,1x1", "1x2,1x1,1x1", "1x1,1x1,1x1"):
        for name in ("chroma", "backwards"):
            yield from one(f"{sample} {name}", "-sample", sample, scans=SCANS[name])
        yield from one(f"{sample} apart restarts", "-sample", sample, "-restart", "1", scans=SCANS["apart"])
        yield from one(f"{sample} progressive restarts", "-sample", sample, "-progressive", "-restart", "3B")
        yield from one(f"{sample} arithmetic", "-sample", sample, "-arithmetic")
        yield from one(f"{sample} progressive arithmetic", "-sample", sample, "-arithmetic", "-progressive")
        for name, script in SCRIPTS.items():
            yield from one(f"{sample} scans {name}", "-sample", sample, scans=script, size=(35, 33))
    for sample in ("4x1,1x1,1x1", "4x2,1x1,1x1", "1x4,1x1,1x1", "3x1,1x1,1x1", "4x1,2x1,1x1", "3x3,1x1,1x1",
                   "1x1,4x1,1x1", "2x4,1x2,1x1", "3x2,1x1,1x1", "3x1,2x1,1x1"):
        yield from one(f"{sample}", "-sample", sample)
        yield from one(f"{sample} apart", "-sample", sample, scans=SCANS["apart"])
    for sample in ("1x1", "2x2", "1x2"):  # one component: its factors mean nothing
        for options in ([], ["-progressive"], ["-restart", "1"], ["-arithmetic"]):
            yield from one(" ".join(["grey", sample, *options]), "-grayscale", "-sample", sample, *options)
    for options in ([], ["-progressive"], ["-sample", "2x1,1x1,1x1"]):
        yield from one(" ".join(["rgb", *options]), "-rgb", *options)
    for n in range(8):
        image = picture(100 + n, *SIZES[n]).convert("CMYK")
        black = picture(200 + n, *SIZES[n]).convert("L").point(lambda v: v // 2)
        image = Image.merge("CMYK", [*image.split()[:3], black])
        jpeg = pillow(image, quality=80, subsampling=n % 3, progressive=n >= 5)
        yield f"cmyk {n}", jpeg
        yield f"ycck {n}", adobe(jpeg, 2)
        yield f"cmyk without adobe {n}", without(jpeg, 0xEE)
    for n in range(6):
        image = picture(300 + n, *SIZES[n])
        jpeg = pillow(image, keep_rgb=True, quality=90)
        yield f"kept rgb {n}", jpeg
        plain = cjpeg(image, "-quality", "90")
        yield f"no JFIF {n}", without(plain, 0xE0)
        yield f"no Huffman tables {n}", without(plain, 0xC4)
    whole = dict(plain=cjpeg(picture(400, 40, 24)), restarts=cjpeg(picture(401, 40, 24), "-restart", "1B"),
                 apart=cjpeg(picture(402, 40, 24), scans=SCANS["apart"]),
                 progressive=cjpeg(picture(404, 40, 24), "-progressive"),
                 grey=cjpeg(picture(405, 40, 24), "-grayscale"))
    thumbnail = b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0" + cjpeg(picture(410, 16, 12))
    for name, jpeg in whole.items():
        yield f"{name} tail", jpeg + bytes(1000)
        yield f"{name} second picture", jpeg + b"\0" * 7 + whole["grey"]
        yield f"{name} padded", jpeg[:-2] + bytes(9) + jpeg[-2:]
        yield f"{name} fill bytes", jpeg[:-2] + b"\xff" * 5 + jpeg[-2:]
        photo = jpeg[:2] + struct.pack(">HH", 0xFFE1, 2 + len(thumbnail)) + thumbnail + jpeg[2:]
        yield f"{name} thumbnail", photo
        # None of these is a whole picture to Pillow.
        yield f"{name} without end", jpeg[:-2]
        yield f"{name} half end", jpeg[:-1]
        for share in (30, 60, 90, 97):
            yield f"{name} cut at {share} %", photo[:len(photo) * share // 100]
        yield f"{name} cut behind the thumbnail", photo[:len(thumbnail) + 40]


def main():
    pins = versions.check()
    OUT.mkdir(exist_ok=True)
    cases, blob = [], b""
    for name, jpeg in files():
        try:
            with Image.open(io.BytesIO(jpeg)) as image:
                rgb = image.convert("RGB")
            answer = dict(width=rgb.width, height=rgb.height, crc32=zlib.crc32(rgb.tobytes()))
        except OSError:
            answer = dict(crc32=None)
        cases.append(dict(name=name, bytes=len(jpeg), **answer))
        blob += jpeg
    (OUT / "jpegs.gz").write_bytes(gzip.compress(blob, 9, mtime=0))
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (OUT / "jpegs.json").write_text(f'{{"pillow": "{pins["pillow"]}",\n"files": [\n{rows}\n]}}\n')
    refused = sum(case["crc32"] is None for case in cases)
    print(f"{len(cases)} files, {refused} refused, {len(blob)} bytes")


if __name__ == "__main__":
    main()
