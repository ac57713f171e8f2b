"""Makes tests/golden/int4/: the int8 matrices that onnxruntime makes of the int4 ones in our own files.

Run from the repository's root after tests/golden/model.py, with the versions of requirements.txt:

    python tests/golden/int4.py target/release/igpt

`weights.npz` has every block matrix of two of model.py's checkpoints, one of whose widths 32 does not divide, by case and
name. From there on a body calls the functions of int8 files, which linear.py holds against onnxruntime. Each whole file is
checked and run as well. `bodies.json` has the checksum of what was run.
"""

import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

import versions

MODELS = Path(__file__).parent / "model"
OUT = Path(__file__).parent / "int4"


def run(model, feeds):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def main():
    versions.check()
    OUT.mkdir(exist_ok=True)
    arrays, bodies = {}, {}
    for case in ("aligned", "odd-heads"):
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "model.onnx"
            command = [sys.argv[1], "quantize", MODELS / case, "-o", path, "--dtype", "int4", "--tokens-only"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            file = path.read_bytes()
        bodies[case] = zlib.crc32(file[file.index(b"transformer.embed"):file.index(b"igpt.format")])
        model = onnx.load_from_string(file)
        run(model, {"input_ids": np.arange(8, dtype=np.int64)[None]})
        block, = (f for f in model.functions if f.name == "ImageGptBlockInt4")
        held = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in (n for n in model.graph.node if n.op_type == block.name):
            inside = dict(zip(block.input, node.input))
            # The nodes of the body that lead from the file's weights to int8, with those weights.
            outputs = [o for n in block.node for o in n.output if o.endswith("_weight_int8")]
            body = [n for n in block.node if any("_weight_int8" in o for o in n.output)]
            tensors = []
            for name in inside:
                if held.get(inside[name]) and held[inside[name]].data_type in (TensorProto.INT4, TensorProto.UINT4):
                    tensor = TensorProto()
                    tensor.CopyFrom(held[inside[name]])
                    tensor.name = name
                    tensors.append(tensor)
            shapes = {t.name: list(t.dims) for t in tensors}
            graph = helper.make_graph(
                body, "int4", [],
                [helper.make_tensor_value_info(o, TensorProto.INT8, shapes[o.removesuffix("_int8")]) for o in outputs], tensors)
            alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
            for output, w in zip(outputs, run(alone, {})):
                arrays[f"{case}.{inside[output.removesuffix('_int8')]}"] = w
    np.savez(OUT / "weights.npz", **arrays)
    (OUT / "bodies.json").write_text(json.dumps(bodies, indent=1))


main()
