#!/usr/bin/env bash
# The kernel, runtime and golden tests for aarch64, built once and run under QEMU once for each processor named:
# an instruction that a processor lacks dies with SIGILL there, so a wrong choice of kernels cannot hide.
# usage: tests/arm/run-tests.sh [CPU]...      default: cortex-a72 (NEON) cortex-a76 (dotprod) max (i8mm)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/env.sh"

[ $# -gt 0 ] || set -- cortex-a72 cortex-a76 max
command -v qemu-aarch64 >/dev/null || die "qemu-aarch64 is missing: run tests/arm/setup.sh"
cd "$IGPT_ROOT"
# Built as one workspace, like the programs in build.sh: with fewer packages Cargo would choose other features and build
# tract a second time. No doc tests: they would want a rustdoc of Debian's version, and run natively anyway.
cargo test --workspace --release --target "$A64" --tests --no-run
programs=$(cargo test --workspace --release --target "$A64" --tests --no-run --quiet --message-format=json |
  "$here/test_programs.py" igpt-kernels igpt-runtime igpt-tests)
[ -n "$programs" ] || die "cargo built no test program for igpt-kernels, igpt-runtime and igpt-tests"

failed=0
for cpu; do
  start=$SECONDS
  while IFS=$'\t' read -r folder program; do
    echo "--- $cpu: $(basename "$program")"
    # As `cargo test` does it: in the package's folder. All run, so that one log tells everything.
    (cd "$folder" && CARGO_MANIFEST_DIR=$folder qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$cpu" "$program" </dev/null) ||
      { echo "FAILED on $cpu: $program" && failed=1; }
  done <<<"$programs"
  echo "--- $cpu: $((SECONDS - start)) s"
done
exit $failed
