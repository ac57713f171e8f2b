"""Makes the one model in every contender's form: ImageGPT-small, seeded, from transformers.

    clf/, lm/                  checkpoints; ours.py's `igpt quantize` reads them
    f32.onnx                   as torch.onnx exports the classifier
    int8-tensor.onnx, int8-channel.onnx     onnxruntime's dynamic quantisation of it
    fused-{gqa,mha}-{f32,int8}.onnx         written by hand with onnxruntime's fused operators (fused.py)
    decoder-{f32,int8}.onnx                 the same with keys and values that stay in place
    past-f32.onnx, past-int8-channel.onnx   the language model as torch.onnx exports it, keys and values as inputs and outputs

Files that are there already are kept: delete the folder to make them anew.
"""

import json
from pathlib import Path

import fused

LAYERS, WIDTH, HEADS, TOKENS, COLORS, LABELS = 24, 512, 8, 1024, 512, 10


def token_ids(count, colors=COLORS):
    """The tokens that `igpt bench` and native/ run."""
    return [i * 7919 % colors for i in range(count)]


def pixel_values(shape):
    """The picture that `igpt bench` and native/ run."""
    import numpy as np

    return ((np.arange(np.prod(shape)) * 7919 % 512) / 128 - 2).astype(np.float32).reshape(shape)


def make(folder: Path, say, names=None, makers=None):
    """All of them, or those named, which come in the order of `MAKERS`: some are made from others."""
    makers = makers or MAKERS
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or makers:
        maker, target = makers[name], folder / name
        if not target.exists():
            say(f"making {name}")
            part = folder / f"part-{name}"
            maker(folder, part)
            part.rename(target)


def checkpoint(kind):
    def maker(_, part):
        import torch
        import transformers

        torch.manual_seed(0)
        config = transformers.ImageGPTConfig(num_labels=LABELS, n_layer=LAYERS)
        assert (config.n_embd, config.n_head) == (WIDTH, HEADS)
        model = getattr(transformers, kind)(config)
        with torch.no_grad():
            # A fresh model's gains are ones and its biases zeros: nobody would notice a runtime that leaves them out.
            for name, parameter in model.named_parameters():
                if "ln_" in name:
                    parameter.uniform_(0.5, 1.5)
                elif name.endswith("bias"):
                    parameter.normal_(0, 0.05)
        model.eval().save_pretrained(part)
        clusters = torch.rand(COLORS, 3).mul(2).sub(1).tolist()
        (part / "preprocessor_config.json").write_text(json.dumps(dict(
            clusters=clusters, do_normalize=True, do_resize=True, resample=2, size=32,
            feature_extractor_type="ImageGPTFeatureExtractor")))
    return maker


def export(folder, part):
    import torch
    import transformers

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            kind = transformers.ImageGPTForImageClassification
            self.model = kind.from_pretrained(folder / "clf").eval()

        def forward(self, input_ids):
            return self.model(input_ids=input_ids, use_cache=False).logits

    ids = torch.tensor([token_ids(TOKENS)])
    with torch.no_grad():
        torch.onnx.export(Logits().eval(), (ids,), str(part), dynamo=False, opset_version=17,
                          input_names=["input_ids"], output_names=["logits"])


def past_names(layers=LAYERS):
    """Keys and values of all layers, in the order of the exported model's inputs and outputs."""
    return [f"{part}.{layer}" for layer in range(layers) for part in ("key", "value")]


def export_past(folder, part):
    import torch
    import transformers

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            kind = transformers.ImageGPTForCausalImageModeling
            self.model = kind.from_pretrained(folder / "lm").eval()

        def forward(self, input_ids, *past):
            cache = transformers.DynamicCache()
            for layer in range(LAYERS):
                cache.update(past[2 * layer], past[2 * layer + 1], layer)
            out = self.model(input_ids=input_ids, past_key_values=cache, use_cache=True)
            present = [value for layer in out.past_key_values.layers for value in (layer.keys, layer.values)]
            return out.logits[:, -1], *present

    names = past_names()
    past = [torch.zeros(1, HEADS, 3, WIDTH // HEADS) for _ in names]
    axes = {"input_ids": {1: "tokens"}}
    axes.update((f"past_{name}", {2: "past"}) for name in names)
    axes.update((f"present_{name}", {2: "present"}) for name in names)
    with torch.no_grad():
        torch.onnx.export(Step().eval(), (torch.tensor([token_ids(2)]), *past), str(part), dynamo=False, opset_version=17,
                          input_names=["input_ids", *(f"past_{name}" for name in names)],
                          output_names=["logits", *(f"present_{name}" for name in names)], dynamic_axes=axes)


def quantised(source, per_channel, **how):
    def maker(folder, part):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(folder / source, part, per_channel=per_channel, weight_type=QuantType.QInt8, **how)
    return maker


def by_hand(checkpoint_name, **how):
    def maker(folder, part):
        import onnx

        onnx.save(fused.model(folder / checkpoint_name, **how), part)
    return maker


# Types of the fused operators' outputs, which the quantiser cannot infer: 1 is float.
MATMULS = dict(op_types_to_quantize=["MatMul"], nodes_to_exclude=["score"], extra_options=dict(DefaultTensorType=1))
MAKERS = {
    "clf": checkpoint("ImageGPTForImageClassification"),
    "lm": checkpoint("ImageGPTForCausalImageModeling"),
    "f32.onnx": export,
    "int8-tensor.onnx": quantised("f32.onnx", False),
    "int8-channel.onnx": quantised("f32.onnx", True),
    "fused-gqa-f32.onnx": by_hand("clf", attention="gqa"),
    "fused-mha-f32.onnx": by_hand("clf", attention="mha"),
    "fused-gqa-int8.onnx": quantised("fused-gqa-f32.onnx", True, **MATMULS),
    "fused-mha-int8.onnx": quantised("fused-mha-f32.onnx", True, **MATMULS),
    "decoder-f32.onnx": by_hand("lm", attention="gqa", past=True),
    "decoder-int8.onnx": quantised("decoder-f32.onnx", True, **MATMULS),
    "past-f32.onnx": export_past,
    "past-int8-channel.onnx": quantised("past-f32.onnx", True),
}
