#!/usr/bin/env python3
"""Small image files of every kind but JPEG, and the pixels that Pillow and Hugging Face make of them.

    pip install -r tests/golden/requirements.txt
    python tests/golden/images.py

writes tests/golden/images/: `images.gz` (the files, one behind another) and `images.json` (of each its name, length
and size, and the CRC-32 of its RGB pixels). Pillow writes few of these kinds; most are spelled out here. A case with
`why` is one where our pixels are not Pillow's, on purpose; its answer is computed here.
"""

import gzip
import io
import itertools
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from transformers.image_transforms import convert_to_rgb

import versions
from images_tiff import tiff_files

OUT = Path(__file__).parent / "images"
W, H = 13, 9


def noise(seed, *shape, top=256):
    return np.random.default_rng(seed).integers(0, top, shape).astype(np.uint16 if top > 256 else np.uint8)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pack(samples, bits):
    """Rows of samples, each row filled up to whole bytes."""
    rows = samples.reshape(samples.shape[0], -1)
    if bits == 16:
        return [row.astype(">u2").tobytes() for row in rows]
    planes = (rows[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1)).tobytes() for row in planes.astype(np.uint8)]


def png(samples, bits, colour, *chunks, interlaced=False, after=()):
    h, w = samples.shape[:2]
    passes = [samples]
    if interlaced:
        steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in steps]
    raw = b"".join(b"\0" + row for part in passes if part.size for row in pack(part, bits))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", w, h, bits, colour, 0, 0, interlaced)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(raw, 9)), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def exif(orientation, kind=3, little=True):
    e = "<" if little else ">"
    value = {1: "B3x", 3: "H2x", 4: "I"}[kind]
    return struct.pack(e + "2sHIHHHI" + value + "I", b"II" if little else b"MM", 42, 8, 1, 274, kind, 1, orientation, 0)


def xmp(orientation, element=False):
    text = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if element else f'<a tiff:Orientation="{orientation}"/>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{text}</x:xmpmeta>'.encode()


def png_files():
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    for seed, (colour, bits) in enumerate((c, b) for c in channels for b in depths[c]):
        samples = noise(seed, H, W, channels[colour], top=2**bits)
        palette = [(b"PLTE", noise(50 + seed, 2**bits, 3).tobytes())] if colour == 3 else []
        for interlaced in (False, True):
            why = None
            if colour == 0 and bits == 16:
                why = ("16-bit grey: the high byte", np.repeat(samples >> 8, 3, axis=2))
            yield f"png {colour} {bits} {interlaced}", png(samples, bits, colour, *palette, interlaced=interlaced), why
        if colour == 3:
            alpha = noise(70 + seed, min(2**bits, 9)).tobytes()
            yield f"png {colour} {bits} alpha", png(samples, bits, colour, *palette, (b"tRNS", alpha)), None
        elif colour in (0, 2):
            key = samples[3, 3]
            hit = (samples == key).all(axis=2, keepdims=True)
            scale = {1: 255, 2: 85, 4: 17, 8: 1}
            full = samples.astype(int) * scale[bits] if bits < 16 else samples >> 8
            right = np.broadcast_to(np.where(hit, 255, full), (H, W, 3))
            pillow_is_right = bits == 8 or (bits == 1 and key[0] == 0)
            why = None if pillow_is_right else ("a transparent colour of other than 8 bits", right)
            data = struct.pack(f">{len(key)}H", *(int(v) for v in key))
            yield f"png {colour} {bits} key", png(samples, bits, colour, (b"tRNS", data)), why
    rgb = noise(90, H, W, 3)
    raw = ("\nexif\n%8d\n" % (len(exif(5)) + 6) + (b"Exif\0\0" + exif(5)).hex() + "\n").encode()
    packed = zlib.compress(xmp(8))
    for name, chunks, after in [
        ("eXIf", [(b"eXIf", exif(6))], []), ("eXIf behind", [], [(b"eXIf", exif(7))]),
        ("eXIf with a prefix", [(b"eXIf", b"Exif\0\0" + exif(3, little=False))], []),
        ("raw profile", [(b"tEXt", b"Raw profile type exif\0" + raw)], []),
        ("raw profile zTXt", [(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw))], []),
        ("xmp", [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))], []),
        ("xmp packed", [(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed)], []),
        ("xmp behind", [], [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3, True))]),
        ("both", [(b"eXIf", exif(6)), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))], []),
        ("both, EXIF upright", [(b"eXIf", exif(1)), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))], []),
    ]:
        yield f"png {name}", png(rgb, 8, 2, *chunks, after=after), None


