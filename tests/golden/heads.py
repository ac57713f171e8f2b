"""Makes tests/golden/heads.json: the scores that transformers' image-classification pipeline gives for the shipped
classifier, models/fashion-mnist/clf, with each problem_type and number of labels.

Run from the repository's root with the versions of requirements.txt whenever models/fashion-mnist changes (a test
compares checksums):  python tests/golden/heads.py
"""

import json
import tempfile
import zlib
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import ImageGPTForImageClassification, pipeline
from transformers.models.imagegpt.image_processing_pil_imagegpt import ImageGPTImageProcessorPil

import versions

ROOT = Path(__file__).parents[2]
CLF = ROOT / "models/fashion-mnist/clf"
SAMPLE = ROOT / "models/fashion-mnist/sample"
IMAGES = 3
# Changes to config.json, and how many rows of the head are kept.
HEADS = {
    "none": ({}, 10),
    "single": ({"problem_type": "single_label_classification"}, 10),
    "multi": ({"problem_type": "multi_label_classification"}, 10),
    "regression": ({"problem_type": "regression"}, 10),
    "one": ({"id2label": {"0": "wear"}, "label2id": {"wear": 0}}, 1),
    "one-multi": ({"id2label": {"0": "wear"}, "label2id": {"wear": 0}, "problem_type": "multi_label_classification"}, 1),
    "one-regression": ({"id2label": {"0": "wear"}, "label2id": {"wear": 0}, "problem_type": "regression"}, 1),
    "numbers": ({"id2label": {str(i): 9 - i for i in range(10)}}, 10),
}


def main():
    versions.check()
    torch.set_num_threads(1)
    names = sorted(path.name for path in SAMPLE.glob("*.png"))[:IMAGES]
    images = [Image.open(SAMPLE / name).convert("RGB") for name in names]
    weights = load_file(CLF / "model.safetensors")
    config = json.loads((CLF / "config.json").read_text())
    heads = {}
    for name, (change, rows) in HEADS.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "config.json").write_text(json.dumps({**config, **change}))
            kept = {key: tensor[:rows].clone() if key == "score.weight" else tensor for key, tensor in weights.items()}
            save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
            model = ImageGPTForImageClassification.from_pretrained(folder, dtype=torch.float32).eval()
            processor = ImageGPTImageProcessorPil.from_pretrained(CLF)
            classify = pipeline("image-classification", model=model, image_processor=processor)
            results = [classify(image, top_k=rows) for image in images]
        found = [[{"label": str(r["label"]), "score": float(f"{r['score']:.9g}")} for r in result] for result in results]
        heads[name] = {"config": change, "rows": rows, "results": found}
    refused = {}
    for change in ({"problem_type": "single_label_classification", "id2label": {"0": "wear"}},):
        try:
            ImageGPTForImageClassification.config_class(**{**config, **change})
        except ValueError as error:
            refused[json.dumps(change)] = str(error)
    assert len(refused) == 1, "transformers takes it now: so should we"
    sums = zlib.crc32((CLF / "model.safetensors").read_bytes())
    text = json.dumps({"images": names, "crc32": sums, "heads": heads, "refused": list(refused)}, indent=1)
    (Path(__file__).parent / "heads.json").write_text(text + "\n")


main()
