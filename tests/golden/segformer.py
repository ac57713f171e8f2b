"""Makes tests/golden/segformer/: small random Mix Transformer classifiers with what transformers and onnxruntime
compute from them.

Run from the repository's root, with the versions of requirements.txt and after `cargo build --release -p igpt-tools`:

    python tests/golden/segformer.py target/release/igpt

Each case is a checkpoint folder (weights rounded to float16, so that they are small and exact) with:
  expected.npz     pixel_values [batch, channels, height, width] in 256ths (int16, exact), logits, and hidden_states.{i}
                   as transformers has them, [batch, C, H', W'], or [batch, N, C] without reshape_last_stage: f32
  onnxruntime.npz  logits and hidden_states.{i} [batch, H', W', C] from the int8 file that igpt writes
  picture.png      in some: a picture; the logits that the PIL processor's pixels of it give are `picture_logits`
`new-names` is `hub-names` once more, in the other spelling and in two shards.
The script also runs onnx.checker on every file, and the f32 file against transformers. Without a program it makes
transformers' part alone.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import SegformerConfig, SegformerForImageClassification
from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorPil

import versions

OUT = Path(__file__).parent / "segformer"

# name: (how the weights are stored, (batch, height, width), config)
CASES = {
    # As on the hub, at a quarter of b0's widths and less.
    "hub-names": ("old", (2, 64, 64), dict(
        depths=[2, 1, 1, 1], hidden_sizes=[8, 16, 20, 32], num_attention_heads=[1, 2, 5, 8], mlp_ratios=[4, 4, 4, 2])),
    # d = 20 div 3 = 6: queries, keys and values are 18 wide.
    "relu-odd-heads": ("bin", (1, 33, 47), dict(
        num_encoder_blocks=2, depths=[2, 1], hidden_sizes=[20, 24], num_attention_heads=[3, 4], sr_ratios=[2, 1],
        patch_sizes=[7, 3], strides=[4, 2], mlp_ratios=[3, 2], hidden_act="relu")),
    # Grids 13 x 10, 7 x 5, 3 x 2: windows of 3 x 3 leave a row and a column over.
    "three-stages-ragged": ("new", (2, 50, 38), dict(
        num_encoder_blocks=3, depths=[1, 2, 1], hidden_sizes=[12, 15, 28], num_attention_heads=[2, 1, 4],
        sr_ratios=[3, 2, 1], patch_sizes=[7, 3, 5], strides=[4, 2, 3], mlp_ratios=[4, 2, 1],
        reshape_last_stage=False, layer_norm_eps=0.1)),
    # 16 x 24 = 384 keys, and no reduction anywhere.
    "many-keys": ("new", (1, 64, 96), dict(
        num_encoder_blocks=2, depths=[1, 1], hidden_sizes=[16, 33], num_attention_heads=[2, 3], sr_ratios=[1, 1],
        patch_sizes=[7, 3], strides=[4, 2], mlp_ratios=[2, 2])),
}
LABELS = 7


def build(seed, fields):
    torch.manual_seed(seed)
    labels = {i: f"label {i}" for i in range(LABELS)}
    config = SegformerConfig(**fields, id2label=labels, label2id={v: k for k, v in labels.items()},
                             architectures=["SegformerForImageClassification"])
    model = SegformerForImageClassification(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "norm" in name
            if norm and name.endswith("weight"):
                parameter.normal_(1.0, 0.3)
            elif parameter.ndim == 1:
                parameter.normal_(0.0, 0.2)
            else:
                parameter.normal_(0.0, parameter[0].numel() ** -0.5)
            parameter.copy_(parameter.half().float())
    return config, model


def smooth_pixels(rng, shape):
    """Noise on three scales: what normalised pictures look like."""
    batch, height, width = shape
    total = np.zeros((batch, 3, height, width))
    for cell in (1, 5, 16):
        rows, columns = -(-height // cell), -(-width // cell)
        coarse = rng.normal(size=(batch, 3, rows, columns))
        total += np.kron(coarse, np.ones((cell, cell)))[:, :, :height, :width] * (0.3 if cell == 1 else 0.8)
    return np.round(total * 256).astype(np.int16)


def picture(rng, path):
    """40 x 56 pixels: gradients under coarse noise."""
    rows, columns = np.mgrid[:56, :40]
    coarse = np.kron(rng.integers(0, 80, (7, 5, 3)), np.ones((8, 8, 1)))
    pixels = np.stack([rows * 3, columns * 4, 90 + rows - columns], -1) + coarse
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def store(folder, how, model):
    """Weights in the spelling and the container of this case."""
    new = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    if how == "new":
        save_file(new, folder / "model.safetensors", metadata={"format": "pt"})
        return
    with tempfile.TemporaryDirectory() as temporary:
        # What save_pretrained writes is the old spelling.
        model.save_pretrained(temporary)
        old = load_file(Path(temporary) / "model.safetensors")
        old = {name: tensor.half().contiguous() for name, tensor in old.items()}
    assert "segformer.encoder.patch_embeddings.0.proj.weight" in old
    if how == "bin":
        torch.save(old, folder / "pytorch_model.bin")
    else:
        save_file(old, folder / "model.safetensors", metadata={"format": "pt"})


def store_sharded(folder, model):
    new = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    names = sorted(new)
    half = len(names) // 2
    files = {"model-00001-of-00002.safetensors": names[:half], "model-00002-of-00002.safetensors": names[half:]}
    for file, part in files.items():
        save_file({n: new[n] for n in part}, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {}, "weight_map": {n: file for file, part in files.items() for n in part}}, indent=1))


def hub_config(path):
    """Adds what the hub's files have, and takes out what they have not."""
    config = json.loads(path.read_text())
    config.update(image_size=224, downsampling_rates=[1, 4, 8, 16], torch_dtype="float32")
    config.pop("reshape_last_stage", None)
    path.write_text(json.dumps(config, indent=2))


