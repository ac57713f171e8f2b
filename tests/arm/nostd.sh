#!/usr/bin/env bash
# Proves that the firmware's core and the kernels need no operating system. Both are compiled for a Cortex-M with an FPU
# and for 64-bit ARM bare metal; then the core's example `camera` runs under QEMU on a board of each and on this PC:
# what it prints (verdicts, checksums of every probability and picture) and what it logs with defmt must be the same.
# With rustup's targets it is a plain build; without, Debian's compiler builds core from the library sources that
# setup.sh unpacked. Needs qemu-system-arm (tests/board/setup.sh gets it) and defmt-print (cargo install defmt-print).
# usage: tests/arm/nostd.sh [TARGET]...      default: thumbv7em-none-eabihf aarch64-unknown-none
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/cache.sh"
PATH=$IGPT_CACHE/tools/bin:$PATH

[ $# -gt 0 ] || set -- thumbv7em-none-eabihf aarch64-unknown-none
for needed in qemu-system-arm qemu-system-aarch64; do
  command -v "$needed" >/dev/null || die "$needed is missing: run tests/board/setup.sh, or install qemu-system-arm"
done
command -v defmt-print >/dev/null || die "defmt-print is missing: run cargo install --locked defmt-print"
cd "$IGPT_ROOT"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# decode PROGRAM NAME: the log as text.
decode() {
  defmt-print -e "$1" <"$out/$2.defmt" >"$out/$2.log"
  [ -s "$out/$2.log" ] || die "$2 logged nothing"
}

# run_board TARGET PROGRAM NAME: prints go to standard output by semihosting, the log to the first serial port.
run_board() {
  local qemu options
  case $1 in
    thumbv7em-none-eabihf) qemu=qemu-system-arm options=(-M mps2-an386) ;;
    aarch64-unknown-none) qemu=qemu-system-aarch64 options=(-M virt -cpu cortex-a53 -nic none) ;;
    *) die "no board for $1: thumbv7em-none-eabihf and aarch64-unknown-none have one" ;;
  esac
  timeout 120 "$qemu" "${options[@]}" -display none -monitor none -serial "file:$out/$3.defmt" \
    -semihosting-config enable=on,target=native -kernel "$2" >"$out/$3.txt"
}

# same NAME: as on the PC?
same() {
  diff "$out/pc.txt" "$out/$1.txt" || die "$1 prints something else than this PC (above)"
  diff "$out/pc.log" "$out/$1.log" || die "$1 logs something else than this PC (above)"
  echo "$1: $(wc -l <"$out/$1.txt") lines and $(wc -l <"$out/$1.log") log points as on this PC"
}

cargo build --release -p igpt-firmware-core --example camera
program=${CARGO_TARGET_DIR:-target}/release/examples/camera
"$program" "$out/pc.defmt" >"$out/pc.txt"
decode "$program" pc
tail -n 3 "$out/pc.txt" "$out/pc.log"

for target; do
  (
    options=()
    if ! have_target "$target"; then
      [ -x "$IGPT_DEBIAN_RUST/usr/bin/rustc" ] || die "no $target: run rustup target add $target, or tests/arm/setup.sh"
      # Debian's compiler brings no linker for bare metal; rustup's does for every target.
      name=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")_LINKER
      linker=$(find "$(rustc --print sysroot)/lib/rustlib" -path '*/bin/rust-lld' | head -n 1)
      export "$name=${linker:-rust-lld}"
      IGPT_FORCE_DEBIAN=1
      . "$here/env.sh"
      # Building core is a feature of nightly compilers; this variable lets Debian's do it too. The build scripts of
      # proc-macro2, anyhow and others run again when it changes, and all that depends on them is built again: hence a
      # target folder of its own, or the steps before and after would build tract twice.
      export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$CARGO_TARGET_DIR/bootstrap
      options=("-Zbuild-std=core,alloc")
    fi
    echo "--- no_std on $target"
    cargo build --release --lib --no-default-features --target "$target" "${options[@]}" -p igpt-kernels -p igpt-firmware-core
    cargo build --release --example camera --target "$target" "${options[@]}" -p igpt-firmware-core
    program=${CARGO_TARGET_DIR:-target}/$target/release/examples/camera
    run_board "$target" "$program" "$target" || die "$target: the example failed: $(cat "$out/$target.txt")"
    decode "$program" "$target"
    same "$target"
  )
done
