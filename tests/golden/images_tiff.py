"""The TIFF files of images.py: every layout that Pillow reads, most of them spelled out."""

import io
import itertools
import struct
import zlib

import numpy as np
from PIL import Image

W, H = 21, 18


def tiff(samples, bits, photometric, *, little=True, big=False, extra=(), compression=1, tile=None, rows=None,
         planar=False, palette=None, predictor=False, reverse=False, orientation=None, packet=None, pack=None):
    """A file with these samples (height, width, samples)."""
    e = "<" if little else ">"
    h, w, count = samples.shape
    planes = [samples[:, :, i:i + 1] for i in range(count)] if planar else [samples]
    across, down = tile or (w, rows or h)
    chunks = []
    for plane in planes:
        for y in range(0, h, down):
            for x in range(0, w, across):
                part = plane[y:y + down, x:x + across].copy()
                if tile:
                    part = np.pad(part, ((0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0)), mode="edge")
                if predictor:
                    part[:, 1:] -= part[:, :-1].copy()
                if bits == 16:
                    data = part.astype(e + "u2").tobytes()
                else:
                    data = b"".join(pack(part, bits))
                if reverse:
                    data = bytes(int(f"{b:08b}"[::-1], 2) for b in data)
                chunks.append(zlib.compress(data, 9) if compression == 8 else data)
    entries = {256: ("I", [w]), 257: ("I", [h]), 258: ("H", [bits] * count), 259: ("H", [compression]),
               262: ("H", [photometric]), 277: ("H", [count]), 284: ("H", [2 if planar else 1])}
    if extra:
        entries[338] = ("H", list(extra))
    if predictor:
        entries[317] = ("H", [2])
    if reverse:
        entries[266] = ("H", [2])
    if orientation:
        entries[274] = ("H", [orientation])
    if palette is not None:
        entries[320] = ("H", [int(v) for v in palette.T.reshape(-1)])
    if packet:
        entries[700] = ("B", list(packet))
    wide = "Q" if big else "I"
    start = 16 if big else 8
    offsets = [start + sum(map(len, chunks[:i])) for i in range(len(chunks))]
    if tile:
        entries |= {322: ("I", [across]), 323: ("I", [down]), 324: (wide, offsets), 325: (wide, list(map(len, chunks)))}
    else:
        entries |= {273: (wide, offsets), 278: ("I", [down]), 279: (wide, list(map(len, chunks)))}
    body = b"".join(chunks)
    at = start + len(body)
    codes = {"B": 1, "H": 3, "I": 4, "Q": 16}
    size = 8 if big else 4
    directory_size = (8 if big else 2) + len(entries) * (12 + size - 4 + (4 if big else 0)) + size
    spill, directory = b"", struct.pack(e + ("Q" if big else "H"), len(entries))
    for tag in sorted(entries):
        kind, values = entries[tag]
        data = struct.pack(f"{e}{len(values)}{kind}", *values)
        directory += struct.pack(e + "HH" + wide, tag, codes[kind], len(values))
        if len(data) <= size:
            directory += data.ljust(size, b"\0")
        else:
            directory += struct.pack(e + wide, at + directory_size + len(spill))
            spill += data
    directory += struct.pack(e + wide, 0)
    assert len(directory) == directory_size, (len(directory), directory_size)
    order = b"II" if little else b"MM"
    head = order + (struct.pack(e + "HHHQ", 43, 8, 0, at) if big else struct.pack(e + "HI", 42, at))
    return head + body + directory + spill


