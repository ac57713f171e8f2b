"""An AArch64 program as a file: which addresses belong to which operator, and the instructions at an address."""

import re
import subprocess
from collections import namedtuple

TOOLS = "aarch64-linux-gnu-"

# The operators of a block and the functions that are theirs, by demangled name. `+` inherits: such a function works for
# whichever operator called it. Every other function is outside the block: threads, the graph, the final norm, embeddings.
OPERATORS = {
    "linear": r"igpt_kernels::tables::\w+::linear$",
    "attention": r"igpt_kernels::tables::\w+::attend$",
    "rows": r"igpt_kernels::tables::\w+::(prepare|prepare_windows|split|split_q|split_kv|layer_norm|depthwise)$",
    "driver": r"^rayon::iter::plumbing::bridge_producer_consumer::helper$",
    "+": r"^<?igpt_kernels::",
}
NAMES = [name for name in OPERATORS if name != "+"]

Function = namedtuple("Function", "start end name operator")


class Unfit(Exception):
    """The program cannot be counted, and why."""


def tool(name, *arguments):
    """Standard output of a cross binutil."""
    return subprocess.run([TOOLS + name, *arguments], check=True, capture_output=True, text=True).stdout


def functions(path):
    """The program's functions that belong to an operator or inherit one, by address."""
    text = tool("nm", "--demangle", "--print-size", "--defined-only", path)
    patterns = {name: re.compile(pattern) for name, pattern in OPERATORS.items()}
    found = {}
    for line in text.splitlines():
        fields = line.split(maxsplit=3)
        if len(fields) < 4 or fields[2] not in "tTwW":
            continue
        start, size, _, name = fields
        # The legacy mangling's hash is no part of the name.
        name = re.sub(r"::h[0-9a-f]{16}$", "", name)
        for operator, pattern in patterns.items():
            if pattern.search(name):
                start = int(start, 16)
                found[start] = Function(start, start + int(size, 16), name, operator)
                break
    plt = section(path, ".plt")
    if plt:
        found[plt[0]] = Function(*plt, "calls of shared libraries", "+")
    for operator in ("linear", "attention", "rows"):
        if not any(f.operator == operator for f in found.values()):
            raise Unfit(f"{path}: no function of the operator {operator!r} ({OPERATORS[operator]}): is it stripped, or was "
                        f"the function renamed? tests/arm-cost/program.py has the patterns")
    return sorted(found.values())


def section(path, name):
    """Start and end address of a section, if there is one."""
    text = tool("readelf", "--sections", "--wide", path)
    found = re.search(rf"\] {re.escape(name)}\s+\w+\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", text)
    if found:
        start, size = int(found[1], 16), int(found[2], 16)
        return start, start + size
    return None


def code_address(path):
    """Address of the first executable segment."""
    text = tool("readelf", "--segments", "--wide", path)
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] == ["LOAD"] and "E" in "".join(fields[6:-1]):
            return int(fields[2], 16)
    raise Unfit(f"{path}: no executable segment")


def disassemble(path, function):
    """(address, assembly) of a function's instructions; branches name an absolute address."""
    text = tool("objdump", "--disassemble", "--no-show-raw-insn", f"--start-address={function.start}",
                f"--stop-address={function.end}", path)
    lines = re.findall(r"^\s*([0-9a-f]+):\t(.*)$", text, re.MULTILINE)
    return [(int(address, 16), re.sub(r"\s+(//|<).*", "", assembly).strip()) for address, assembly in lines]
