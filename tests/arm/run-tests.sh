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
# No doc tests: they would want a rustdoc of the same version as Debian's compiler, and run natively anyway.
tests=(cargo test --release --target "$A64" -p igpt-kernels -p igpt-runtime -p igpt-tests --tests)
"${tests[@]}" --no-run
for cpu; do
  echo "--- aarch64 tests on $cpu"
  start=$SECONDS
  IGPT_QEMU_CPU=$cpu
  . "$here/env.sh"
  "${tests[@]}"
  echo "--- $cpu: $((SECONDS - start)) s"
done