def write_processor(folder, height, width):
    # The keys of the hub's files.
    size = height if height == width else {"height": height, "width": width}
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "do_normalize": True, "do_resize": True, "feature_extractor_type": "SegformerFeatureExtractor",
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "reduce_labels": False,
        "resample": 2, "size": size}, indent=2))


def transformers_outputs(model, pixels):
    with torch.no_grad():
        out = model(torch.tensor(pixels), output_hidden_states=True)
    arrays = {f"hidden_states.{i}": state.numpy() for i, state in enumerate(out.hidden_states)}
    return {"logits": out.logits.numpy(), **arrays}


def igpt(binary, folder, dtype, *options):
    """The bytes of the file igpt writes, checked by onnx."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.onnx"
        subprocess.run([binary, "quantize", folder, "-o", path, "--dtype", dtype, *options], check=True,
                       stdout=subprocess.DEVNULL)
        onnx.checker.check_model(path, full_check=True)
        return path.read_bytes()


def run(file, pixels):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"pixel_values": pixels})))


def channels_last(state, like):
    """transformers' hidden state as the file has it."""
    return state.transpose(0, 2, 3, 1) if state.ndim == 4 else state.reshape(like.shape)  # also logits


def distance(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


def relative(a, b):
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def main():
    versions.check()
    binary = sys.argv[1] if len(sys.argv) > 1 else None
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    for seed, (name, (how, shape, fields)) in enumerate(CASES.items()):
        rng = np.random.default_rng(seed)
        folder = OUT / name
        folder.mkdir(parents=True)
        config, model = build(seed, fields)
        config.save_pretrained(folder)
        store(folder, how, model)
        write_processor(folder, *shape[1:])
        stored = smooth_pixels(rng, shape)
        pixels = stored.astype(np.float32) / 256
        expected = transformers_outputs(model, pixels)
        extra = {}
        if name == "hub-names":
            hub_config(folder / "config.json")
            twin = OUT / "new-names"
            twin.mkdir()
            config.save_pretrained(twin)
            store_sharded(twin, model)
            shutil.copy(folder / "preprocessor_config.json", twin)
        if how == "old" or how == "bin":
            picture(rng, folder / "picture.png")
            processor = SegformerImageProcessorPil.from_pretrained(folder)
            values = processor(Image.open(folder / "picture.png"), return_tensors="np").pixel_values
            assert values.shape[1:] == pixels.shape[1:], values.shape
            extra["picture_logits"] = transformers_outputs(model, values)["logits"]
        # What is stored is what transformers loads again.
        again, info = SegformerForImageClassification.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], info
        assert np.array_equal(transformers_outputs(again.eval(), pixels)["logits"], expected["logits"])
        np.savez(folder / "expected.npz", pixel_values=stored, **expected, **extra)
        if binary is None:
            continue
        for dtype in ("f32", "int8"):
            arrays = run(igpt(binary, folder, dtype, "--task", "features"), pixels)
            arrays |= run(igpt(binary, folder, dtype), pixels)
            inline = run(igpt(binary, folder, dtype, "--inline"), pixels)
            assert np.array_equal(inline["logits"], arrays["logits"])
            wanted = {key: channels_last(expected[key], array) for key, array in arrays.items()}
            worst = max(distance(arrays[key], wanted[key]) for key in wanted)
            errors = ", ".join(f"{key} {relative(arrays[key], wanted[key]):.4f}" for key in sorted(wanted))
            print(f"{name:20} {dtype:4} onnxruntime against transformers: {worst:.1e}; relative: {errors}")
            assert dtype == "int8" or worst < 1e-5, worst
            if dtype == "int8":
                np.savez(folder / "onnxruntime.npz", **arrays)


main()
