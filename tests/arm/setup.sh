#!/usr/bin/env bash
# Gets this Debian 12 machine ready to build for aarch64 and to run the result: cross compiler, C library, QEMU and,
# unless rustup's own aarch64 target is there already, the aarch64 standard library from Debian's rustc packages.
# Run it as often as you like: what is there stays. usage: tests/arm/setup.sh
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

# depends_of PACKAGE REGEX: the one dependency of PACKAGE that matches.
depends_of() {
  apt-cache depends --no-recommends --no-suggests "$1" | sed -nE "s/^ *Depends: ($2)\$/\1/p" | head -n 1
}

command -v apt-get >/dev/null || die "this script needs Debian's apt; elsewhere: rustup target add $A64, a gcc for aarch64, qemu-user"
mkdir -p "$IGPT_CACHE"

apt_install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
echo "cross compiler: $(aarch64-linux-gnu-gcc -dumpfullversion)"
echo "emulator: $(qemu-aarch64 --version | head -n 1)"

if have_target "$A64"; then
  echo "standard library: $(rustc --version), rustup's target $A64"
  exit
fi
if [ ! -x "$IGPT_DEBIAN_RUST/usr/bin/rustc" ]; then
  apt_prepare rustc-web libstd-rust-web-dev:arm64
  # The compiler's shared libraries carry version numbers in their packages' names: dependencies tell which ones it wants.
  std=$(depends_of libstd-rust-web-dev 'libstd-rust-web-[0-9.]+')
  llvm=$(depends_of "$std" 'libllvm[0-9]+')
  apt_unpack "$IGPT_DEBIAN_RUST" rustc-web libstd-rust-web-dev libstd-rust-web-dev:arm64 rust-web-src "$std" "$llvm"
fi
version=$("$IGPT_ARM_DIR/rustc-debian" --version) ||
  die "the compiler in $IGPT_DEBIAN_RUST does not start; remove that folder and run this again"
echo "standard library: $version, Debian's, in $IGPT_DEBIAN_RUST"
