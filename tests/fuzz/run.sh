#!/usr/bin/env bash
# Fuzzes the targets that are named, or all: builds them, starts from the kept inputs and from those of seeds.py,
# runs each so many times, and says what was covered. What is found lies in tests/fuzz/artifacts.
# usage: tests/fuzz/run.sh [-n RUNS] [-s SEED] [-w WORK] [TARGET]...
#   WORK keeps what is found interesting between runs (default: ~/.cache/igpt-edge/fuzz)
# Needs cargo-fuzz (cargo install cargo-fuzz) and a C++ compiler; a nightly toolchain is not needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export RUSTC_BOOTSTRAP=1 # -Z flags of the sanitizers on the stable compiler
export RUSTC_WRAPPER=$PWD/rustc.sh
unset RUST_BACKTRACE # collecting one for every refusal takes longer than the refusal
runs=10000000 seed=0 work=${XDG_CACHE_HOME:-$HOME/.cache}/igpt-edge/fuzz
while getopts n:s:w: option; do
  case $option in
    n) runs=$OPTARG ;;
    s) seed=$OPTARG ;;
    w) work=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- $(ls fuzz_targets | sed 's/\.rs$//')
# Sanitizers would watch unsafe code of ours, which only the kernels have; overflow and other debug checks are on (-a).
cargo fuzz build --fuzz-dir . -s none -O -a
binaries=target/$(rustc -vV | sed -n 's/^host: //p')/release
for target; do
  mkdir -p "$work/$target" artifacts
  # Longest input in bytes: what the formats need, no more, as long ones are slow and teach little.
  case $target in
    onnx | torch_zip | safetensors) longest=16384 ;;
    session) longest=32 ;; # four edits
    *) longest=2048 ;;
  esac
  log=$work/$target.log
  "$binaries/$target" -runs="$runs" -seed="$seed" -max_len=$longest -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="artifacts/$target-" -print_final_stats=1 "$work/$target" "corpus/$target" >"$log" 2>&1 ||
    echo "$target: found something, see $log"
  covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
  echo "$target: $(sed -n 's/stat::number_of_executed_units: *//p' "$log") runs, $covered edges"
done
