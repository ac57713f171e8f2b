#!/usr/bin/env bash
# Every picture and measured table of docs/ and models/: its command, its inputs, and whether it is of today's inputs.
#
# usage: docs/pictures.sh [NAME]...          makes these (default: all that igpt draws), notes what they are made of
#        docs/pictures.sh --check            names each that is not of today's inputs, and exits with 1 (bash and sha256sum only)
#        docs/pictures.sh --accept NAME...   notes today's inputs without making it: for a change that cannot matter to it
#        docs/pictures.sh --list             says for each what it is made by and of
#
# IGPT and IGPT_CAM name built programs (default: cargo run --release), PYTHON one with models/recipe/requirements.txt,
# FASHION_MNIST the data set's folder (Debian: dataset-fashion-mnist). The notes are docs/pictures.sha256: for every
# picture its own hash and those of its inputs, as sha256sum writes them.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

notes=docs/pictures.sha256
clf=models/fashion-mnist/clf lm=models/fashion-mnist/lm sample=models/fashion-mnist/sample
int8=models/fashion-mnist/igpt-fashion-mnist-int8.onnx mit=models/fashion-mnist/mit-fashion-mnist-int8.onnx
data=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
python=${PYTHON:-python3}
# What is drawn by programs of this repository alone comes first: no NAME means these.
drawn=(docs/complete.png models/fashion-mnist/frame.png docs/confusion.svg)
others=(models/fashion-mnist/{completions,probe,training}.png
  models/fashion-mnist/{evaluation,evaluation-int8,evaluation-onnxruntime-int8,probe}.json)
# One of each: shoe, pullover, trousers, sandal, bag.
completed=("$sample"/00{00-ankle-boot,01-pullover,02-trouser,08-sandal,30-bag}.png)

igpt() { if [ -n "${IGPT:-}" ]; then "$IGPT" "$@"; else cargo run --quiet --release -p igpt-tools -- "$@"; fi; }
igpt-cam() { if [ -n "${IGPT_CAM:-}" ]; then "$IGPT_CAM" "$@"; else cargo run --quiet --release -- "$@"; fi; }

# The command of a picture; with `say` before it, it is printed instead of run.
make() {
  local say=${2:-} scratch
  case $1 in
    docs/complete.png)
      $say igpt complete "$lm" "${completed[@]}" -n 6 -o "$1" ;;
    models/fashion-mnist/frame.png)
      scratch=$(folder "$say")
      # The tenth of a stream: its time and rate are those of the machine that drew it.
      $say igpt-cam --source "$sample" --frames 10 --sink "$scratch/frames"
      $say cp "$scratch/frames/000009-Sneaker.png" "$1" ;;
    docs/confusion.svg)
      scratch=$(folder "$say")
      $say igpt eval "$int8" --data "$data" --plots "$scratch/plots"
      $say cp "$scratch/plots/confusion.svg" "$1" ;;
    models/fashion-mnist/completions.png)
      $say "$python" models/recipe/plots.py models/fashion-mnist --lm "$lm" --data "$data" ;;
    models/fashion-mnist/probe.png)
      $say "$python" models/recipe/plots.py models/fashion-mnist --probe models/fashion-mnist/probe.json ;;
    models/fashion-mnist/training.png)
      # Of the runs' curves, which are not in the repository: models/recipe/README.md.
      $say "$python" models/recipe/plots.py models/fashion-mnist --pretrain models/recipe/runs/pre \
        --finetune models/recipe/runs/ft --grid models/recipe/runs/grid --control models/recipe/runs/control ;;
    models/fashion-mnist/evaluation.json)
      $say "$python" models/recipe/evaluate.py "$1" --clf "$clf" --lm "$lm" --data "$data" ;;
    models/fashion-mnist/evaluation-int8.json)
      $say "$python" models/recipe/evaluate_int8.py "$1" --models models/fashion-mnist --data "$data" ;;
    models/fashion-mnist/evaluation-onnxruntime-int8.json)
      scratch=$(folder "$say")
      $say igpt quantize "$clf" --dtype f32 -o "$scratch/f32.onnx"
      $say "$python" models/recipe/onnxruntime_int8.py "$scratch/f32.onnx" "$clf" --data "$data" --output "$1" ;;
    models/fashion-mnist/probe.json)
      $say "$python" models/recipe/probe.py "$1" --lm "$lm" --bfloat16 --train 12000 --data "$data" ;;
    *) echo "$0: $1 is no picture of this list" >&2; exit 2 ;;
  esac
}

