"""Inner loops: found in the counts, cut out of the program's disassembly, and scheduled by llvm-mca on models of the cores."""

import re
import subprocess
from collections import namedtuple

import program

# Iterations that llvm-mca simulates: enough that filling and draining the pipeline do not show.
ITERATIONS = 1000

# A loop: its function, the operator it works for, its instructions, and their share of all that was counted.
Loop = namedtuple("Loop", "function operator assembly share")

# Multiply-accumulates of one instruction, by mnemonic and the arrangement of its destination.
MACS = {("sdot", "4s"): 16, ("smmla", "4s"): 32,
        ("smull", "8h"): 8, ("smull2", "8h"): 8, ("smlal", "8h"): 8, ("smlal2", "8h"): 8}


def find(path, functions, blocks, least):
    """The loops without a branch inside that take at least the share `least` of all counted instructions, hottest first."""
    total = sum(size * runs for (_, size, _), runs in blocks.items())
    found = []
    code = {}
    for (start, size, operator), runs in blocks.items():
        function = next((f for f in functions if f.start <= start < f.end), None)
        if function is None or size * runs < total * least:
            continue
        if function.start not in code:
            code[function.start] = program.disassemble(path, function)
        end = start + 4 * size
        text = dict(code[function.start])
        while branch_target(text.get(end - 4, "")) is None:
            # QEMU ends a block where a page ends, or where it has grown too long: the rest of the loop is the block after it.
            rest = max((size for at, size, of in blocks if at == end and of == operator), default=0)
            if rest == 0:
                break
            end += 4 * rest
        assembly = [text for at, text in code[function.start] if start <= at < end]
        if branch_target(assembly[-1]) == start:
            found.append(Loop(function.name, operator, assembly, len(assembly) * runs / total))
    return sorted(found, key=lambda loop: (-loop.share, loop.function, loop.operator))


def branch_target(text):
    """Where a conditional or unconditional branch goes; nothing for calls and returns."""
    found = re.fullmatch(r"(?:b|b\.\w+|cbn?z|tbn?z)\s+(?:.*, *)?([0-9a-f]+)", text)
    return int(found[1], 16) if found else None


def macs(assembly):
    """Multiply-accumulates of an iteration."""
    total = 0
    for text in assembly:
        mnemonic, _, operands = text.partition("\t")
        arrangement = re.match(r"v\d+\.(\w+)", operands.strip())
        if arrangement:
            total += MACS.get((mnemonic.strip(), arrangement[1]), 0)
    return total


def cycles(mca, core, assembly):
    """Cycles of an iteration on `core`, or None where the model lacks an instruction."""
    text = "\n".join(assembly[:-1] + [re.sub(r"\b[0-9a-f]+$", ".Lloop", assembly[-1])])
    done = subprocess.run(
        [mca, "-mtriple=aarch64-linux-gnu", f"-mcpu={core}", "-mattr=+dotprod,+i8mm", f"-iterations={ITERATIONS}"],
        input=f".Lloop:\n{text}\n", capture_output=True, text=True, check=False)
    found = re.search(r"^Total Cycles:\s+(\d+)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found:
        raise program.Unfit(f"{mca} on {core}: {done.stderr.strip() or done.stdout.strip()}")
    return int(found[1]) / ITERATIONS
