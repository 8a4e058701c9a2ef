#!/bin/sh
# A rustc that instruments Tessera and its fuzz targets, and compiles everything else as always. Given to cargo as
# RUSTC_WRAPPER instead of flags for all, so that the dependencies of an ordinary build serve here too.
for arg in "$@"; do
  case "$arg" in
    --target=* | --print=* | --print) exec "$@" ;;
  esac
done
case " $* " in
  *" --crate-name tessera "* | *" fuzz_targets/"*)
    exec "$@" --cfg fuzzing -Cpasses=sancov-module \
      -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
      -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
