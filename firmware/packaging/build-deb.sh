#!/usr/bin/env bash
# Builds igpt-cam for 64-bit ARM and packages it, with its model, settings and systemd unit, as a Debian package.
# Needs cargo-deb (cargo install cargo-deb). usage: firmware/packaging/build-deb.sh
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/tests/arm/cache.sh"
command -v cargo-deb >/dev/null || die "cargo-deb is missing: run cargo install --locked cargo-deb"
"$root/tests/arm/build.sh"
. "$root/tests/arm/env.sh"

cd "$root"
built=${CARGO_TARGET_DIR:-target}/$A64/release
mkdir -p "$built/packaged"
# Without symbols, but for those of log points, which defmt-print looks up in the program.
aarch64-linux-gnu-objcopy --wildcard --strip-all --keep-symbol='{*' --keep-symbol='_defmt_*' --keep-symbol='__DEFMT_MARKER_*' \
  "$built/igpt-cam" "$built/packaged/igpt-cam"
aarch64-linux-gnu-nm "$built/packaged/igpt-cam" | grep '"tag":"defmt_info"' >/dev/null || die "the packaged igpt-cam has lost its log points"
echo "$built/packaged/igpt-cam: $(stat -c %s "$built/packaged/igpt-cam") bytes"
package=$(cargo deb --package igpt-firmware --target "$A64" --no-build --no-strip)
echo "$package: $(stat -c %s "$package") bytes"
dpkg-deb --info "$package"
dpkg-deb --contents "$package"
