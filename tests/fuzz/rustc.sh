#!/usr/bin/env bash
shopt -s extglob
# The compiler, for run.sh: leaves libFuzzer's counters and traces out of crates that steer it nowhere. tract's half a
# million counters would be cleared and read around every run, most of a short run's time; the kernels' and the CSV
# automaton's inner loops would spend theirs in traces of comparisons.
case " $* " in
  *" --crate-name tract_onnx "*) ;;
  *" --crate-name tract_"* | *" --crate-name igpt_kernels "* | *" --crate-name csv_core "* | *" --crate-name clap"* | \
    *" --crate-name "@(ndarray|rustfft|erased_serde|smallvec|hashbrown|indexmap|nom|regex_automata|aho_corasick)" "*)
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
