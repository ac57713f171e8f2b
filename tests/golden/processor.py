#!/usr/bin/env python3
"""Golden files of the image processor, from Hugging Face's PIL backend and from Pillow.

    pip install -r tests/golden/requirements.txt
    python tests/golden/processor.py

writes tests/golden/processor/: small image files of every kind, `processor.json` (what to compute
and the CRC-32 of each answer) and `tokens.bin` (the tokens of the named cases, u16 little endian).
Images and palettes come from a counter-based generator that runtime/tests/processor.rs (through tests/src/images.rs) repeats, so
none of them is stored. numpy must run on a CPU with FMA (any x86 since 2013, any aarch64).
"""

import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin
from transformers import ImageGPTImageProcessorPil
from transformers.image_transforms import convert_to_rgb

import versions

OUT = Path(__file__).parent / "processor"


def mix(seed, n):
    """n numbers of the SplitMix64 sequence that starts at `seed`."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def make_image(kind, seed, width, height):
    """`noise`: independent bytes. `scene`: slopes with a little noise, like a photograph."""
    noise = (mix(seed, width * height * 3) >> np.uint64(56)).astype(np.int64)
    noise = noise.reshape(height, width, 3)
    if kind == "noise":
        return noise.astype(np.uint8)
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    slope = x * 200 * (c + 1) // (width * 2) + y * (150 - 40 * c) // height
    return ((slope + noise // 8) & 255).astype(np.uint8)


def make_palette(kind, seed, n):
    """`random`: anywhere in [-1, 1]. `grid`: on 8-bit levels' half steps, for ties."""
    bits = mix(seed, n * 3)
    if kind == "random":
        flat = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
    elif kind == "grid":
        flat = (bits % np.uint64(511)).astype(np.float64) / 255.0 - 1.0
    elif kind == "grey":
        flat = np.repeat(np.arange(n, dtype=np.float64) * 2.0 / max(n - 1, 1) - 1.0, 3)
    return flat.reshape(n, 3)


def token_cases():
    shapes = [(1, 1), (3, 5), (14, 14), (31, 33), (32, 32), (640, 480), (2000, 100), (100, 2000),
              (7, 1), (1, 64), (28, 28), (65, 33), (1280, 720)]
    for i, (w, h) in enumerate(shapes):
        for kind in ("noise", "scene"):
            yield dict(image=kind, seed=100 + i, width=w, height=h, palette="random",
                       palette_seed=7, colors=512, size=[32, 32], config={})
    for i, (w, h) in enumerate([(28, 28), (14, 14), (641, 479)]):
        for palette in ("random", "grey", "grid"):
            yield dict(image="scene", seed=200 + i, width=w, height=h, palette=palette,
                       palette_seed=8 + i, colors=32, size=[14, 14], config={})
    # Where colours tie or nearly do, rounding decides: many pixels, no resize.
    for i, (palette, n) in enumerate([("grid", 512), ("grid", 64), ("grey", 256), ("grey", 86)]):
        yield dict(image="noise", seed=300 + i, width=211, height=97, palette=palette,
                   palette_seed=20 + i, colors=n, size=[32, 32], config=dict(do_resize=False))
    # Every option of the config.
    for i, config in enumerate([
        dict(resample=0), dict(resample=3), dict(do_normalize=False), dict(do_rescale=False),
        dict(do_rescale=False, do_normalize=False), dict(rescale_factor=1 / 127.5),
        dict(image_mean=[0.48, 0.45, 0.4], image_std=[0.27, 0.26, 0.28]),
        dict(image_mean=[0.1, 0.2, 0.3], image_std=[-0.5, 0.7, 1.1], resample=3),
    ]):
        yield dict(image="scene", seed=400 + i, width=90, height=61, palette="random",
                   palette_seed=30, colors=100, size=[9, 23], config=config)


def resize_cases():
    numbers = iter(int(v) for v in mix(5, 4000))
    side = lambda most: 1 + next(numbers) % most
    for i in range(240):
        most = 12 if i % 4 == 0 else 300 if i % 4 < 3 else 1200
        w, h, tw, th = side(most), side(most), side(70), side(70)
        if i % 7 == 0:
            tw = w = min(w, 70)  # one pass only
        if i % 11 == 0:
            th = h = min(h, 70)
        yield dict(resample=[2, 2, 3, 0, 2][i % 5], image="noise" if i % 2 else "scene",
                   seed=1000 + i, width=w, height=h, to=[tw, th])