def jpeg_orientations():
    image = Image.fromarray(noise(95, 16, 24, 3))
    jpeg = saved(image, "JPEG", quality=90)
    segment = lambda data: struct.pack(">HH", 0xFFE1, len(data) + 2) + data
    packet = b"http://ns.adobe.com/xap/1.0/\0"
    for name, parts in [
        ("xmp", [packet + xmp(6)]), ("xmp element", [packet + xmp(8, True)]),
        ("byte", [b"Exif\0\0" + exif(5, 1)]), ("long", [b"Exif\0\0" + exif(7, 4)]),
        ("long, big endian", [b"Exif\0\0" + exif(6, 4, False)]), ("byte, big endian", [b"Exif\0\0" + exif(3, 1, False)]),
        ("both", [b"Exif\0\0" + exif(6), packet + xmp(3)]), ("xmp first", [packet + xmp(3), b"Exif\0\0" + exif(1)]),
        ("nine", [b"Exif\0\0" + exif(9), packet + xmp(3)]), ("two xmp", [packet + xmp(3), packet + xmp(6)]),
        ("in two segments", [b"Exif\0\0" + exif(6)[:11], b"Exif\0\0" + exif(6)[11:]]),
    ]:
        yield f"jpeg {name}", jpeg[:2] + b"".join(map(segment, parts)) + jpeg[2:], None


def gif_files():
    image = Image.fromarray(noise(100, 6, 5, 3)).quantize(16)
    plain = saved(image, "GIF")
    data = plain[plain.index(b"\x2c"):]  # the frame, its palette the global one
    table = bytes(noise(101, 48).tobytes())

    def gif(screen, at, transparent=None, local=False, size=3):
        head = struct.pack("<6sHHBBB", b"GIF89a", *screen, 0x80 | size, 7, 0) + table[:3 << (size + 1)]
        if transparent is not None:
            head += bytes([0x21, 0xF9, 4, 1, 0, 0, transparent, 0])
        frame = data[:1] + struct.pack("<HHHH", *at, 5, 6) + bytes([0x83 if local else data[9]])
        return head + frame + (table[::-1] if local else b"") + data[10:]

    for (screen, at), transparent, local in itertools.product(
            [((5, 6), (0, 0)), ((9, 8), (0, 0)), ((9, 8), (3, 1)), ((4, 3), (2, 2)), ((12, 20), (7, 14)), ((0, 0), (0, 0))],
            [None, 0, 5, 200], [False, True]):
        yield f"gif {screen} {at} {transparent} {local}", gif(screen, at, transparent, local), None
    yield "gif short palette", gif((9, 8), (1, 1), None, False, 1), None
    yield "gif short palette, transparent", gif((9, 8), (1, 1), 14, False, 1), None
    yield "gif interlaced", saved(Image.fromarray(noise(102, 21, 17, 3)).quantize(200), "GIF", interlace=1), None
    yield "gif grey", saved(Image.fromarray(noise(103, 8, 7)), "GIF"), None
    frames = [Image.fromarray(noise(104 + n, 8, 7, 3)).quantize(8) for n in range(3)]
    yield "gif animated", saved(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=2), None


def pnm_files():
    for seed, maximum in enumerate([1, 2, 3, 15, 100, 254, 255, 256, 1000, 1023, 4095, 65534, 65535]):
        rgb = noise(120 + seed, 4, 5, 3, top=maximum + 1).astype(int)
        text = lambda a: " ".join(map(str, a.reshape(-1))).encode()
        binary = lambda a: a.astype(">u2" if maximum > 255 else "u1").tobytes()
        for kind, samples, write in [(3, rgb, text), (6, rgb, binary), (2, rgb[:, :, :1], text), (5, rgb[:, :, :1], binary)]:
            why = None
            if kind in (2, 5) and maximum > 255:
                grey = np.round(samples / maximum * 255)
                why = ("grey beyond 8 bits is rounded as colour is", np.repeat(grey, 3, axis=2))
            yield f"pnm P{kind} {maximum}", b"P%d # made here\n5\t4\n%d\n" % (kind, maximum) + write(samples), why
    bits = noise(140, 4, 11, 1, top=2)
    yield "pnm P1", b"P1\n11 4\n" + b"".join(b"%d" % v for v in bits.reshape(-1)), None
    yield "pnm P1 spaced", b"P1 11 4\n# bits\n" + b" ".join(b"%d" % v for v in bits.reshape(-1)) + b"\n", None
    yield "pnm P4", b"P4\n11 4\n" + b"".join(pack(bits, 1)), None


