#!/usr/bin/env python3
"""What one pass of a Mix Transformer costs on 64-bit ARM: instructions executed under QEMU, by part and class, on three processors.

No part of CI: it needs a checkpoint. tests/peers/mit.py makes MiT-b0 with random weights in target/peers/b0; `run` builds the program.

    python tests/arm-cost/mit.py target/aarch64-unknown-linux-gnu/release/igpt target/peers/b0 PICTURE
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import counting
import program
import table

PARTS = {"linear": "linear layers and convolutions", "attention": "attention",
         "rows": "norms, windows, depthwise, activation, quantisation"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("igpt", help="the aarch64 program")
    parser.add_argument("checkpoint")
    parser.add_argument("picture")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        plugin = counting.build_plugin(folder)
        functions = program.functions(args.igpt)
        model = folder / "model.onnx"
        subprocess.run([*counting.QEMU, args.igpt, "quantize", args.checkpoint, "-o", model], check=True, stdout=subprocess.DEVNULL)
        print("| kernels (QEMU's processor) | part | " + " | ".join(("dot products", "loads, stores", "other SIMD", "scalar", "all"))
              + " |\n|---|---|" + "--:|" * 5)
        for kernels, (cpu, _, _) in table.KERNELS.items():
            command = [args.igpt, "run", model, args.picture, "-o", folder / "out.npz", "--threads", "1", "--json"]
            classes, _, report = counting.run(plugin, cpu, command, folder, functions)
            if json.loads(report)["isa"] != kernels:
                raise program.Unfit(f"{args.igpt} did not choose the kernels {kernels} on {cpu}")
            parts = {name: classes[part] for part, name in PARTS.items()}
            parts["whole pass"] = {c: sum(part[c] for part in classes.values()) for c in counting.CLASSES}
            for part, counts in parts.items():
                cells = " | ".join(table.million(counts[c]) for c in counting.CLASSES)
                print(f"| {kernels} ({cpu}) | {part} | {cells} | {table.million(table.total(counts))} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (program.Unfit, subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"arm-cost: {error}")
