# shellcheck shell=bash
# Source me (bash): after this, an ordinary `cargo build|test --target aarch64-unknown-linux-gnu` works, tests run under QEMU.
#
# The compiler is rustup's if it has the target; else Debian's, unpacked by setup.sh. Two compiler versions must not share
# a target folder (they would rebuild each other's work for ever), so Debian's gets its own, unless CARGO_TARGET_DIR is set.
# IGPT_QEMU_CPU chooses the emulated processor: cortex-a72 (no dotprod), cortex-a76 (dotprod), max (also i8mm).
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
export IGPT_CACHE IGPT_DEBIAN_RUST

if have_target "$A64" && [ -z "${IGPT_FORCE_DEBIAN:-}" ]; then
  export IGPT_RUST=rustup
else
  export IGPT_RUST=debian
  export RUSTC=$IGPT_ARM_DIR/rustc-debian
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$IGPT_ROOT/target/debian}
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu ${IGPT_QEMU_CPU:-max}"
