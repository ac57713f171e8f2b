#!/usr/bin/env python3
"""Golden file of both of transformers' SegFormer processors, torchvision's and PIL's.

    pip install -r tests/golden/requirements.txt
    python tests/golden/processor_segformer.py

writes tests/golden/processor/segformer.json: images (processor.py's, and processor_backends.py's photographs), the
text of a preprocessor_config.json, and the CRC-32 of the `pixel_values` that each processor gives, f32 as it lies in
memory. It then prints how far the two are apart.
"""

import json
import zlib

import numpy as np
from PIL import Image
from transformers import SegformerImageProcessor
from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorPil

import versions
from processor import OUT, make_image

CLASSES = {"pil": SegformerImageProcessorPil, "torchvision": SegformerImageProcessor}

# As the hub has it, from November 2021 (but for the size).
HUB = dict(do_normalize=True, do_resize=True, feature_extractor_type="SegformerFeatureExtractor",
           image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], reduce_labels=False, resample=2)


def cases():
    shapes = [(640, 480), (64, 64), (65, 33), (1, 64), (7, 1), (100, 1200), (1200, 100), (224, 224), (31, 500)]
    for i, (w, h) in enumerate(shapes):
        for size in (64, dict(height=50, width=38)):
            yield dict(image="noise" if i % 2 else "scene", seed=900 + i, width=w, height=h, config=dict(HUB, size=size))
    plain = dict(image="scene", seed=950, width=90, height=61)
    size = dict(height=33, width=47)
    for config in [
        dict(), dict(resample=0), dict(resample=1), dict(resample=3), dict(do_normalize=False),
        dict(do_rescale=False), dict(rescale_factor=0.0037), dict(rescale_factor=1 / 127.5, do_normalize=False),
        dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]), dict(image_mean=0.4, image_std=0.3),
        dict(image_mean=[0.1, 0.2, 0.3], image_std=[-0.5, 0.7, 1.1]), dict(do_reduce_labels=True),
        dict(do_convert_rgb=True), dict(do_center_crop=True, crop_size=dict(height=8, width=8)),
    ]:
        yield dict(plain, config=dict(config, size=size, image_processor_type="SegformerImageProcessor"))
    for photo in ("china", "flower"):
        yield dict(photo=photo, config=dict(HUB, size=224))
        yield dict(photo=photo, config=dict(HUB))


def pixels(case):
    if "photo" in case:
        return np.asarray(Image.open(OUT / "photos" / f"{case['photo']}.png").convert("RGB"))
    return make_image(case["image"], case["seed"], case["width"], case["height"])


def values(backend, image, config):
    processor = CLASSES[backend].from_dict(dict(config))
    found = processor(Image.fromarray(image), return_tensors="np" if backend == "pil" else "pt")["pixel_values"][0]
    found = np.asarray(found)
    return np.ascontiguousarray(found.astype("<f4"))


def main():
    pins = versions.check({"transformers", "torch", "torchvision", "pillow", "numpy"})
    written, apart = [], 0.0
    for case in cases():
        found = {backend: values(backend, pixels(case), case["config"]) for backend in CLASSES}
        apart = max(apart, float(np.abs(found["pil"] - found["torchvision"]).max() if case["config"].get(
            "do_rescale", True) else 0.0))
        written.append(dict(case, shape=list(found["pil"].shape),
                            crc32={backend: zlib.crc32(array.tobytes()) for backend, array in found.items()}))
    lines = ",\n".join(json.dumps(case) for case in written)
    (OUT / "segformer.json").write_text(f'{{"versions": {json.dumps(pins)},\n"cases": [\n{lines}\n]}}\n')
    differ = sum(case["crc32"]["pil"] != case["crc32"]["torchvision"] for case in written)
    print(f"{len(written)} cases, {differ} in which the two differ, by {apart:.4f} at most")


if __name__ == "__main__":
    main()