# What of the repository a picture is made of. The golden bits stand for all of the runtime: while they are the same, so
# is every number that the models give.
inputs() {
  local recipe=models/recipe bits=tests/golden/default/bits.txt mitbits=tests/golden/default/mit-bits.txt
  case $1 in
    docs/complete.png) echo $bits $lm/*.json $lm/*.safetensors "${completed[@]}" host-tools/src/verbs/complete.rs host-tools/src/pictures.rs ;;
    models/fashion-mnist/frame.png) echo $bits $int8 $sample/000?-*.png $(rust firmware/core/src/overlay{,.rs}) ;;
    docs/confusion.svg) echo $bits $int8 $(rust host-tools/src/charts host-tools/src/charts.rs) ;;
    models/fashion-mnist/completions.png) echo $recipe/{data,plots}.py $lm/*.json $lm/*.safetensors ;;
    models/fashion-mnist/probe.png) echo $recipe/plots.py models/fashion-mnist/probe.json ;;
    models/fashion-mnist/training.png) echo $recipe/{plots,pretrain,finetune,trainer}.py ;;
    models/fashion-mnist/evaluation.json) echo $recipe/{data,evaluate}.py {$clf,$lm}/{config.json,preprocessor_config.json,model.safetensors} ;;
    models/fashion-mnist/evaluation-int8.json) echo $bits $mitbits $int8 $mit $recipe/evaluate_int8.py {$clf,$lm,models/fashion-mnist/mit}/{config.json,preprocessor_config.json,model.safetensors} ;;
    models/fashion-mnist/evaluation-onnxruntime-int8.json) echo $recipe/{data,onnxruntime_int8}.py $clf/{config.json,preprocessor_config.json,model.safetensors} ;;
    models/fashion-mnist/probe.json) echo $recipe/{data,fast,probe}.py $lm/{config.json,preprocessor_config.json,model.safetensors} ;;
  esac
}

# Sources but for their tests.
rust() { find "$@" -name '*.rs' ! -name tests.rs | sort; }

# A folder for what is made on the way, gone at the end; only its name when the command is to be shown.
folder() { if [ -n "$1" ]; then echo SCRATCH; else mktemp -d "$work/XXXXXX"; fi; }

# The lines of a picture as they are now.
now() {
  local input
  echo "# $1"
  for input in "$1" $(inputs "$1"); do
    if [ -f "$input" ]; then sha256sum "$input"; else echo "missing  $input"; fi
  done
}

# The lines of a picture as they were noted.
noted() { awk -v title="# $1" '/^# /{on = ($0 == title)} on' "$notes" 2>/dev/null || true; }

note() { # writes the notes once more, with today's lines of the pictures named
  local name all
  all=$(for name in "${drawn[@]}" "${others[@]}"; do
    if [[ " $* " == *" $name "* ]]; then now "$name"; else noted "$name"; fi
  done)
  printf '%s\n' "$all" >"$notes"
}

check() {
  local name found bad=0
  for name in "${drawn[@]}" "${others[@]}"; do
    # Of a picture's lines those that are new: what has changed, or is used now and was not.
    found=$(comm -13 <(noted "$name" | sort) <(now "$name" | sort) | sed -n 's/^[^# ][^ ]*  */  /p')
    [ -n "$found" ] || found=$(comm -23 <(noted "$name" | sort) <(now "$name" | sort) | sed -n 's/^[^# ][^ ]*  */  no longer used: /p')
    if [ -n "$found" ]; then
      printf '%s is not of today'\''s inputs; changed since it was noted:\n%s\n' "$name" "$found"
      printf '  run docs/pictures.sh %s, look at it and commit it with %s;\n' "$name" "$notes"
      printf '  or docs/pictures.sh --accept %s, if the change cannot matter to it\n' "$name"
      bad=1
    fi
  done
  while IFS= read -r name; do
    if [[ " ${drawn[*]} ${others[*]} " != *" $name "* ]]; then
      echo "$name is a picture that docs/pictures.sh does not know: add its command and its inputs"
      bad=1
    fi
  done < <(find docs models/fashion-mnist -maxdepth 1 \( -name '*.png' -o -name '*.svg' -o -name '*.jpg' -o -name '*.gif' \) | sort)
  return $bad
}

case ${1:-} in
  -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" ;;
  --check) check >&2 ;;
  --list)
    show() { echo "    $*"; }
    for name in "${drawn[@]}" "${others[@]}"; do
      echo "$name"
      make "$name" show
      printf '    of %s\n' "$(inputs "$name")"
    done ;;
  --accept)
    shift
    for name; do make "$name" true; done # refuses what is no picture
    note "$@" ;;
  -*) echo "$0: no option $1: see --help" >&2; exit 2 ;;
  *)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    [ $# -gt 0 ] || set -- "${drawn[@]}"
    for name; do make "$name" true; done
    for name; do
      if [[ $(make "$name" echo) == *"$data"* && ! -d $data ]]; then
        echo "$name: needs $data: install dataset-fashion-mnist, or set FASHION_MNIST; it stays as it is" >&2
        failed=1
        continue
      fi
      echo "=== $name" >&2
      make "$name"
      note "$name"
    done
    exit "${failed:-0}" ;;
esac
