#!/usr/bin/env bash
# Proves that the firmware's core and the kernels need no operating system: both compile for a Cortex-M with an FPU
# and for 64-bit ARM bare metal. With rustup's targets it is a plain build; without, Debian's compiler builds core
# from the library sources that setup.sh unpacked.
# usage: tests/arm/nostd.sh [TARGET]...      default: thumbv7em-none-eabihf aarch64-unknown-none
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/cache.sh"

[ $# -gt 0 ] || set -- thumbv7em-none-eabihf aarch64-unknown-none
cd "$IGPT_ROOT"
for target; do
  (
    options=()
    if ! have_target "$target"; then
      [ -x "$IGPT_DEBIAN_RUST/usr/bin/rustc" ] || die "no $target: run rustup target add $target, or tests/arm/setup.sh"
      IGPT_FORCE_DEBIAN=1
      . "$here/env.sh"
      # Building core is a feature of nightly compilers; this variable lets Debian's do it too.
      export RUSTC_BOOTSTRAP=1
      options=("-Zbuild-std=core,alloc")
    fi
    echo "--- no_std on $target"
    cargo build --release --lib --no-default-features --target "$target" "${options[@]}" -p igpt-kernels -p igpt-firmware-core
  )
done
