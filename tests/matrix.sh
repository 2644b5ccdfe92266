#!/bin/bash
# Build and test the core on every Python from 3.9 on that this machine has.
#
#     tests/matrix.sh [version …]        such as 3.9 3.13; all when none is given
#
# Looks for python3.x on PATH and, where pyenv is installed, among its versions.
# Each gets an environment of its own in .matrix/<version>, two run at a time.
set -uo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
WANTED=("$@")
JOBS=${JOBS:-2}

# One line "3.x path" for each interpreter that really runs; a shim may not.
list_pythons() {
    {
        for minor in 9 10 11 12 13; do
            type -aP "python3.$minor"
        done
        if command -v pyenv > /dev/null; then
            ls -d "$(pyenv root)"/versions/3.*/bin/python
        fi
    } 2> /dev/null | while read -r python; do
        "$python" -c '
import sys, sysconfig, os, venv, ensurepip
header = os.path.join(sysconfig.get_path("include"), "Python.h")
if (3, 9) <= sys.version_info < (3, 14) and os.path.exists(header):
    print("%d.%d" % sys.version_info[:2], sys.executable)
' < /dev/null 2> /dev/null
    done | sort -t. -k2,2n -s -u -k1,1
}

run_one() {
    local version=$1 python=$2 home=$ROOT/.matrix/$1 began=$SECONDS
    mkdir -p "$home"
    local log=$home/log.txt temporary
    temporary=$(mktemp -d)
    chmod 755 "$temporary" # other users of some tests look into it
    {
        [ -x "$home/venv/bin/python" ] || "$python" -m venv "$home/venv"
        # A copy of its own: meson writes beside the sources, and who edits the
        # tree meanwhile does not mix two states of it.
        rm -rf "$home/source" &&
            mkdir "$home/source" &&
            tar -c --exclude='./.*' --exclude='./build*' --exclude=__pycache__ . |
            tar -x -C "$home/source" &&
            "$home/venv/bin/python" -m pip install -q --disable-pip-version-check \
                --force-reinstall --no-deps "$home/source" &&
            "$home/venv/bin/python" -m pip install -q --disable-pip-version-check \
                'rich>=12,<16' 'pytest>=8.2,<10' 'hypothesis>=6.100,<7' &&
            cd "$home/source" &&
            HOT_RELOAD_SWAPS=${HOT_RELOAD_SWAPS:-4000} \
                HOT_RELOAD_SHUTDOWNS=${HOT_RELOAD_SHUTDOWNS:-40} TMPDIR=$temporary \
                "$home/venv/bin/pytest" -q -p no:cacheprovider tests/python \
                --ignore tests/python/test_demo.py \
                --ignore tests/python/test_webui.py \
                --ignore tests/python/test_c.py
    } > "$log" 2>&1 < /dev/null
    local status=$?
    rm -rf "$temporary"
    local summary
    summary=$(grep -E '[0-9]+ (passed|failed|error)' "$log" | tail -1 | tr -d '=')
    [ $status -eq 0 ] && [ -n "$summary" ] && verdict=ok || verdict=FAILED
    printf '%-5s %-6s %s (%d s; %s)\n' "$version" "$verdict" \
        "${summary:-$(tail -1 "$log")}" $((SECONDS - began)) ".matrix/$version/log.txt"
    if [ "$verdict" = FAILED ]; then
        grep -E '^(FAILED|ERROR|E  )' "$log" | head -40
        return 1
    fi
}

declare -a pids=()
failed=0
found=0
while read -r version python; do
    if [ ${#WANTED[@]} -gt 0 ] && [[ " ${WANTED[*]} " != *" $version "* ]]; then
        continue
    fi
    found=$((found + 1))
    echo "$version begins: $python"
    run_one "$version" "$python" &
    pids+=($!)
    while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do
        sleep 0.5
    done
done < <(list_pythons)
for pid in "${pids[@]}"; do
    wait "$pid" || failed=$((failed + 1))
done
if [ $found -eq 0 ]; then
    echo "matrix: no Python 3.9 to 3.13 with its headers was found" >&2
    exit 1
fi
echo "$((found - failed)) of $found versions passed"
exit $((failed > 0))
