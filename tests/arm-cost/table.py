#!/usr/bin/env python3
"""The table of what a transformer block costs on ARM: measured, compared with the checked-in one, written.

Called by `run`, which finds the program and the tools.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import checkpoint
import counting
import loops
import program

HERE = Path(__file__).parent
TABLE = HERE / "table.json"
DOCUMENT = HERE.parent.parent / "docs" / "arm.md"
BEGIN, END = "<!-- tests/arm-cost/run --update writes from here -->", "<!-- to here -->"

# How much worse a number may get before the table has to be touched.
TOLERANCE = 0.02

# Kernels, the emulated processor that chooses them, multiply-accumulates an instruction (five for 32 on the A72), and
# the cores whose models schedule the inner loop: {core: multiply-accumulates a cycle at most}. LLVM schedules the A72
# as the A57 and the A76 and A78 as the A57 too, so the Neoverse N1 stands in for those.
KERNELS = {
    "neon": ("cortex-a72", 32 / 5, {"cortex-a57": 8, "cortex-a53": 4}),
    "dotprod": ("cortex-a76", 16, {"neoverse-n1": 32, "cortex-a55": 16}),
    "i8mm": ("max", 32, {"neoverse-n2": 64, "neoverse-v1": 128}),
}


def measure(igpt, mca):
    """The table of this program. Without `mca` the loops are left out."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        plugin = counting.build_plugin(folder)
        functions = program.functions(igpt)
        checkpoint.write(folder)
        checkpoint.write_tokens(folder / "tokens.npy")
        model = folder / "block.onnx"
        subprocess.run([*counting.QEMU, igpt, "quantize", folder, "-o", model, "--task", "features"], check=True,
                       stdout=subprocess.DEVNULL)
        for kernels, (cpu, _, cores) in KERNELS.items():
            command = [igpt, "run", model, "--tokens", folder / "tokens.npy", "-o", folder / "out.npz", "--threads", "1",
                       "--json"]
            classes, blocks, report = counting.run(plugin, cpu, command, folder, functions)
            chosen = json.loads(report)["isa"]
            if chosen != kernels:
                raise program.Unfit(f"{igpt} chose the kernels {chosen} on {cpu}, expected {kernels}")
            found[kernels] = {"cpu": cpu, "executed": classes}
            if mca:
                hot = [loop for loop in loops.find(igpt, functions, blocks, 0.02)
                       if loop.operator == "linear" and loops.macs(loop.assembly)]
                if not hot:
                    raise program.Unfit(f"{igpt} on {cpu}: no inner loop of dot products in the linear layers")
                found[kernels]["inner_loop"] = {
                    "instructions": len(hot[0].assembly), "macs": loops.macs(hot[0].assembly),
                    "cycles": {core: loops.cycles(mca, core, hot[0].assembly) for core in cores}}
    return found


def total(classes):
    """All instructions of {class: n}."""
    return sum(classes.values())


def numbers(kernels):
    """What the gate watches: name and value, smaller is better."""
    for name, entry in kernels.items():
        yield f"{name}: linear layers", total(entry["executed"]["linear"])
        yield f"{name}: whole block", sum(map(total, entry["executed"].values()))
        loop = entry.get("inner_loop")
        if loop:
            for core, cycles in loop["cycles"].items():
                yield f"{name}: inner loop on {core}, cycles for 1000 multiply-accumulates", 1000 * cycles / loop["macs"]


def compare(old, new):
    """Prints what changed; true if nothing got too much worse."""
    old, good = dict(numbers(old)), True
    for name, value in numbers(new):
        before = old.get(name)
        if before is None:
            print(f"{name}: {value:,.6g} is not in the table")
            good = False
            continue
        change = value / before - 1
        verdict = "WORSE" if change > TOLERANCE else "better: tests/arm-cost/run --update" if change < -TOLERANCE else "same"
        good &= change <= TOLERANCE
        print(f"{name}: {before:,.10g} -> {value:,.10g} ({change:+.2%}) {verdict}")
    return good


def million(n):
    """A count for people."""
    return f"{n / 1e6:.1f}"


