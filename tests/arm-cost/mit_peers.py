#!/usr/bin/env python3
"""What one pass of a Mix Transformer costs other runtimes on 64-bit ARM, in executed instructions, as peers.py counts a block's.

No part of CI. tests/peers/mit.py makes the models in target/peers, tests/arm-cost/peers builds the program. The table of docs/mit.md:

    python tests/arm-cost/mit_peers.py tests/peers/native/target/aarch64-unknown-linux-gnu/release/igpt-peers target/peers
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import counting
import peers
import program
import table

# Name in the table, runtime of native/, model of tests/peers/mit.py.
CONTENDERS = [
    ("onnxruntime {} static int8 (QDQ)", "onnxruntime", "static"),
    ("onnxruntime {} dynamic int8, MatMul only", "onnxruntime", "dynamic"),
    ("onnxruntime {} f32", "onnxruntime", "f32"),
    ("rten {} int8, MatMul only", "rten", "dynamic"),
    ("rten {} f32", "rten", "f32"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("native", help="igpt-peers for aarch64")
    parser.add_argument("models", type=Path)
    parser.add_argument("--model", default="b0")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--only", default="", help="the contenders whose name has this in it")
    cache = os.environ.get("IGPT_CACHE") or Path.home() / ".cache/igpt-edge"
    parser.add_argument("--cache", type=Path, default=Path(cache) / "peers", help="where downloads are kept")
    args = parser.parse_args()
    version = peers.versions()
    environment = {"ORT_DYLIB_PATH": str(peers.library(args.cache, version["onnxruntime"])), "ORT_DISABLE_TELEMETRY": "1",
                   "RTEN_NUM_THREADS": "1"}
    print("| runtime | " + " | ".join(f"{kernels} ({cpu})" for kernels, (cpu, _) in peers.PROCESSORS.items())
          + " |\n|---|" + "--:|" * len(peers.PROCESSORS))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        plugin = counting.build_plugin(folder)
        roots = {kernels: peers.sysroot(folder / kernels, part) for kernels, (_, part) in peers.PROCESSORS.items()}
        for name, runtime, model in CONTENDERS:
            name = name.format(version[runtime])
            if args.only not in name:
                continue
            cells = []
            for kernels, (cpu, _) in peers.PROCESSORS.items():
                qemu = ["setarch", "--addr-no-randomize", counting.QEMU[0], "-L", roots[kernels]]
                shape = f"3x{args.side}x{args.side}"
                command = [args.native, runtime, args.models / f"{args.model}-{model}.onnx", "1", "pixels", shape]
                once, twice = (table.total(counting.run(plugin, cpu, [*command, passes], folder, qemu=qemu,
                                                        environment=environment)[0]["all"]) for passes in ("1", "2"))
                cells.append(table.million(twice - once))
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (program.Unfit, subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"arm-cost: {error}")
