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
# Not stripped: defmt-print looks log points up in the program's symbols.
package=$(cargo deb --package igpt-firmware --target "$A64" --no-build --no-strip)
echo "$package: $(stat -c %s "$package") bytes"
dpkg-deb --info "$package"
dpkg-deb --contents "$package"
