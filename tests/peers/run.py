"""Measures igpt beside its peers on one machine in one run, and writes the tables of docs/performance.md.

    cargo build --release --workspace && pip install -r tests/peers/requirements.txt
    python tests/peers/run.py                  # about ten minutes; the machine should have nothing else to do

Every contender is a process of its own that stays loaded; they take turns, round after round, so that a disturbance hits all alike.
The same machine's integer peak and memory bandwidth are measured in the same run by `igpt bench`. A peer that is missing is skipped,
by name. The tables go between the markers of the document; --no-write prints them instead.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", PYTHONWARNINGS="ignore",
                  HF_HUB_DISABLE_PROGRESS_BARS="1", TQDM_DISABLE="1")

import models  # noqa: E402
from contender import CONTEXT, NEW  # noqa: E402


def say(text):
    print(f"[{time.perf_counter() - BEGAN:5.0f} s] {text}", file=sys.stderr, flush=True)


class Contender:
    """A loaded model in a child process."""

    def __init__(self, name, command):
        self.name, self.times, self.error = name, [], None
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE)
        try:
            self.ready = json.loads(self.process.stdout.readline())
        except ValueError:
            self.process.wait()
            lines = self.process.stderr.read().strip().splitlines()
            self.error = lines[-1] if lines else f"exit code {self.process.returncode}"

    def run(self):
        # A pool that spins for a while after its run must not take the next contender's cores.
        time.sleep(0.1)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.times.append(float(self.process.stdout.readline()))

    def close(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
        self.memory = peak - self.ready.get("before", 0)
        self.process.stdin.close()
        self.process.wait()


def contenders(folder, igpt, native, threads):
    """Name and command of each, ours first. The name says what is run, and on which file."""
    def python(kind, model):
        return [sys.executable, HERE / "contender.py", kind, folder / model, threads]

    def rust(runtime, model):
        return [native, runtime, folder / model, threads, models.TOKENS, models.COLORS]

    forward = {
        "igpt int8": [igpt, "bench", folder / "ours.onnx", "--step", "--threads", threads],
        "onnxruntime int8, fused by hand (GroupQueryAttention)": python("onnxruntime", "fused-gqa-int8.onnx"),
        "onnxruntime int8, fused by hand (MultiHeadAttention)": python("onnxruntime", "fused-mha-int8.onnx"),
        "onnxruntime int8 per channel, as exported": python("onnxruntime", "int8-channel.onnx"),
        "onnxruntime int8 per tensor, as exported": python("onnxruntime", "int8-tensor.onnx"),
        "onnxruntime f32, fused by hand": python("onnxruntime", "fused-gqa-f32.onnx"),
        "onnxruntime f32, as exported": python("onnxruntime", "f32.onnx"),
        "rten int8, fused by hand (MultiHeadAttention)": rust("rten", "fused-mha-int8.onnx"),
        "rten int8 per channel, as exported": rust("rten", "int8-channel.onnx"),
        "rten f32, as exported": rust("rten", "f32.onnx"),
        "tract int8 per channel, as exported": rust("tract", "int8-channel.onnx"),
        "tract int8 per tensor, as exported": rust("tract", "int8-tensor.onnx"),
        "tract f32, as exported": rust("tract", "f32.onnx"),
        "PyTorch bf16": python("torch-bf16", "clf"),
        "PyTorch f32": python("torch-f32", "clf"),
    }
    def generate(model):
        return [igpt, "bench", folder / model, "--step", "--threads", threads, "--generate", "--context", CONTEXT, "--new-tokens", NEW]

    generation = {
        "igpt int8": generate("ours-lm.onnx"),
        "igpt int4": generate("ours-lm-int4.onnx"),
        "onnxruntime int8, fused by hand, keys and values in place": python("onnxruntime-generate", "decoder-int8.onnx"),
        "onnxruntime f32, fused by hand, keys and values in place": python("onnxruntime-generate", "decoder-f32.onnx"),
        "onnxruntime int8 per channel, as exported, with past": python("onnxruntime-generate-past", "past-int8-channel.onnx"),
        "onnxruntime f32, as exported, with past": python("onnxruntime-generate-past", "past-f32.onnx"),
        "transformers f32": python("torch-f32-generate", "lm"),
    }
    return forward, generation


def measure(group, rounds, deadline, skipped):
    """Starts all, lets them take turns, at least twice and then until the deadline, and gives those that ran."""
    running = []
    for name, command in group.items():
        contender = Contender(name, command) if Path(command[0]).exists() else None
        if contender is None or contender.error:
            skipped[name] = contender.error if contender else f"{command[0]} is not built"
            say(f"skipped {name}: {skipped[name]}")
        else:
            running.append(contender)
    for number in range(rounds):
        if number >= 2 and time.perf_counter() - BEGAN > deadline:
            say("no time for more rounds: is the machine idle?")
            break
        say(f"round {number + 1} of {rounds}, {len(running)} contenders")
        for contender in running:
            contender.run()
    for contender in running:
        contender.close()
    return {contender.name: contender for contender in running}


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def forward_table(by_threads, floors, digits=0):
    most = max(by_threads)
    ours, reference = by_threads[most]["igpt int8"], by_threads[most].get("PyTorch f32")
    heads = [f"{n} thread{'s' * (n > 1)}, ms: median (min)" for n in by_threads]
    lines = ["| runtime | " + " | ".join(heads) + f" | times ours, {most} thread{'s' * (most > 1)} | memory MiB | load s | logits' cosine |",
             "|---" * (len(heads) + 5) + "|",
             "| *floor: every multiply-accumulate at the integer peak* | "
             + " | ".join(f"*{floors[n] * 1e3:.{digits}f}*" for n in by_threads) + " | | | | |"]
    for name, contender in by_threads[most].items():
        cells = []
        for runs in by_threads.values():
            times = [t * 1e3 for t in runs[name].times] if name in runs else []
            cells.append(f"{statistics.median(times):.{digits}f} ({min(times):.{digits}f})" if times else "-")
        ratio = statistics.median(contender.times) / statistics.median(ours.times)
        same = f"{cosine(contender.ready['logits'], reference.ready['logits']):.5f}" if reference else "-"
        lines.append(f"| {name} | " + " | ".join(cells)
                     + f" | {ratio:.2f} | {contender.memory:.0f} | {contender.ready['load']:.2f} | {same} |")
    return lines


def generation_table(by_threads, bounds):
    heads = [f"{n} thread{'s' * (n > 1)}, tokens/s: median (best)" for n in by_threads]
    lines = ["| runtime | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|",
             "| *bound of int8: weights, keys and values read once a token* | "
             + " | ".join(f"*{bounds[n]:.0f}*" for n in by_threads) + " |"]
    for name in by_threads[max(by_threads)]:
        rates = [[NEW / t for t in runs[name].times] if name in runs else [] for runs in by_threads.values()]
        lines.append(f"| {name} | " + " | ".join(f"{statistics.median(r):.0f} ({max(r):.0f})" if r else "-"
                                                 for r in rates) + " |")
    return lines


def profile_table(report):
    lines = []
    for timing in report["timings"]:
        profile = timing["profile"]
        lines += [f"{timing['threads']} thread{'s' * (timing['threads'] > 1)}: {timing['median'] * 1e3:.1f} ms (min "
                  f"{timing['min'] * 1e3:.1f}), {timing['fraction_of_peak']:.1%} of the peak of "
                  f"{timing['peak_gmac_per_s']:.0f} GMAC/s (fastest run {timing['best_fraction_of_peak']:.1%}); the tile alone "
                  f"reaches {timing['tile_gmac_per_s'] / timing['peak_gmac_per_s']:.1%}; "
                  f"{timing['page_faults_per_run']:.1f} page faults a run.", "",
                  "| operator | thread-ms | share | of one thread's peak |", "|---|---|---|---|"]
        for o in profile["operators"]:
            peak = f"{o['fraction_of_peak']:.1%}" if o["fraction_of_peak"] is not None else ""
            lines.append(f"| {o['name']} | {o['seconds'] * 1e3:.2f} | {o['share']:.1%} | {peak} |")
        lines += [f"| waiting and the rest | {profile['other'] * 1e3:.2f} | {profile['other'] / profile['total']:.1%} | |", ""]
    return lines


def bench_table(report):
    lines = ["| threads | samples | context | tokens/s | of the bound | which is |", "|---|---|---|---|---|---|"]
    for g in report["generation"]:
        lines.append(f"| {g['threads']} | {g['samples']} | {g['context']} | {g['tokens_per_s']:.0f} "
                     f"| {g['fraction_of_bound']:.0%} | {g['bound_by']} |")
    return lines


def sizes_table(reports):
    """Blocks of other sizes, cut short, as they are all alike."""
    lines = ["| size | blocks timed | threads | ms a block: median (min) | of the peak (fastest run) |", "|---|---|---|---|---|"]
    for size, report in reports.items():
        layers = report["model"]["n_layer"]
        for t in report["timings"]:
            lines.append(f"| {size} | {layers} | {t['threads']} | {t['median'] * 1e3 / layers:.1f} ({t['min'] * 1e3 / layers:.1f}) "
                         f"| {t['fraction_of_peak']:.1%} ({t['best_fraction_of_peak']:.1%}) |")
    return lines


def versions():
    found = [subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)]
    found = [f"igpt at {found[0].stdout.strip() or 'an unknown commit'}"]
    lock = (HERE / "native/Cargo.lock").read_text().split("[[package]]")
    for package in ("rten", "tract-onnx"):
        found += [f"{package} {part.split('version = ')[1].split(chr(34))[1]}" for part in lock
                  if f'name = "{package}"\n' in part]
    for package in ("onnxruntime", "torch", "transformers"):
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} missing")
    return ", ".join([*found, f"Python {platform.python_version()}", f"Linux {platform.release().split('-')[0]}"])


def machine(report):
    flags = Path("/proc/cpuinfo").read_text()
    extensions = [flag for flag in ("avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "asimddp", "i8mm")
                  if flag in flags.split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{report['machine']['processor']}, {report['machine']['cores']} cores, {memory:.0f} GiB "
            f"({', '.join(extensions)})")


def write(document, marker, lines):
    text = document.read_text()
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    document.write_text(head + begin + "\n\n" + "\n".join(lines).strip() + "\n\n" + end + tail)


def build_native(program):
    if not program.exists():
        say("building rten and tract, once")
        subprocess.run(["cargo", "build", "--quiet", "--release", "--locked"], cwd=HERE / "native",
                       env={**os.environ, "CARGO_TARGET_DIR": str(HERE / "native/target")})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--igpt", type=Path, default=target / "release/igpt", help="the program to measure")
    parser.add_argument("--native", type=Path, default=HERE / "native/target/release/igpt-peers",
                        help="rten and tract: built from native/ if it is not there")
    parser.add_argument("--models", type=Path, default=target / "peers", help="where the models are made, once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10, help="start no further round after about so long")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", help="run only contenders with this in their name, and igpt")
    parser.add_argument("--document", type=Path, default=ROOT / "docs/performance.md", help="whose marked parts are written")
    parser.add_argument("--no-write", action="store_true", help="print the tables, leave the document alone")
    args = parser.parse_args()
    if not args.igpt.exists():
        sys.exit(f"{args.igpt} is not there: cargo build --release --workspace, or --igpt")
    build_native(args.native)
    models.make(args.models, say)
    for checkpoint, file, weights in (("clf", "ours.onnx", "int8"), ("lm", "ours-lm.onnx", "int8"), ("lm", "ours-lm-int4.onnx", "int4")):
        # Always anew: it is ours that changes from one run to the next.
        subprocess.run([args.igpt, "quantize", args.models / checkpoint, "-o", args.models / file, "--dtype", weights], check=True,
                       stdout=subprocess.DEVNULL)

    forward, generation, skipped = {}, {}, {}
    for part, threads in enumerate(args.threads, 1):
        deadline = args.minutes * 60 * part / len(args.threads)
        say(f"{threads} thread(s)")
        groups = contenders(args.models, args.igpt, args.native, threads)
        groups = [{name: command for name, command in group.items()
                   if not args.only or args.only in name or name.startswith("igpt")} for group in groups]
        forward[threads] = measure(groups[0], args.rounds, deadline * 0.8, skipped)
        generation[threads] = measure(groups[1], args.rounds, deadline * 0.9, skipped)
        if "igpt int8" in skipped:
            sys.exit(f"igpt does not run: {skipped['igpt int8']}")

    say("peaks, profile")
    sweep = ",".join(str(n) for n in args.threads)

    def bench(*what):
        command = [args.igpt, "bench", "--json", "--threads", sweep, *what]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    report = bench(args.models / "ours.onnx", "--runs", "10")
    language = bench(args.models / "ours-lm.onnx", "--runs", "1", "--context", f"64,{CONTEXT},960")
    sizes = {f"ImageGPT-{size}": bench("--size", size, "--layers", layers, "--runs", "5")
             for size, layers in (("medium", "6"), ("large", "4"))}
    gmac = report["model"]["linear_gmac"] + report["model"]["attention_gmac"]
    floors = {t["threads"]: gmac / t["peak_gmac_per_s"] for t in report["timings"]}
    bounds = {g["threads"]: g["bound_tokens_per_s"] for g in language["generation"]
              if g["context"] == CONTEXT and g["samples"] == 1}
    fewest = min(len(c.times) for runs in (*forward.values(), *generation.values()) for c in runs.values())
    rates = "; ".join(f"{t['threads']} thread{'s' * (t['threads'] > 1)} {t['peak_gmac_per_s']:.0f} GMAC/s, "
                      f"{t['memory_gb_per_s']:.1f} GB/s" for t in report["timings"])
    peers = [f"{time.strftime('%Y-%m-%d', time.gmtime())}; {machine(report)}; {versions()}; {fewest} rounds.",
             f"Peak of {report['machine']['isa']}'s dot products on registers, and memory bandwidth: {rates}.", "",
             *forward_table(forward, floors), "",
             f"Generation, {NEW} tokens one at a time after {CONTEXT}:", "", *generation_table(generation, bounds)]
    if skipped:
        peers += ["", "Skipped: " + "; ".join(f"{name} ({why})" for name, why in skipped.items()) + "."]
    for marker, lines in (("peers", peers), ("profile", profile_table(report)), ("generation", bench_table(language)),
                          ("sizes", sizes_table(sizes))):
        if args.no_write:
            print("\n".join(lines), "\n")
        else:
            write(args.document, marker, lines)
    say(f"done, {'printed' if args.no_write else args.document}")


BEGAN = time.perf_counter()
if __name__ == "__main__":
    main()
