"""What onnxruntime's own dynamic int8 makes of the default model, over the whole test set.

Takes the f32 file that `igpt quantize --dtype f32` writes, inlines our functions, lets onnxruntime quantise every
MatMul whose weight is constant (per channel, dynamic activations with one scale a tensor; attention stays float)
and compares the logits with those of the f32 file, both run by onnxruntime, one image at a time.
"""

import argparse
import os
import tempfile

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

import data

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("f32", help="the classifier as `igpt quantize --dtype f32` writes it")
parser.add_argument("clf", help="its checkpoint folder, for the palette")
parser.add_argument("--data", default=data.DEFAULT_DATA)
parser.add_argument("--images", type=int, default=10000)
parser.add_argument("--output", help="JSON file")
args = parser.parse_args()
assert onnxruntime.__version__ == "1.32.0", onnxruntime.__version__

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = lambda path: onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
with tempfile.TemporaryDirectory() as folder:
    inlined, int8 = (os.path.join(folder, name) for name in ("inlined.onnx", "int8.onnx"))
    onnx.save(onnx.inliner.inline_local_functions(onnx.load(args.f32)), inlined)
    quantize_dynamic(inlined, int8, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
    quantised = [node.op_type for node in onnx.load(int8).graph.node].count("MatMulInteger")
    f32, int8 = session(args.f32), session(int8)

ids, labels = data.tokens(args.data, "t10k", args.clf)
ids, labels = ids[:args.images].astype(np.int64), labels[:args.images]
logits = [np.concatenate([model.run(["logits"], {"input_ids": row[None]})[0] for row in ids]).astype(np.float64)
          for model in (f32, int8)]
best = [rows.argmax(1) for rows in logits]
a, b = (rows.ravel() for rows in logits)
result = {
    "images": len(ids), "quantised_layers": quantised,
    "top1_f32": float((best[0] == labels).mean()), "top1": float((best[1] == labels).mean()),
    "argmax_agreement": float((best[0] == best[1]).mean()),
    "logits_cosine": float(a @ b / np.sqrt((a @ a) * (b @ b))),
    "onnxruntime": onnxruntime.__version__}
print(result)
if args.output:
    data.write_json(args.output, result)
