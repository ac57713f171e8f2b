#!/bin/sh
# OpenVINO 2026.4.1: DequantizeLinear of 40 rows in blocks of 32.
#
# One would expect: int4 weights with a scale for every 32 rows work for any number of rows; ONNX lets the last
# block be shorter (scale's size is rounded up), its checker passes and onnxruntime 1.32.0 computes it.
# Seen: OpenVINO's converter takes 64 rows and refuses 40.
#
# Exits 0 while that is so.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'P'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto as T, helper

def model(rows, block):
    scale = np.linspace(0.1, 0.9, -(-rows // block) * 3, dtype=np.float32)
    values = [i % 15 - 7 for i in range(rows * 3)]
    node = helper.make_node("DequantizeLinear", ["w", "scale"], ["d"], axis=0, block_size=block)
    product = helper.make_node("MatMul", ["x", "d"], ["y"])
    graph = helper.make_graph(
        [node, product], "g",
        [helper.make_tensor_value_info("x", T.FLOAT, [1, rows])], [helper.make_tensor_value_info("y", T.FLOAT, [1, 3])],
        [helper.make_tensor("w", T.INT4, [rows, 3], values),
         helper.make_tensor("scale", T.FLOAT, [len(scale) // 3, 3], scale.tolist())])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()

def by_openvino(file, x):
    core = openvino.Core()
    return core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]

for rows, takes in ((64, True), (40, False)):
    file, x = model(rows, 32), np.ones((1, rows), np.float32)
    expected = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    try:
        found = by_openvino(file, x)
        print(f"{rows} rows: onnxruntime {expected}, OpenVINO {found}")
        assert takes and np.allclose(found, expected, rtol=1e-4)
    except RuntimeError as error:
        print(f"{rows} rows: onnxruntime {expected}, OpenVINO: {str(error).strip().splitlines()[-1]}")
        assert not takes
P
