#!/usr/bin/env bash
# Says what this machine lacks for the emulated board, one thing a line; nothing when it is ready. Changes nothing.
# What is missing: tests/board/setup.sh gets it on Debian 12. usage: tests/board/missing.sh
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../arm/cache.sh"

for command in aarch64-linux-gnu-gcc qemu-system-aarch64 fdtput python3; do
  command -v "$command" >/dev/null || echo "the command $command"
done
have_target "$A64" || [ -x "$IGPT_DEBIAN_RUST/usr/bin/rustc" ] || echo "a Rust standard library for $A64"
compgen -G "$IGPT_BOARD/kernel/boot/vmlinuz-*" >/dev/null || echo "an arm64 Linux kernel"
[ -x "$IGPT_BOARD/busybox/bin/busybox" ] || echo "busybox for arm64"
