#!/bin/bash
# clang-tidy over all C of the product.
#
#     tests/tidy.sh [python [file …]]      whose headers the core is checked with
set -uo pipefail
cd "$(dirname "$0")/.."
PYTHON=${1:-python3}
shift
FILES=("$@")
[ ${#FILES[@]} -gt 0 ] || FILES=(src/*/*.c)
INCLUDE=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')
if ! command -v clang-tidy > /dev/null; then
    echo "lint: clang-tidy is not installed; it was not run" >&2
    exit 0
fi
export INCLUDE
printf '%s\n' "${FILES[@]}" | xargs -P "${JOBS:-2}" -I{} sh -c '
    out=$(clang-tidy --quiet "{}" -- -std=gnu11 -D_GNU_SOURCE -Isrc \
        "-I$(dirname "{}")" -isystem "$INCLUDE" 2> /dev/null)
    status=$?
    [ -z "$out" ] || printf "%s\n" "$out"
    exit $status'
status=$?
[ $status -eq 0 ] && echo "clang-tidy: ${#FILES[@]} files, nothing found"
exit $status