def composed(rgb, alpha):
    """Over white, as Pillow composites."""
    rgba = Image.fromarray(np.concatenate([rgb, alpha], axis=2).astype(np.uint8), "RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))


def straight(rgb, alpha):
    return np.where(alpha == 0, rgb, np.minimum(255, rgb.astype(int) * 255 // np.maximum(alpha, 1)))


def tiff_files(noise, pack, xmp):
    def one(name, *args, why=None, **kw):
        return f"tiff {name}", tiff(*args, pack=pack, **kw), why

    rgb, alpha = noise(300, H, W, 3), noise(301, H, W, 1)
    alpha[0, :4] = [[0], [255], [1], [128]]
    rgba = np.concatenate([rgb, alpha], axis=2)
    darker = np.concatenate([np.minimum(rgb, alpha), alpha], axis=2)
    darker[1, 1] = [100, 50, 25, 128]
    grey = noise(302, H, W, 1)
    deep = noise(303, H, W, 4, top=65536)
    # Every container: byte order, BigTIFF, strips, tiles, planes, predictor, compression.
    for little, big in itertools.product((True, False), repeat=2):
        def each(name, samples, bits, photometric, pixels, **kw):
            why = ("Pillow's BigTIFF is little-endian", pixels) if big and not little else None
            name = f"{'little' if little else 'big'} {'BigTIFF ' * big}{name}"
            return one(name, samples, bits, photometric, little=little, big=big, why=why, **kw)

        for name, kw in [("one strip", {}), ("strips", dict(rows=5)), ("tiles", dict(tile=(16, 16))),
                         ("planes", dict(planar=True, rows=7)), ("deflate", dict(compression=8, rows=8)),
                         ("predictor", dict(compression=8, predictor=True)),
                         ("tiles, predictor", dict(compression=8, predictor=True, tile=(16, 32))),
                         ("large tiles", dict(tile=(64, 32), compression=8))]:
            yield each(f"rgb {name}", rgb, 8, 2, rgb, **kw)
        yield each("associated", darker, 8, 2, composed(straight(darker[:, :, :3], darker[:, :, 3:]), darker[:, :, 3:]), extra=(1,))
        yield each("grey", grey, 8, 1, np.repeat(grey, 3, axis=2))
        yield each("rgb16", deep[:, :, :3], 16, 2, deep[:, :, :3] >> 8)
        yield each("rgb16 predictor", deep[:, :, :3], 16, 2, deep[:, :, :3] >> 8, compression=8, predictor=True)
        palette = noise(310, 256, 3, top=65536)
        yield each("palette", grey, 8, 3, palette[grey[:, :, 0]] >> 8, palette=palette)
    # What the samples mean.
    for bits in (1, 2, 4, 8):
        levels = noise(320 + bits, H, W, 1, top=2**bits)
        palette = noise(330 + bits, 2**bits, 3, top=65536)
        for kw in ({}, dict(rows=4), dict(compression=8)):
            yield one(f"grey {bits} {kw}", levels, bits, 1, **kw)
            yield one(f"white is zero {bits} {kw}", levels, bits, 0, **kw)
            yield one(f"palette {bits} {kw}", levels, bits, 3, palette=palette, **kw)
        yield one(f"fill order {bits}", levels, bits, 1, reverse=True)
        colours = (palette[levels[:, :, 0]] >> 8).astype(np.uint8)
        yield one(f"palette fill order {bits}", levels, bits, 3, palette=palette, reverse=True,
                  why=("Pillow has no palette with reversed bits", colours) if bits < 8 else None)
    yield one("straight", rgba, 8, 2, extra=(2,))
    yield one("straight, tag missing", rgba, 8, 2)
    yield one("unspecified", rgba, 8, 2, extra=(0,))
    yield one("Corel", rgba, 8, 2, extra=(999,))
    yield one("two unspecified", np.concatenate([rgba, grey], axis=2), 8, 2, extra=(0, 0))
    yield one("straight and another", np.concatenate([rgba, grey], axis=2), 8, 2, extra=(2, 0))
    yield one("associated and another", np.concatenate([darker, grey], axis=2), 8, 2, extra=(1, 0))
    yield one("associated, brighter than its alpha", rgba, 8, 2, extra=(1,))
    yield one("associated in tiles", darker, 8, 2, extra=(1,), tile=(16, 16), compression=8)
    yield one("associated 16", deep, 16, 2, extra=(1,))
    yield one("straight 16", deep, 16, 2, extra=(2,))
    yield one("unspecified 16", deep, 16, 2, extra=(0,))
    yield one("planes, unspecified", rgba, 8, 2, extra=(0,), planar=True,
              why=("Pillow drops the tag's count of bits", rgb))
    yield one("planes, straight", rgba, 8, 2, extra=(2,), planar=True)
    yield one("planes, associated", darker, 8, 2, extra=(1,), planar=True, compression=8)
    la = np.concatenate([grey, alpha], axis=2)
    yield one("grey and alpha", la, 8, 1, extra=(2,))
    yield one("grey and unspecified", la, 8, 1, extra=(0,))
    level = np.repeat(straight(np.minimum(grey, alpha), alpha), 3, axis=2)
    yield one("grey and associated", np.concatenate([np.minimum(grey, alpha), alpha], axis=2), 8, 1, extra=(1,),
              why=("Pillow cannot convert grey with associated alpha", composed(level, alpha)))
    palette = noise(340, 256, 3, top=65536)
    yield one("palette and alpha", la, 8, 3, extra=(2,), palette=palette)
    yield one("palette and unspecified", la, 8, 3, extra=(0,), palette=palette)
    for name, kw in [("", {}), ("strips", dict(rows=4)), ("deflate", dict(compression=8)), ("planes", dict(planar=True))]:
        yield one(f"cmyk {name}", rgba, 8, 5, **kw)
    yield one("cmyk and another", np.concatenate([rgba, grey], axis=2), 8, 5, extra=(0,))
    yield one("cmyk 16", deep, 16, 5)
    high = np.repeat(deep[:, :, :1] >> 8, 3, axis=2)
    yield one("grey 16", deep[:, :, :1], 16, 1, why=("16-bit grey: the high byte", high))
    for orientation in range(1, 9):
        yield one(f"orientation {orientation}", rgb, 8, 2, orientation=orientation)
    yield one("xmp", rgb, 8, 2, packet=xmp(6))
    yield one("xmp and tag", rgb, 8, 2, packet=xmp(6), orientation=3)
    # Compressions by libtiff.
    smooth = Image.fromarray(np.repeat(np.repeat(noise(350, 6, 7, 3), 6, axis=0), 6, axis=1))
    for name, image, compression in [
        ("lzw", smooth, "tiff_lzw"), ("packbits", smooth, "packbits"), ("deflate", smooth, "tiff_adobe_deflate"),
        ("group 4", smooth.convert("1"), "group4"), ("lzw bits", smooth.convert("1"), "tiff_lzw"),
        ("lzw palette", smooth.quantize(9), "tiff_lzw"), ("packbits cmyk", smooth.convert("CMYK"), "packbits"),
        ("jpeg grey", smooth.convert("L"), "jpeg"), ("jpeg rgb", smooth, "jpeg"), ("jpeg", smooth.convert("YCbCr"), "jpeg"),
        ("jpeg large", Image.fromarray(np.kron(noise(351, 30, 33, 3), np.ones((5, 5, 1), np.uint8))).convert("YCbCr"), "jpeg"),
    ]:
        out = io.BytesIO()
        image.save(out, "TIFF", compression=compression)
        yield f"tiff {name}", out.getvalue(), None
