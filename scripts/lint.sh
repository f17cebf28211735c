#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make lint`: every check runs even when an earlier one found something; the status is 0
# only if all were silent. Slow checks are cached by content in build/lint.
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-/usr/bin/python3}
export CC=${CC:-gcc}
bad=()

step() { # NAME COMMAND...
    local name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || bad+=("$name")
}

format() {
    local files
    files=$(git ls-files --cached --others --exclude-standard '*.c' '*.h')
    # shellcheck disable=SC2086
    [ -z "$files" ] || clang-format-14 --dry-run -Werror $files 2>&1 |
        awk '/warning:|error:/ {split($1, at, ":"); n[at[1]]++}
             END {for (f in n) {printf "%s: %d places (make format)\n", f, n[f]; bad = 1}; exit bad}'
}

step "rules (layering, banned calls, SPDX, paths)" "$PYTHON" scripts/lint_rules.py
step "format" format
step "headers compile alone" "$PYTHON" scripts/lint_tools.py headers
step "cppcheck" "$PYTHON" scripts/lint_tools.py cppcheck
step "clang-tidy" "$PYTHON" scripts/lint_tools.py tidy
step "scripts" "$PYTHON" scripts/lint_tools.py scripts
[ -x "${BUILD:-build}/ficus" ] && step "docs are what the program says" "$PYTHON" scripts/docs.py --check
step "sizes (a report, never a failure)" "$PYTHON" scripts/sizes.py

if [ ${#bad[@]} -gt 0 ]; then
    printf 'lint: failed: %s\n' "${bad[@]}"
    exit 1
fi
echo 'lint: clean'