def bmp_files():
    rgb = Image.fromarray(noise(150, 5, 7, 3))
    for name, image in [("24", rgb), ("8", rgb.quantize(200)), ("1", rgb.convert("1")), ("grey", rgb.convert("L"))]:
        yield f"bmp {name}", saved(image, "BMP"), None
    rgba = Image.fromarray(noise(151, 5, 7, 4), "RGBA")
    yield "bmp 32", saved(rgba, "BMP"), None

    def bmp(bits, pixels, compression=0, masks=b"", palette=b"", height=5):
        head = struct.pack("<IiiHHIIiiII", 40, 7, height, 1, bits, compression, len(pixels), 2835, 2835, len(palette) // 4, 0)
        offset = 14 + len(head) + len(masks) + len(palette)
        return struct.pack("<2sIHHI", b"BM", offset + len(pixels), 0, 0, offset) + head + masks + palette + pixels

    deep = noise(152, 5, 8, top=65536).astype("<u2").tobytes()
    yield "bmp 555", bmp(16, deep), None
    yield "bmp 565", bmp(16, deep, 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F)), None
    yield "bmp from the top", bmp(24, noise(153, 5, 24).tobytes(), height=-5), None
    table = noise(154, 16, 4).tobytes()
    yield "bmp 4", bmp(4, noise(155, 5, 4).tobytes(), palette=table), None
    run = b"".join(bytes([4, n, 3, n + 1, 0, 0]) for n in range(5))
    yield "bmp RLE8", bmp(8, run[:-2] + b"\0\1", 1, palette=table), None


def webp_files():
    rgb = Image.fromarray(np.repeat(np.repeat(noise(160, 7, 9, 3), 4, axis=0), 3, axis=1))
    rgba = Image.fromarray(noise(161, 12, 15, 4), "RGBA")
    for name, image, options in [
        ("lossless", rgb, dict(lossless=True)), ("lossless alpha", rgba, dict(lossless=True, exact=True)),
        ("lossy 90", rgb, dict(quality=90)), ("lossy 20", rgb, dict(quality=20)), ("lossy alpha", rgba, dict(quality=70)),
        ("lossy odd", rgb.crop((0, 0, 17, 13)), dict(quality=60)),
        ("exif", rgb, dict(lossless=True, exif=b"Exif\0\0" + exif(6))), ("xmp", rgb, dict(lossless=True, xmp=xmp(8))),
        ("animated", rgb, dict(lossless=True, save_all=True, append_images=[rgb.rotate(180)])),
    ]:
        yield f"webp {name}", saved(image, "WEBP", **options), None


def main():
    pins = versions.check()
    OUT.mkdir(exist_ok=True)
    cases, blob = [], b""
    everything = itertools.chain(png_files(), jpeg_orientations(), gif_files(), pnm_files(), bmp_files(), webp_files(),
                                 tiff_files(noise, pack, xmp))
    for name, file, why in everything:
        if why is None:
            with Image.open(io.BytesIO(file)) as image:
                pixels = convert_to_rgb(ImageOps.exif_transpose(image), return_numpy=True)
            reason = {}
        else:
            reason, pixels = dict(why=why[0]), why[1].astype(np.uint8)
        h, w, channels = pixels.shape
        assert channels == 3
        crc = zlib.crc32(np.ascontiguousarray(pixels, dtype=np.uint8).tobytes())
        cases.append(dict(name=name, bytes=len(file), width=w, height=h, crc32=crc, **reason))
        blob += file
    (OUT / "images.gz").write_bytes(gzip.compress(blob, 9, mtime=0))
    used = {name: pins[name] for name in ("pillow", "transformers")}
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (OUT / "images.json").write_text(f'{{"versions": {json.dumps(used)},\n"files": [\n{rows}\n]}}\n')
    print(f"{len(cases)} files, {len(blob)} bytes")


if __name__ == "__main__":
    main()