def write_files():
    """One small file of every kind, with what Pillow and Hugging Face make of it."""
    w, h = 13, 9
    rgb = make_image("scene", 1, w, h)
    alpha = make_image("noise", 2, w, h)[:, :, :1]
    alpha[0, :3] = [[0], [255], [128]]
    grey = rgb[:, :, 0]
    deep = (make_image("noise", 3, w, h).astype(np.uint16) << 8) | make_image("noise", 4, w, h)
    pil = Image.fromarray
    rgba = pil(np.concatenate([rgb, alpha], axis=2))
    la = Image.merge("LA", [pil(grey), pil(alpha[:, :, 0])])
    save = lambda image, name, **kw: image.save(OUT / name, **kw)

    save(pil(rgb), "rgb8.png")
    save(pil(grey), "grey8.png")
    save(pil(grey).convert("1"), "grey1.png")
    save(la, "grey-alpha8.png")
    save(rgba, "rgba8.png")
    palette = pil(rgb).quantize(16)
    save(palette, "palette.png")
    save(palette, "palette-transparent.png", transparency=bytes([0, 40, 128, 255]))
    info = dict(transparency=tuple(int(v) for v in rgb[2, 2]))
    save(pil(rgb), "rgb-colour-key.png", **info)
    save(pil(rgb), "rgb8.bmp")
    save(pil(rgb), "rgb8.ppm")
    save(pil(grey), "grey8.pgm")
    save(palette, "palette.gif")
    save(palette, "palette-transparent.gif", transparency=3)
    save(pil(rgb), "rgb8.webp", lossless=True)
    save(rgba, "rgba8.webp", lossless=True, exact=True)
    save(pil(rgb), "rgb8.tiff", compression="tiff_deflate")
    save(pil(rgb), "oriented.tiff", tiffinfo={274: 6})
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[274] = orientation
        save(pil(rgb), f"exif-{orientation}.png", exif=exif)
    exif = Image.Exif()
    exif[274] = 6
    big = pil(make_image("scene", 9, 24, 20))
    save(big, "exif-6.jpg", quality=90, subsampling=0, exif=exif)
    save(big, "subsampled.jpg", quality=85, subsampling=2)
    save(big.convert("L"), "grey.jpg", quality=90)
    save(big.convert("CMYK"), "cmyk.jpg", quality=90)
    save(big, "progressive.jpg", quality=90, subsampling=0, progressive=True)
    # Pillow writes no 16-bit colour, so these two are spelled out.
    write_png16("grey16.png", deep[:, :, :1], 0)
    write_png16("rgb16.png", deep, 2)
    write_png16("rgba16.png", np.concatenate([deep, deep[:, :, :1][::-1]], axis=2), 6)
    write_png16("grey-alpha16.png", deep[:, :, :2], 4)

    answers = []
    for path in sorted(OUT.iterdir()):
        if path.suffix in (".json", ".bin"):
            continue
        with Image.open(path) as image:
            pixels = convert_to_rgb(ImageOps.exif_transpose(image), return_numpy=True)
        if path.name == "grey16.png":
            # Pillow clips 16-bit grey at 255; we take the high byte, as it does for colour.
            pixels = np.repeat(deep[:, :, :1] >> 8, 3, axis=2).astype(np.uint8)
        tokens = processor(make_palette("random", 7, 512), [14, 14], {})(pixels)
        answers.append(dict(file=path.name, width=pixels.shape[1], height=pixels.shape[0],
                            crc32=zlib.crc32(np.ascontiguousarray(pixels).tobytes()),
                            rgb=pixels.tobytes().hex() if path.suffix == ".jpg" else None,
                            tokens=tokens))
    return answers


def write_png16(name, samples, colour_type):
    h, w, _ = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = np.array([w, h], ">u4").tobytes() + bytes([16, colour_type, 0, 0, 0])
    with open(OUT / name, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")):
            PngImagePlugin.putchunk(f, kind, data)


def processor(clusters, size, config):
    p = ImageGPTImageProcessorPil(clusters=clusters, size=dict(height=size[0], width=size[1]), **config)
    return lambda pixels: p(Image.fromarray(pixels), return_tensors="np")["input_ids"][0].astype("<u2")


def main():
    pins = versions.check()
    used = {name: pins[name] for name in ("transformers", "pillow", "numpy")}
    OUT.mkdir(exist_ok=True)
    stored = bytearray()

    def store(case, tokens):
        case["crc32"] = zlib.crc32(tokens.tobytes())
        case["tokens"] = [len(stored) // 2, len(tokens)] if len(tokens) <= 256 else None
        if case["tokens"]:
            stored.extend(tokens.tobytes())
        return case

    tokens = []
    for case in token_cases():
        run = processor(make_palette(case["palette"], case["palette_seed"], case["colors"]),
                        case["size"], case["config"])
        pixels = make_image(case["image"], case["seed"], case["width"], case["height"])
        tokens.append(store(case, run(pixels)))

    resizes = []
    for case in resize_cases():
        image = Image.fromarray(make_image(case["image"], case["seed"], case["width"], case["height"]))
        resized = image.resize(tuple(case["to"]), resample=case["resample"])
        resizes.append(dict(case, crc32=zlib.crc32(resized.tobytes())))

    files = []
    for answer in write_files():
        tokens_of_file = answer.pop("tokens")
        crc = answer["crc32"]
        files.append(store(answer, tokens_of_file) | dict(crc32=crc))

    lines = lambda rows: "[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]"
    (OUT / "processor.json").write_text(
        f'{{"versions": {json.dumps(used)},\n"tokens": {lines(tokens)},\n'
        f'"resizes": {lines(resizes)},\n"files": {lines(files)}}}\n')
    (OUT / "tokens.bin").write_bytes(bytes(stored))


if __name__ == "__main__":
    main()
