#!/usr/bin/env python3
"""What the block costs other runtimes on ARM, in executed instructions: measured, compared with table.json or written there.

Called by `peers`, which builds the program that drives onnxruntime and rten. A pass is what a second pass adds to the whole
program's count, so that loading, packing weights and a first pass's allocations are left out. It includes what the graph has
around its one block: embeddings, last norm, the score of 10 labels, 7 million instructions in onnxruntime.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import counting
import program
import table

PEERS = table.HERE.parent / "peers"
sys.path.insert(0, str(PEERS))

import models  # noqa: E402

models.LAYERS = 1

# Two runs of onnxruntime agree to the last digit; two of rten differ by a few thousand instructions.
TOLERANCE = 1e-5

# Name in the table, runtime of native/, model.
CONTENDERS = [
    ("onnxruntime {} int8, fused by hand (GroupQueryAttention)", "onnxruntime", "fused-gqa-int8.onnx"),
    ("onnxruntime {} int8, fused by hand (MultiHeadAttention)", "onnxruntime", "fused-mha-int8.onnx"),
    ("onnxruntime {} int8 per channel, as exported", "onnxruntime", "int8-channel.onnx"),
    ("rten {} int8, fused by hand (MultiHeadAttention)", "rten", "fused-mha-int8.onnx"),
    ("rten {} int8 per channel, as exported", "rten", "int8-channel.onnx"),
]
MODELS = ["clf", "f32.onnx", "int8-channel.onnx", "fused-gqa-f32.onnx", "fused-mha-f32.onnx", "fused-gqa-int8.onnx",
          "fused-mha-int8.onnx"]

# QEMU's processor, and the Arm part that /proc/cpuinfo names. `max` without its scalable vectors and matrices, with which
# onnxruntime needs more instructions; ours uses neither.
PROCESSORS = {"neon": ("cortex-a72", 0xD08), "dotprod": ("cortex-a76", 0xD0B), "i8mm": ("max,sve=off,sme=off", 0xD49)}


def versions():
    """The pinned versions: {runtime: version}."""
    pinned = (PEERS / "requirements.txt").read_text()
    locked = (PEERS / "native" / "Cargo.lock").read_text()
    return {"onnxruntime": re.search(r"^onnxruntime==(\S+)$", pinned, re.MULTILINE)[1],
            "rten": re.search(r'^name = "rten"\nversion = "(\S+)"$', locked, re.MULTILINE)[1]}


def library(cache, version):
    """onnxruntime's shared library for aarch64, out of its Python package; downloaded once."""
    member = f"onnxruntime/capi/libonnxruntime.so.{version}"
    if not (cache / member).exists():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--platform",
                            "manylinux_2_28_aarch64", "--python-version", "3.11", "--dest", folder, f"onnxruntime=={version}"],
                           check=True)
            wheel, = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extract(member, cache)
    return cache / member


def sysroot(folder, part):
    """A root for QEMU in which /proc and /sys are those of a machine with one such core: onnxruntime looks, and ends with a
    segmentation fault on what it sees of the emulator's host."""
    cpu = folder / "sys/devices/system/cpu"
    cpu.mkdir(parents=True)
    for name in ("possible", "present", "online"):
        (cpu / name).write_text("0\n")
    (folder / "proc").mkdir()
    (folder / "proc/cpuinfo").write_text(
        "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
        f"CPU part\t: {part:#x}\nCPU revision\t: 0\n\n")
    (folder / "lib").symlink_to("/usr/aarch64-linux-gnu/lib")
    return folder


def measure(native, cache, only):
    """{peer: {kernels: {class: n}}} of the contenders whose name has `only` in it."""
    version = versions()
    environment = {"ORT_DYLIB_PATH": str(library(cache, version["onnxruntime"])), "ORT_DISABLE_TELEMETRY": "1",
                   "RTEN_NUM_THREADS": "1"}
    made = cache / "block"
    models.make(made, print, MODELS)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        plugin = counting.build_plugin(folder)
        for kernels, (cpu, part) in PROCESSORS.items():
            # Without randomised addresses, which some hash tables take for a seed.
            qemu = ["setarch", "--addr-no-randomize", counting.QEMU[0], "-L", sysroot(folder / kernels, part)]
            for name, runtime, model in CONTENDERS:
                name = name.format(version[runtime])
                if only not in name:
                    continue
                command = [native, runtime, made / model, "1", str(models.TOKENS), str(models.COLORS)]
                once, twice = (counting.run(plugin, cpu, [*command, passes], folder, qemu=qemu, environment=environment)[0]["all"]
                               for passes in ("1", "2"))
                found.setdefault(name, {})[kernels] = counts = {c: twice[c] - once[c] for c in counting.CLASSES}
                print(f"{kernels}: {name}: {table.total(counts):,}", flush=True)
    return found


def same(new, old):
    """Are these the counts of the table?"""
    return old is not None and all(
        abs(table.total(new[kernels]) - table.total(old[kernels])) <= TOLERANCE * table.total(old[kernels]) for kernels in new)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("native", help="igpt-peers for aarch64")
    parser.add_argument("--cache", type=Path, required=True, help="where downloads and models are kept")
    parser.add_argument("--only", default="", help="the contenders whose name has this in it; the others keep their numbers")
    parser.add_argument("--update", action="store_true", help="write the table and its copy in docs/arm.md")
    args = parser.parse_args()
    found = measure(args.native, args.cache, args.only)
    # Read after the long run: somebody may have written the table meanwhile.
    document = json.loads(table.TABLE.read_text())
    known = document["peers"]
    if args.update:
        names = [name.format(versions()[runtime]) for name, runtime, _ in CONTENDERS]
        document["peers"] = {name: found.get(name, known.get(name)) for name in names if name in found or name in known}
        table.write(document)
        return 0
    changed = [name for name in found if not same(found[name], known.get(name))]
    for name in changed:
        print(f"{name}: not what the table has: {json.dumps(known.get(name))}")
    return 1 if changed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (program.Unfit, subprocess.CalledProcessError, OSError) as error:
        print(f"arm-cost: {error}", file=sys.stderr)
        sys.exit(1)
