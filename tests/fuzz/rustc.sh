#!/usr/bin/env bash
# The compiler, for run.sh: leaves libFuzzer's counters and traces out of crates that steer it nowhere. tract's half a
# million counters would be cleared and read around every run, most of a short run's time; the kernels' and the CSV
# automaton's inner loops would spend theirs in traces of comparisons.
crate=
previous=
for argument; do
  [ "$previous" != --crate-name ] || crate=$argument
  previous=$argument
done
case $crate in
  tract_onnx) ;;
  tract_* | igpt_kernels | csv_core | clap* | ndarray | rustfft | erased_serde | smallvec | hashbrown | indexmap | nom | \
    regex_automata | aho_corasick)
    plain=()
    for argument; do
      case $argument in
        -Cpasses=sancov* | -Cllvm-args=-sanitizer-coverage*) ;;
        *) plain+=("$argument") ;;
      esac
    done
    exec "${plain[@]}"
    ;;
esac
exec "$@"
