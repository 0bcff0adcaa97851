#!/usr/bin/env bash
# Calls rustc; for the arithmetic of tensors without what tells the fuzzer which branches an input took. There it says
# nothing about files, and makes the compiler take several times as long and 9 GB of memory for one crate.
#
#     RUSTC_WRAPPER=$PWD/fuzz/rustc.sh cargo +nightly fuzz build
set -euo pipefail

crate=
[[ ${2-} == --crate-name ]] && crate=$3
case $crate in
    burn | burn_* | cubecl* | gemm* | macerator*)
        plain=()
        for arg in "$@"; do
            case $arg in
                -Cpasses=sancov-module | -Cllvm-args=-sanitizer-coverage-* | -Ccodegen-units=1) ;;
                *) plain+=("$arg") ;;
            esac
        done
        exec "${plain[@]}"
        ;;
esac
exec "$@"
