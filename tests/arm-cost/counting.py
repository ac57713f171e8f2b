"""Runs a program under QEMU with the counting plugin."""

import os
import subprocess
from collections import Counter
from pathlib import Path

import program

HERE = Path(__file__).parent
CLASSES = ("dots", "memory", "simd", "scalar")
QEMU = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]


def build_plugin(folder):
    """Compiles count.c."""
    out = folder / "count.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", HERE / "count.c", "-o", out], check=True)
    return out


def run(plugin, cpu, command, folder, functions=None, qemu=QEMU, environment=None):
    """Executed instructions of `command` on `cpu`: {operator: {class: n}}, and runs of each block of instructions.

    With `functions` only what they do counts, by operator; without, everything, as the one operator "all".
    """
    counts = folder / "counts.txt"
    options = f"{plugin},out={counts}"
    names = ["all"]
    if functions:
        names = program.NAMES
        ranges = folder / "ranges.txt"
        ranges.write_text("".join(
            f"{f.start:x} {f.end:x} {'+' if f.operator == '+' else names.index(f.operator)}\n" for f in functions))
        options += f",ranges={ranges},text={program.code_address(command[0]):x}"
    # The environment's size moves the stack, and with it the path through some string functions.
    done = subprocess.run([*qemu, "-cpu", cpu, "-plugin", options, *command], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], **(environment or {})}, check=False)
    if done.returncode != 0:
        raise program.Unfit(f"{command[0]} on {cpu} ended with {done.returncode}: {done.stderr.strip()}")
    classes, blocks = {}, Counter()
    for line in counts.read_text().splitlines():
        kind, *fields = line.split()
        if kind == "class":
            operator, *numbers = map(int, fields)
            if operator < len(names):
                classes[names[operator]] = dict(zip(CLASSES, numbers))
        else:
            address, size, operator, runs = int(fields[0], 16), *map(int, fields[1:])
            blocks[address, size, names[operator]] += runs
    return classes, blocks, done.stdout
