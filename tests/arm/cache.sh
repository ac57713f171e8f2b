# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this use the names
# Where the ARM tooling keeps what it downloads, and how it reaches Debian's package archive. Sourced by the others.
#
# Everything unpacked lives in one folder outside the repository, so a fresh clone finds it again:
#   IGPT_CACHE, or $XDG_CACHE_HOME/igpt-edge, or ~/.cache/igpt-edge
IGPT_CACHE=${IGPT_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/igpt-edge}
IGPT_ARM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
IGPT_ROOT=$(cd "$IGPT_ARM_DIR/../.." && pwd)
IGPT_DEBIAN_RUST=$IGPT_CACHE/rust-debian
IGPT_BOARD=$IGPT_CACHE/board
A64=aarch64-unknown-linux-gnu

# die MESSAGE: what is wrong and how to fix it.
die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# have_target TRIPLE: does the rustc that the user already has bring this target's standard library?
have_target() {
  [ -n "$(find "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/$1/lib" -name 'libcore-*.rlib' 2>/dev/null | head -n 1)" ]
}

# apt_has PACKAGE...: can this machine's package lists offer all of them?
apt_has() {
  local p
  for p; do
    [ -n "$(apt-cache show --no-all-versions "$p" 2>/dev/null)" ] || return 1
  done
}

# apt_prepare PACKAGE...: make the lists offer them (arm64 packages need the foreign architecture).
apt_prepare() {
  apt_has "$@" && return
  [ "$(id -u)" = 0 ] || die "Debian's package lists lack one of: $*. Run: sudo dpkg --add-architecture arm64 && sudo apt-get update"
  dpkg --add-architecture arm64
  apt-get -qq update
  apt_has "$@" || die "no package source of this machine has all of: $* (Debian 12 with bookworm-security does)"
}

# apt_install PACKAGE...: installed for the system, if they are not yet.
apt_install() {
  local p missing=()
  for p; do
    dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done
  [ ${#missing[@]} = 0 ] && return
  [ "$(id -u)" = 0 ] || die "missing Debian packages. Run: sudo apt-get install ${missing[*]}"
  apt_prepare "${missing[@]}"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
    install "${missing[@]}" >/dev/null
}

# apt_unpack FOLDER PACKAGE...: downloaded and unpacked, not installed (some would conflict with rustup, some are for arm64).
# A half unpacked folder is never left behind under its final name.
apt_unpack() {
  local to=$1 tmp deb
  shift
  apt_prepare "$@"
  tmp=$(mktemp -d)
  (cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$@")
  rm -rf "$to.part"
  mkdir -p "$to.part"
  for deb in "$tmp"/*.deb; do dpkg -x "$deb" "$to.part"; done
  rm -rf "$tmp" "$to"
  mv "$to.part" "$to"
}
