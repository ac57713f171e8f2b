#!/usr/bin/env python3
"""Golden files of both of transformers' ImageGPT processors, torchvision's and PIL's, side by side.

    pip install -r tests/golden/requirements.txt
    python tests/golden/processor_backends.py

writes tests/golden/processor/backends.json: images, options and the CRC-32 of the tokens or pixels that each
gives. Images and palettes are processor.py's, and pieces of the two photographs that scikit-learn brings
(photos/, their licence beside them). It then prints what docs/processor.md says of the two: how many tokens
differ, and why. A CPU with AVX-512 is needed: where colours tie, torch's matrix product depends on the CPU.
"""

import json
import os
import sys
import zlib

import numpy as np
import torch
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_images
from torchvision.transforms.v2 import functional as tvF
from transformers import ImageGPTImageProcessor, ImageGPTImageProcessorPil
from transformers.image_utils import pil_torch_interpolation_mapping

import versions
from processor import OUT, make_image, make_palette, mix

CLASSES = {"pil": ImageGPTImageProcessorPil, "torchvision": ImageGPTImageProcessor}
PHOTOS = OUT / "photos"
# Where in each photograph, and how much of it.
PIECES = {"china": (300, 60, 200, 150), "flower": (180, 140, 200, 150)}

NOTICE = """# Two pieces of photographs

`china.png` and `flower.png` are pieces of 200 x 150 pixels of the photographs `china.jpg` and `flower.jpg` that
scikit-learn 1.9.1 brings, otherwise unchanged. Both are under the Creative Commons licence Attribution 2.0
(<https://creativecommons.org/licenses/by/2.0/>): <https://www.flickr.com/photos/danielbuechele/6061409035/> by
danielbuechele, <https://www.flickr.com/photos/vultilion/6056698931/> by vultilion.
"""


def tokens(backend, pixels, clusters, size, config):
    processor = CLASSES[backend](clusters=clusters, size=dict(height=size[0], width=size[1]), **config)
    image = Image.fromarray(pixels)
    ids = processor(image, return_tensors="np" if backend == "pil" else "pt")["input_ids"][0]
    return np.asarray(ids).astype("<u2")


def generated(case):
    return make_image(case["image"], case["seed"], case["width"], case["height"])


def token_cases():
    """For both backends: every shape, every option, and where colours tie."""
    plain = dict(palette="random", palette_seed=7, colors=512, size=[32, 32], config={})
    shapes = [(3, 5), (14, 14), (31, 33), (32, 32), (33, 32), (640, 480), (2000, 100), (100, 2000), (7, 1), (1, 64),
              (1, 1), (2, 2), (65, 33), (1280, 720)]
    for i, (w, h) in enumerate(shapes):
        for kind in ("noise", "scene"):
            yield dict(plain, image=kind, seed=500 + i, width=w, height=h)
    crop = lambda h, w: dict(do_center_crop=True, crop_size=dict(height=h, width=w))
    options = [
        dict(resample=0), dict(resample=1), dict(resample=3), dict(do_normalize=False), dict(do_rescale=False),
        dict(rescale_factor=1 / 127.5), dict(rescale_factor=0.0037, do_normalize=False),
        dict(image_mean=[0.48, 0.45, 0.4], image_std=[0.27, 0.26, 0.28]), dict(do_convert_rgb=True),
        dict(image_mean=[0.1, 0.2, 0.3], image_std=[-0.5, 0.7, 1.1], resample=3),
        crop(9, 23), crop(8, 20), crop(7, 18), crop(5, 30), crop(30, 5), crop(30, 31), crop(9, 24), crop(10, 23),
        dict(crop(12, 12), do_resize=False), dict(crop(70, 101), do_resize=False), dict(crop(61, 33), do_resize=False),
        dict(do_center_crop=False, crop_size=dict(height=4, width=4)),
        dict(crop(9, 9), do_normalize=False, resample=1),
    ]
    for i, config in enumerate(options):
        yield dict(plain, image="scene", seed=600 + i, width=90, height=61, palette_seed=30, colors=100, size=[9, 23],
                   config=config)
    # A million pixels where rounding decides.
    for i, (palette, n) in enumerate([("random", 512), ("grid", 512), ("grid", 64), ("grey", 256), ("grey", 86),
                                      ("grid", 32), ("random", 16), ("grid", 400), ("grey", 511), ("random", 300)]):
        yield dict(plain, image="noise", seed=700 + i, width=317, height=323, palette=palette, palette_seed=40 + i,
                   colors=n, config=dict(do_resize=False))


