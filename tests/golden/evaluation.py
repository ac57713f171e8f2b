"""Makes tests/golden/evaluation.json: what `igpt eval` has to find on models/fashion-mnist, by transformers and scikit-learn.

Run from the repository's root with the versions of requirements.txt whenever models/fashion-mnist changes:

    python tests/golden/evaluation.py

The images are those of models/fashion-mnist/sample, their classes in their names. What the models are held against is the
same weights under another configuration (attention scores divided by the layer's number as well), which is far enough off to
flip verdicts.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score
from transformers import AutoConfig, ImageGPTForCausalImageModeling, ImageGPTForImageClassification
from transformers.models.imagegpt.image_processing_pil_imagegpt import ImageGPTImageProcessorPil

import versions

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models/fashion-mnist"
BINS = 15


def run(folder, cls, images, **options):
    """Logits [images, predictions, classes], targets of a language model, hidden states [layers + 1, images, tokens, width]."""
    config = AutoConfig.from_pretrained(folder, **options)
    model = cls.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    ids = np.stack(ImageGPTImageProcessorPil.from_pretrained(folder)(images)["input_ids"]).reshape(len(images), -1)
    fed = ids
    if cls is ImageGPTForCausalImageModeling:
        fed = np.concatenate([np.full((len(images), 1), config.vocab_size - 1), ids[:, :-1]], axis=1)
    with torch.no_grad():
        out = model(torch.tensor(fed.astype(np.int64)), output_hidden_states=True, use_cache=False)
    logits = out.logits.double().numpy()
    hidden = torch.stack(out.hidden_states).double().numpy()
    return logits.reshape(len(images), -1, logits.shape[-1]), ids, hidden


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def calibration_error(confidence, right):
    """Guo et al. 2017, (lower, upper] bins of equal width."""
    error = 0.0
    for low in range(BINS):
        inside = (confidence > low / BINS) & (confidence <= (low + 1) / BINS)
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    # A test in f32 must not find a prediction in the neighbouring bin; one of 4,704 tokens may be close to an edge.
    edge = np.abs(confidence[:, None] - np.arange(1, BINS) / BINS).min()
    print(f"  nearest to an edge: {edge:.1e}")
    assert edge > 3e-7
    return error


def score(logits, targets):
    logits, targets = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    p, classes = softmax(logits), np.arange(logits.shape[-1])
    verdict = logits.argmax(-1)
    return {
        "top1": float((verdict == targets).mean()),
        "top5": float(top_k_accuracy_score(targets, logits, k=5, labels=classes)),
        "nats": float(log_loss(targets, p, labels=classes)),
        "ece": float(calibration_error(p.max(-1), verdict == targets)),
    }


def compare(a, b, targets):
    (la, ha), (lb, hb) = a, b
    va, vb = la.argmax(-1), lb.argmax(-1)
    pa, pb = softmax(la), softmax(lb)
    flipped = va != vb
    right_a, right_b = va == targets, vb == targets
    layers = []
    for x, y in zip(ha, hb):
        token = (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
        layers.append([float(np.linalg.norm(x - y) / np.linalg.norm(y)),
                       float((x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y)), float(token.min())])
    return {
        "argmax_agreement": float((~flipped).mean()),
        "logits_cosine": float((la * lb).sum() / np.linalg.norm(la) / np.linalg.norm(lb)),
        "to_right": int((flipped & right_a).sum()),
        "to_wrong": int((flipped & right_b).sum()),
        "between_wrong": int((flipped & ~right_a & ~right_b).sum()),
        "divergence": [float(d) for d in (pb * (np.log(pb) - np.log(pa))).sum(-1).mean(-1)],
        "layers": layers,
    }


def main():
    versions.check()
    torch.set_num_threads(1)
    files = sorted((MODELS / "sample").glob("*.png"))
    images = [Image.open(file).convert("RGB") for file in files]
    other = {"scale_attn_by_inverse_layer_idx": True}

    folder = MODELS / "clf"
    names = list(AutoConfig.from_pretrained(folder).id2label.values())
    plain = [name.lower().replace("/", "-").replace(" ", "-") for name in names]
    labels = np.array([plain.index(file.stem.split("-", 1)[1]) for file in files])[:, None]
    logits, _, hidden = run(folder, ImageGPTForImageClassification, images)
    against, _, against_hidden = run(folder, ImageGPTForImageClassification, images, **other)
    verdict, against_verdict = logits.argmax(-1)[:, 0], against.argmax(-1)[:, 0]
    p, q = softmax(logits).max(-1)[:, 0], softmax(against).max(-1)[:, 0]
    classifier = {
        "score": score(logits, labels), "against": score(against, labels),
        "confusion": confusion_matrix(labels[:, 0], verdict, labels=range(len(names))).tolist(),
        "comparison": compare((logits, hidden), (against, against_hidden), labels),
        "flips": [{"image": files[i].name, "label": names[labels[i, 0]], "verdict": names[verdict[i]],
                   "probability": float(p[i]), "against_verdict": names[against_verdict[i]],
                   "against_probability": float(q[i])}
                  for i in range(len(files)) if verdict[i] != against_verdict[i]],
    }
    folder = MODELS / "lm"
    logits, ids, hidden = run(folder, ImageGPTForCausalImageModeling, images)
    against, _, against_hidden = run(folder, ImageGPTForCausalImageModeling, images, **other)
    language_model = {
        "score": score(logits, ids), "against": score(against, ids),
        "comparison": compare((logits, hidden), (against, against_hidden), ids),
    }
    golden = {"labels": names, "classifier": classifier, "language_model": language_model}
    (Path(__file__).parent / "evaluation.json").write_text(json.dumps(golden, indent=1) + "\n")
    for kind in (classifier, language_model):
        print({k: v for k, v in kind.items() if k != "confusion"})


if __name__ == "__main__":
    main()
