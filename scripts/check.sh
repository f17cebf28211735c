#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `make check` runs after `make deps`: each step goes on when another fails; the last
# line is "N passed, N failed" over unit, sanitizer, fuzz corpus and integration tests, and
# the exit status is 0 only if every step built, ran and passed.
set -u
cd "$(dirname "$0")/.."
MAKE=${MAKE:-make}
PYTHON=${PYTHON:-/usr/bin/python3}
jobs=-j$(nproc)
broken=()

step() { # NAME COMMAND...
    local name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || broken+=("$name")
}

rm -f build/unit/results.json build/asan/unit/results.json build/fuzz/results.json build/pytest.xml
step "build" $MAKE $jobs all units
step "unit tests" $MAKE check-unit
step "unit tests under ASan and UBSan" $MAKE $jobs asan
step "fuzz corpora" $MAKE $jobs fuzz-replay
step "integration tests" $MAKE $jobs check-int

[ ${#broken[@]} = 0 ] || printf 'failed: %s\n' "${broken[@]}"
exec "$PYTHON" scripts/sum_results.py --broken ${#broken[@]} build/pytest.xml \
    build/unit/results.json build/asan/unit/results.json build/fuzz/results.json