def resize_cases():
    numbers = iter(int(v) for v in mix(6, 4000))
    side = lambda most: 1 + next(numbers) % most
    for i in range(240):
        most = 12 if i % 4 == 0 else 300 if i % 4 < 3 else 1200
        w, h, tw, th = side(most), side(most), side(70), side(70)
        if i % 7 == 0:
            tw = w = min(w, 70)  # one pass only
        if i % 11 == 0:
            th = h = min(h, 70)
        if i % 13 == 0:
            w = 1
        if i % 17 == 0:
            h = 1
        if i % 19 == 0:
            tw = 1
        if i % 23 == 0:
            th = 1
        if (tw, th) == (1, 1):
            th = 2  # torch 2.15 fails an assertion of its own where one pixel is asked for
        backend = "pil" if i % 5 == 4 else "torchvision"
        resample = [1, 4, 5][i % 3] if backend == "pil" else [2, 3, 0, 1, 2][i // 3 % 5]
        yield dict(backend=backend, resample=resample, image="noise" if i % 2 else "scene", seed=2000 + i, width=w,
                   height=h, to=[tw, th])


def resized(case):
    pixels = generated(case)
    (width, height), resample = case["to"], case["resample"]
    if case["backend"] == "pil":
        return np.asarray(Image.fromarray(pixels).resize((width, height), resample=resample))
    image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()[None]
    mode = pil_torch_interpolation_mapping[resample]
    return tvF.resize(image, [height, width], interpolation=mode, antialias=True)[0].permute(1, 2, 0).numpy()


def photographs():
    images = load_sample_images()
    return {os.path.basename(name)[:-4]: image for name, image in zip(images.filenames, images.images)}


def photo_cases():
    for name in PIECES:
        for colors, size, config in [(512, [32, 32], {}), (512, [48, 64], dict(resample=3)),
                                     (64, [32, 32], dict(resample=1)), (512, [200, 300], {}),
                                     (512, [32, 32], dict(do_resize=False)),
                                     (512, [40, 53], dict(do_center_crop=True, crop_size=dict(height=32, width=32)))]:
            yield dict(photo=name, palette="random", palette_seed=7, colors=colors, size=size, config=config)


def write_golden(used):
    PHOTOS.mkdir(parents=True, exist_ok=True)
    (PHOTOS / "README.md").write_text(NOTICE)
    pieces = {}
    for name, (x, y, w, h) in PIECES.items():
        pieces[name] = np.ascontiguousarray(photographs()[name][y:y + h, x:x + w])
        Image.fromarray(pieces[name]).save(PHOTOS / f"{name}.png", optimize=True)

    answers = []
    for case in [*token_cases(), *photo_cases()]:
        pixels = pieces[case["photo"]] if "photo" in case else generated(case)
        clusters = make_palette(case["palette"], case["palette_seed"], case["colors"])
        crcs = {}
        for backend in CLASSES:
            crcs[backend] = zlib.crc32(tokens(backend, pixels, clusters, case["size"], case["config"]).tobytes())
        answers.append(dict(case, crc32=crcs))
    resizes = [dict(case, crc32=zlib.crc32(resized(case).tobytes())) for case in resize_cases()]
    lines = lambda rows: "[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]"
    (OUT / "backends.json").write_text(f'{{"versions": {json.dumps(used)},\n"tokens": {lines(answers)},\n'
                                       f'"resizes": {lines(resizes)}}}\n')


def palette_of(images, colors):
    """ImageGPT's own palette is k-means of its training images; here of the images at hand."""
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(np.float64)
    pick = np.random.default_rng(0).permutation(len(pixels))[:20_000]
    return KMeans(colors, n_init=1, max_iter=20, random_state=0).fit(pixels[pick]).cluster_centers_ / 127.5 - 1.0


def share(name, images, clusters, size, **config):
    both = [[tokens(backend, image, clusters, size, config) for image in images] for backend in CLASSES]
    differ = sum(int((a != b).sum()) for a, b in zip(*both))
    count = sum(len(a) for a in both[0])
    print(f"{name:44} {differ:8} of {count:8} tokens differ, {100 * differ / count:.3f} %")


def report():
    rng = np.random.default_rng(1)
    cuts = []
    for photo in photographs().values():
        h, w, _ = photo.shape
        for _ in range(100):
            side = int(rng.integers(64, h))
            y, x = int(rng.integers(0, h - side + 1)), int(rng.integers(0, w - side + 1))
            cuts.append(np.ascontiguousarray(photo[y:y + side, x:x + side]))
    whole = [np.ascontiguousarray(photo) for photo in photographs().values()]
    noise = [make_image("noise", 900 + i, 224, 224) for i in range(50)]
    for colors in (512, 64):
        clusters = palette_of(whole, colors)
        for name, images in [("pieces of two photographs", cuts), ("the two photographs", whole), ("noise", noise)]:
            for resample, filter_name in [(2, "bilinear"), (3, "bicubic")]:
                share(f"{name}, {colors} colours, {filter_name}", images, clusters, [32, 32], resample=resample)
        # Colours alone, without a resize: 2,000,000 of the 16,777,216 there are.
        levels = rng.integers(0, 256, (2000, 1000, 3), dtype=np.uint8)
        rows = [np.ascontiguousarray(levels[i:i + 100]) for i in range(0, 2000, 100)]
        share(f"2,000,000 colours, {colors} colours, no resize", rows, clusters, [32, 32], do_resize=False)
    pixels = total = 0
    for image in cuts:
        a = np.asarray(Image.fromarray(image).resize((32, 32), resample=2)).astype(int)
        t = torch.from_numpy(image).permute(2, 0, 1).contiguous()[None]
        b = tvF.resize(t, [32, 32], interpolation=tvF.InterpolationMode.BILINEAR)[0].permute(1, 2, 0).numpy().astype(int)
        pixels, total = pixels + int((a != b).sum()), total + a.size
        assert np.abs(a - b).max() <= 1
    print(f"bilinear, pieces of photographs: {100 * pixels / total:.3f} % of the channels differ, by one level")


def main():
    pins = versions.check()
    assert torch.backends.cpu.get_cpu_capability() == "AVX512", "see this script's first lines"
    if sys.argv[1:] != ["--report"]:
        write_golden({name: pins[name] for name in ("transformers", "torch", "torchvision", "pillow", "numpy")})
    report()


if __name__ == "__main__":
    main()
