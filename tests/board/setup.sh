#!/usr/bin/env bash
# Gets what the emulated Raspberry Pi 3 needs: QEMU's system emulator, the device tree tools, Debian's arm64 kernel
# with its modules and a static busybox. Idempotent; prints one line each. usage: tests/board/setup.sh
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../arm/cache.sh"

"$IGPT_ARM_DIR/setup.sh"
apt_install qemu-system-arm device-tree-compiler
echo "board emulator: $(qemu-system-aarch64 --version | head -n 1)"

if ! compgen -G "$IGPT_BOARD/kernel/boot/vmlinuz-*" >/dev/null; then
  apt_prepare linux-image-arm64:arm64
  # linux-image-arm64 is an empty package that depends on the kernel of the day.
  kernel=$(apt-cache depends linux-image-arm64:arm64 | sed -nE 's/^ *Depends: (linux-image-[^ :]*)(:arm64)?$/\1/p' | head -n 1)
  apt_unpack "$IGPT_BOARD/kernel" "$kernel:arm64"
fi
echo "board kernel: $(basename "$IGPT_BOARD"/kernel/boot/vmlinuz-*)"

[ -x "$IGPT_BOARD/busybox/bin/busybox" ] || apt_unpack "$IGPT_BOARD/busybox" busybox-static:arm64
echo "board userland: busybox in $IGPT_BOARD/busybox"
