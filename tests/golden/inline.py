"""What runtimes make of `igpt quantize --inline`: tests/golden/inline.json, and the numbers of docs/model-format.md.

Run from the repository's root after `cargo build --release -p igpt-tools`, with numpy, onnx and onnxruntime as in
requirements.txt and OpenVINO as below, in an environment that needs no torch:

    pip install numpy==... onnx==... onnxruntime==... openvino==2026.4.1
    python tests/golden/inline.py target/release/igpt

Every model of tests/golden/model in every dtype, and the two of models/fashion-mnist in int8, is converted with and
without --inline. Both have to pass onnx.checker; onnxruntime has to give the same numbers for both; OpenVINO's of the
inlined file are set beside onnxruntime's of the other. `inline.json` has the CRC-32 of each inlined graph with its weights, for
tests/tests/inline.rs.
"""

import json
import subprocess
import sys
import tempfile
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino

import versions

HERE = Path(__file__).parent
MODELS = HERE / "model"
SHIPPED = HERE.parent.parent / "models/fashion-mnist"
OPENVINO = "2026.4.1"


def convert(binary, checkpoint, dtype, *options):
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "model.onnx"
        subprocess.run([binary, "quantize", checkpoint, "-o", path, "--dtype", dtype, *options], check=True,
                       stdout=subprocess.DEVNULL)
        onnx.checker.check_model(path, full_check=True)
        return path.read_bytes()


def by_onnxruntime(file, ids):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids})


def by_openvino(file, ids):
    core = openvino.Core()
    # f32 whatever the machine: it would compute in bfloat16 where that is faster.
    model = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result = model([ids])
    return [result[i] for i in range(len(model.outputs))]


def body_crc32(file):
    """Over the graph and its weights, without the version before them and the metadata after them."""
    return zlib.crc32(file[file.index(b"constant.0"):file.index(b"igpt.format")])


def distance(a, b):
    """Of the largest output."""
    return float(max(np.abs(x - y).max() / np.abs(y).max() for x, y in zip(a, b)))


def main():
    pins = versions.check(("numpy", "onnx", "onnxruntime"))
    assert version("openvino") == OPENVINO, f"pip install openvino=={OPENVINO}"
    binary = sys.argv[1]
    cases = [(case.name, case, dtype) for case in sorted(MODELS.iterdir()) if case.is_dir()
             for dtype in ("int8", "int4", "f32")]
    cases += [(f"fashion-mnist/{name}", SHIPPED / name, "int8") for name in ("clf", "lm")]
    graphs = {}
    for name, checkpoint, dtype in cases:
        vocabulary = json.loads((checkpoint / "config.json").read_text())["vocab_size"]
        if (checkpoint / "expected.npz").exists():
            ids = np.load(checkpoint / "expected.npz")["input_ids"]
        else:
            ids = np.random.default_rng(0).integers(0, vocabulary - 1, (8, 196))
        plain, inline = convert(binary, checkpoint, dtype), convert(binary, checkpoint, dtype, "--inline")
        expected = by_onnxruntime(plain, ids)
        again = distance(by_onnxruntime(inline, ids), expected)
        try:
            openvinos = f"{distance(by_openvino(inline, ids), expected):.1e}"
        except Exception as error:  # what it cannot do is part of the answer
            openvinos = str(error).strip().splitlines()[-1][:120]
        print(f"{name:20} {dtype:5} onnxruntime, inlined against not: {again:.1e}; OpenVINO, inlined: {openvinos}")
        assert again < 2e-2
        if checkpoint.parent == MODELS:
            graphs.setdefault(name, {})[dtype] = body_crc32(inline)
    used = {**pins, "openvino": OPENVINO}
    (HERE / "inline.json").write_text(json.dumps({"versions": used, "graphs": graphs}, indent=1) + "\n")


main()
