"""Measures Mix Transformers beside their peers on one machine in one run, and writes the tables of docs/mit.md.

    cargo build --release --workspace && pip install -r tests/peers/requirements.txt
    python tests/peers/mit.py                  # about ten minutes; the machine should have nothing else to do

MiT-b0 and b2 at 224 x 224 with seeded random weights. As run.py does it: every contender is a process of its own that stays
loaded, and they take turns, round after round.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import run
from run import HERE, ROOT, measure, say
from models import pixel_values

SIZE = 224
SIZES = {
    "b0": dict(depths=[2, 2, 2, 2], hidden_sizes=[32, 64, 160, 256]),
    "b2": dict(depths=[3, 4, 6, 3], hidden_sizes=[64, 128, 320, 512]),
}


def checkpoint(size):
    def maker(_, part):
        import torch
        import transformers

        torch.manual_seed(0)
        model = transformers.SegformerForImageClassification(transformers.SegformerConfig(num_labels=1000, **SIZES[size])).eval()
        with torch.no_grad():
            # Gains that are all ones and biases that are all zeros would hide whoever leaves them out.
            for name, parameter in model.named_parameters():
                if "norm" in name and name.endswith("weight"):
                    parameter.normal_(1, 0.3)
                elif name.endswith("bias"):
                    parameter.normal_(0, 0.1)
        model.save_pretrained(part)
        transformers.SegformerImageProcessorPil(size={"height": SIZE, "width": SIZE}).save_pretrained(part)
    return maker


def export(size):
    def maker(folder, part):
        import torch
        import transformers

        class Logits(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = transformers.SegformerForImageClassification.from_pretrained(folder / size).eval()

            def forward(self, pixels):
                return self.model(pixel_values=pixels).logits

        with torch.no_grad():
            torch.onnx.export(Logits().eval(), (torch.from_numpy(pixel_values((1, 3, SIZE, SIZE))),), str(part), dynamo=False,
                              opset_version=17, input_names=["pixel_values"], output_names=["logits"])
    return maker


def dynamic(size):
    def maker(folder, part):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(folder / f"{size}-f32.onnx", part, per_channel=True, weight_type=QuantType.QInt8,
                         op_types_to_quantize=["MatMul", "Gemm"])
    return maker


def static(size):
    def maker(folder, part):
        import numpy as np
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        class Pictures(CalibrationDataReader):
            def __init__(self):
                random = np.random.default_rng(0)
                self.rest = [random.normal(0, 1, (1, 3, SIZE, SIZE)).astype(np.float32) for _ in range(4)]
                self.rest.append(pixel_values((1, 3, SIZE, SIZE)))

            def get_next(self):
                return {"pixel_values": self.rest.pop()} if self.rest else None

        prepared = folder / f"part-prepared-{size}.onnx"
        quant_pre_process(folder / f"{size}-f32.onnx", prepared)
        quantize_static(prepared, part, Pictures(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        prepared.unlink()
    return maker


MAKERS = {name: maker for size in SIZES for name, maker in {
    size: checkpoint(size),
    f"{size}-f32.onnx": export(size),
    f"{size}-dynamic.onnx": dynamic(size),
    f"{size}-static.onnx": static(size),
}.items()}


def contenders(folder, igpt, native, threads, size):
    """Name and command of each, ours first."""
    def python(kind, model):
        return [sys.executable, HERE / "contender.py", kind, folder / model, threads]

    def rust(runtime, model):
        return [native, runtime, folder / f"{size}-{model}.onnx", threads, "pixels", f"3x{SIZE}x{SIZE}"]

    return {
        "igpt int8": [igpt, "bench", folder / f"{size}-ours.onnx", "--step", "--threads", threads],
        "onnxruntime static int8 (QDQ)": python("onnxruntime", f"{size}-static.onnx"),
        "onnxruntime dynamic int8, MatMul only": python("onnxruntime", f"{size}-dynamic.onnx"),
        "onnxruntime f32": python("onnxruntime", f"{size}-f32.onnx"),
        "rten int8, MatMul only": rust("rten", "dynamic"),
        "rten f32": rust("rten", "f32"),
        "tract f32": rust("tract", "f32"),
        "PyTorch f32": python("torch-f32-pixels", size),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--igpt", type=Path, default=target / "release/igpt", help="the program to measure")
    parser.add_argument("--native", type=Path, default=HERE / "native/target/release/igpt-peers",
                        help="rten and tract: built from native/ if it is not there")
    parser.add_argument("--models", type=Path, default=target / "peers", help="where the models are made, once")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--minutes", type=float, default=8, help="start no further round after about so long")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", help="run only contenders with this in their name, and igpt")
    parser.add_argument("--document", type=Path, default=ROOT / "docs/mit.md", help="whose marked parts are written")
    parser.add_argument("--no-write", action="store_true", help="print the tables, leave the document alone")
    args = parser.parse_args()
    if not args.igpt.exists():
        sys.exit(f"{args.igpt} is not there: cargo build --release --workspace, or --igpt")
    run.build_native(args.native)
    run.models.make(args.models, say, makers=MAKERS)
    lines, skipped, part, parts = [], {}, 0, len(SIZES) * len(args.threads)
    for size in SIZES:
        # Always anew: it is ours that changes from one run to the next.
        subprocess.run([args.igpt, "quantize", args.models / size, "-o", args.models / f"{size}-ours.onnx"], check=True,
                       stdout=subprocess.DEVNULL)
        report = json.loads(subprocess.run(
            [args.igpt, "bench", "--json", args.models / f"{size}-ours.onnx", "--runs", "20", "--threads",
             ",".join(map(str, args.threads))], check=True, capture_output=True, text=True).stdout)
        runs = {}
        for threads in args.threads:
            part += 1
            deadline = args.minutes * 60 * part / parts
            group = contenders(args.models, args.igpt, args.native, threads, size)
            group = {name: command for name, command in group.items()
                     if not args.only or args.only in name or name.startswith("igpt")}
            say(f"{size}, {threads} thread(s)")
            runs[threads] = measure(group, args.rounds, deadline, skipped)
            if "igpt int8" in skipped:
                sys.exit(f"igpt does not run: {skipped['igpt int8']}")
        gmac = report["model"]["linear_gmac"] + report["model"]["attention_gmac"]
        floors = {t["threads"]: gmac / t["peak_gmac_per_s"] for t in report["timings"]}
        fewest = min(len(c.times) for group in runs.values() for c in group.values())
        if not lines:
            lines += [f"{time.strftime('%Y-%m-%d', time.gmtime())}; {run.machine(report)}; {run.versions()}."]
        lines += ["", f"### MiT-{size}", "", f"{fewest} rounds.", "", *run.forward_table(runs, floors, digits=1), "",
                  *run.profile_table(report)]
    if skipped:
        lines += ["", "Skipped: " + "; ".join(f"{name} ({why})" for name, why in skipped.items()) + "."]
    if args.no_write:
        print("\n".join(lines))
    else:
        run.write(args.document, "peers", lines)
    say(f"done, {'printed' if args.no_write else args.document}")


if __name__ == "__main__":
    main()