def render(table):
    """The table as Markdown."""
    out = [f"Compiled by {table['compiler']}. Millions of executed instructions; the last column divides",
           "them by what the multiply-accumulates alone would need.", "",
           "| kernels (QEMU's processor) | part | dot products | loads, stores | other SIMD | scalar | all | of the ideal |",
           "|---|---|--:|--:|--:|--:|--:|--:|"]
    for name, entry in table["kernels"].items():
        ideal = KERNELS[name][1]
        executed = entry["executed"]
        whole = {c: sum(part[c] for part in executed.values()) for c in counting.CLASSES}
        parts = {"linear layers": (executed["linear"], checkpoint.LINEAR_MACS),
                 "attention": (executed["attention"], checkpoint.ATTENTION_MACS),
                 "norm, activation, quantisation": (executed["rows"], None),
                 "whole block": (whole, checkpoint.MACS)}
        for part, (classes, macs) in parts.items():
            ratio = f"{total(classes) / (macs / ideal):.2f}" if macs else ""
            cells = " | ".join(million(classes[c]) for c in counting.CLASSES)
            out.append(f"| {name} ({entry['cpu']}) | {part} | {cells} | {million(total(classes))} | {ratio} |")
    out += ["", "| inner loop | instructions | multiply-accumulates | llvm-mca's model | cycles | of the core's peak |",
            "|---|--:|--:|---|--:|--:|"]
    for name, entry in table["kernels"].items():
        loop = entry["inner_loop"]
        for core, cycles in loop["cycles"].items():
            peak = KERNELS[name][2][core]
            out.append(f"| {name} | {loop['instructions']} | {loop['macs']} | {core} | {cycles:.2f} | "
                       f"{loop['macs'] / cycles / peak:.0%} |")
    out += render_peers(table)
    return "\n".join(out)


def render_peers(table):
    """Lines: the same block by other runtimes, by `peers`, and what ours is of the best of each."""
    peers = table.get("peers")
    if not peers:
        return []
    ours = {name: sum(map(total, entry["executed"].values())) for name, entry in table["kernels"].items()}
    out = ["", "The same block by other runtimes, one thread, millions of executed instructions; what ours is of that:", "",
           "| runtime | " + " | ".join(f"{name} ({entry['cpu']})" for name, entry in table["kernels"].items()) + " |",
           "|---|" + "--:|" * len(ours), "| igpt | " + " | ".join(map(million, ours.values())) + " |"]
    for peer, counts in peers.items():
        cells = (f"{million(total(counts[name]))} ({ours[name] / total(counts[name]):.0%})" for name in ours)
        out.append(f"| {peer} | " + " | ".join(cells) + " |")
    best = {name: min((total(counts[name]), peer) for peer, counts in peers.items()) for name in ours}
    out += ["", "Of the whole block's instructions, dot products, loads and stores, other SIMD, scalar, by the best peer:", ""]
    for name, (_, peer) in best.items():
        out.append(f"- {name}: {', '.join(million(peers[peer][name][c]) for c in counting.CLASSES)} ({peer})")
    return out


def with_table(document, table):
    """The document with its table replaced."""
    before, found, rest = document.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise program.Unfit(f"{DOCUMENT}: the lines {BEGIN!r} and {END!r} are missing")
    return f"{before}{BEGIN}\n{render(table)}\n{END}{after}"


def write(table):
    """Writes the table and its copy for people."""
    TABLE.write_text(json.dumps(table, indent=1) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(), table))
    print(f"wrote {TABLE} and {DOCUMENT}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("igpt", help="the aarch64 program")
    parser.add_argument("--compiler", required=True, help="what built it, for the record")
    parser.add_argument("--mca", help="llvm-mca; without it the inner loops are not scheduled")
    parser.add_argument("--update", action="store_true", help="write the table and its copy in docs/arm.md")
    args = parser.parse_args()
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {"kernels": {}}
    kernels = measure(args.igpt, args.mca)
    good = compare(table["kernels"], kernels)
    if args.update:
        if not args.mca:
            raise program.Unfit("--update needs llvm-mca")
        table = {"compiler": args.compiler, "kernels": kernels, "peers": table.get("peers", {})}
        write(table)
        return 0
    if table["kernels"] and DOCUMENT.read_text() != with_table(DOCUMENT.read_text(), table):
        print(f"{DOCUMENT} does not show {TABLE}: tests/arm-cost/run --update")
        good = False
    if not good and table.get("compiler") != args.compiler:
        print(f"note: the table is of {table.get('compiler')}, this program of {args.compiler}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (program.Unfit, subprocess.CalledProcessError, OSError) as error:
        print(f"arm-cost: {error}", file=sys.stderr)
        sys.exit(1)
