#!/usr/bin/env bash
# Builds the release programs for 64-bit ARM Linux: igpt-cam and igpt. On Debian 12 it fetches what it needs first;
# with rustup's target (rustup target add aarch64-unknown-linux-gnu) and an aarch64 gcc it works anywhere.
# usage: tests/arm/build.sh [more arguments for cargo build]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/cache.sh"
if ! have_target "$A64" || ! command -v aarch64-linux-gnu-gcc >/dev/null; then "$here/setup.sh"; fi
. "$here/env.sh"

cd "$IGPT_ROOT"
# The whole workspace, because Cargo chooses dependencies' features by what is built: the tests then share this build.
cargo build --release --target "$A64" --workspace --bins "$@"
for name in igpt-cam igpt; do
  program=${CARGO_TARGET_DIR:-$IGPT_ROOT/target}/$A64/release/$name
  echo "$program: $(stat -c %s "$program") bytes"
done
