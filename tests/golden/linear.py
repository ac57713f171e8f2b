"""Makes tests/golden/linear/: what onnxruntime computes from the int8 linear functions of our own files, one by one.

Run from the repository's root after tests/golden/model.py, with the versions of requirements.txt:

    python tests/golden/linear.py target/release/igpt

Each array name begins with its case: `x` [rows, in] goes in (of a ImageGptLinearUint8 before the activation, which is
quick_gelu), `w` [in, out], `w_scale`, `bias`, and `y` [rows, out] is what onnxruntime gives for a model of that one node.
The `head` case is the lm_head of a whole model on onnxruntime's own last hidden state. `bodies.json` has the checksum of
each file that functions and weights were taken from.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import versions

MODELS = Path(__file__).parent / "model"
OUT = Path(__file__).parent / "linear"
F32 = np.float32

# case: (checkpoint of tests/golden/model, layer, function)
CASES = {
    "c_attn": ("aligned", "transformer.h.0.attn.c_attn", "ImageGptLinearInt8"),
    "odd": ("odd-heads", "transformer.h.1.mlp.c_fc", "ImageGptLinearInt8"),
    "c_proj": ("aligned", "transformer.h.0.mlp.c_proj", "ImageGptLinearUint8"),
    "odd_one_sided": ("odd-heads", "transformer.h.1.mlp.c_proj", "ImageGptLinearUint8"),
}


def converted(binary, case):
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.onnx"
        subprocess.run([binary, "quantize", MODELS / case, "-o", path, "--tokens-only"], check=True, stdout=subprocess.DEVNULL)
        file = path.read_bytes()
    body = zlib.crc32(file[file.index(b"transformer.embed"):file.index(b"igpt.format")])
    assert body == json.loads((MODELS / "bodies.json").read_text())[case], f"{case}: run tests/golden/model.py first"
    return onnx.load_from_string(file), body


def rows(rng, k):
    """Ordinary rows and every awkward one."""
    x = rng.normal(0, 1, (12, k)).astype(F32)
    x[1] = 0
    x[2, 3] = 400  # an outlier
    x[3] = np.abs(x[3])
    x[4] = -np.abs(x[4])
    x[5] *= F32(1e-6)
    x[6] *= F32(1e6)
    x[7, 1:] = 0  # one number alone
    x[8] = 3
    x[8, 1::2] = 1.5  # at 63.5 steps, but for the rounding of 127 / 3
    x[9] = F32(1e-35)  # below 2^-100: counts as zeros
    x[10] = np.arange(k) - k // 2 + 0.5  # ties between two steps
    x[10, 0] = 127
    x[11] += 5
    return x


def fma(a, b, c):
    """Products of two f32 are exact in f64."""
    return (F32(a).astype(np.float64) * F32(b).astype(np.float64) + np.asarray(c, np.float64)).astype(F32)


def quick_gelu(u):
    """docs/numerics.md's formula, bit by bit: only then do both sides quantise the same numbers."""
    t = np.clip(u * F32(F32(-1.702) * F32(np.log2(np.e))), F32(-125), F32(127)).astype(F32)
    z = t + F32(12582912)
    f = t - (z - F32(12582912))
    p = np.full_like(f, F32(0.0013264727))
    for c in (0.009671513, 0.055507336, 0.24022242, 0.693147, 1.0):
        p = fma(f, p, F32(c))
    power = (p.view(np.uint32) + (z.view(np.uint32) << np.uint32(23))).view(F32)
    return u / (F32(1) + power)


def one_node(model, function, k, n):
    """A model that calls `function` on x, with the file's own functions."""
    names = ["x", "w", "w_scale", "bias"]
    kinds = [(TensorProto.FLOAT, ["rows", k]), (TensorProto.INT8, [k, n]), (TensorProto.FLOAT, [n]), (TensorProto.FLOAT, [n])]
    graph = helper.make_graph(
        [helper.make_node(function, names, ["y"], domain="ai.igpt")], "linear",
        [helper.make_tensor_value_info(name, *kind) for name, kind in zip(names[:1], kinds)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", n])])
    return helper.make_model(graph, functions=[f for f in model.functions if f.name == function],
                             opset_imports=model.opset_import, ir_version=model.ir_version)


def initializers(model):
    return {tensor.name: tensor for tensor in model.graph.initializer}


def renamed(tensor, name):
    copy = TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def run(model, feeds):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], feeds)[0]


def main():
    versions.check()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    arrays, bodies = {}, {}
    for seed, (case, (checkpoint, layer, function)) in enumerate(CASES.items()):
        model, bodies[checkpoint] = converted(sys.argv[1], checkpoint)
        held = initializers(model)
        parts = {name: held[f"{layer}.{suffix}"] for name, suffix in
                 (("w", "weight"), ("w_scale", "weight_scale"), ("bias", "bias"))}
        values = {name: numpy_helper.to_array(tensor) for name, tensor in parts.items()}
        k, n = values["w"].shape
        x = rows(np.random.default_rng(seed), k)
        node = one_node(model, function, k, n)
        node.graph.initializer.extend(renamed(tensor, name) for name, tensor in parts.items())
        y = run(node, {"x": quick_gelu(x) if function == "ImageGptLinearUint8" else x})
        arrays |= {f"{case}.{name}": array for name, array in {"x": x, "y": y, **values}.items()}
    model, bodies["inner-epsilon"] = converted(sys.argv[1], "inner-epsilon")
    held = initializers(model)
    golden = np.load(MODELS / "inner-epsilon/onnxruntime.npz")
    width = golden["hidden_states"].shape[-1]
    arrays |= {"head.x": golden["hidden_states"][-1].reshape(-1, width),
               "head.y": golden["logits"].reshape(-1, golden["logits"].shape[-1])}
    arrays |= {f"head.{name}": numpy_helper.to_array(held[f"lm_head.{suffix}"]) for name, suffix in
               (("w", "weight"), ("w_scale", "weight_scale"), ("bias", "bias"))}
    np.savez(OUT / "linear.npz", **arrays)
    (OUT / "bodies.json").write_text(json.dumps(bodies, indent=1))


main()
