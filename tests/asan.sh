#!/bin/bash
# Run the core's tests and the tests in C under AddressSanitizer and
# UndefinedBehaviorSanitizer.
#
#     PYTHON=python3.13 tests/asan.sh [pytest arguments]
#
# The core is compiled into build-asan and loaded into an ordinary Python, so the
# sanitizer's library is preloaded and Python's own allocator is off.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
OUT=build-asan
CC=${CC:-cc}
FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
FLAGS="$FLAGS -fno-omit-frame-pointer -g -O1"

say() { printf '\n== %s\n' "$*"; }

if ! echo 'int main(void) { return 0; }' |
    $CC $FLAGS -x c - -o /dev/null 2> /dev/null; then
    echo "asan: $CC has no sanitizers; install libasan (gcc) or clang" >&2
    exit 1
fi

say "building into $OUT"
[ -x $OUT/venv/bin/python ] || "$PYTHON" -m venv $OUT/venv
BIN=$PWD/$OUT/venv/bin
if [ tests/requirements.txt -nt $OUT/venv/.tools ]; then
    "$BIN/python" -m pip install -q 'meson>=1.2,<2' 'ninja>=1.11,<2' \
        'rich>=12,<16' 'pytest>=8.2,<10' 'hypothesis>=6.100,<7'
    touch $OUT/venv/.tools
fi
export PATH="$BIN:$PATH"
if [ ! -d $OUT/core ]; then
    printf "[binaries]\npython = '%s'\n" "$BIN/python" > $OUT/native.ini
    CC=$CC meson setup $OUT/core --native-file $OUT/native.ini \
        --buildtype debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args="-fno-sanitize-recover=undefined -fno-omit-frame-pointer" > /dev/null
fi
ninja -C $OUT/core | tail -1
mkdir -p $OUT/package
rm -rf $OUT/package/hot_reload
cp -r hot_reload $OUT/package/
cp $OUT/core/_core*.so $OUT/package/hot_reload/

say "tests in C"
make -s c-tests BUILD=$OUT CC="$CC" CFLAGS_TEST="-std=c11 -D_GNU_SOURCE \
    -DHR_TESTING -Wall -Wextra $FLAGS"

export ASAN_OPTIONS="detect_leaks=0:abort_on_error=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
export HOT_RELOAD_C_TESTS=$PWD/$OUT/c
# Some watch the clock, which is hard on a sanitizer: what fails gets another try.
"$BIN/pytest" tests/python/test_c.py -q -o cache_dir=$OUT/cache ||
    "$BIN/pytest" tests/python/test_c.py -q -o cache_dir=$OUT/cache --last-failed

say "the core in $("$BIN/python" --version)"
export PYTHONMALLOC=malloc
export PYTHONPATH=$PWD/$OUT/package
export HOT_RELOAD_SWAPS=${HOT_RELOAD_SWAPS:-3000}
export HOT_RELOAD_SAVES=${HOT_RELOAD_SAVES:-100}
export HOT_RELOAD_SHUTDOWNS=${HOT_RELOAD_SHUTDOWNS:-30}
PRELOAD=$($CC -print-file-name=libasan.so)
[ -f "$PRELOAD" ] || PRELOAD=$($CC -print-file-name=libclang_rt.asan-x86_64.so)
# Not under the sanitizer: what measures time or memory, or what needs the webui;
# and forks out of several threads, in which the libasan of GCC 12 can hold its own
# lock for ever.
LD_PRELOAD=$PRELOAD "$BIN/pytest" -q -p no:cacheprovider \
    tests/python/test_function.py tests/python/test_replace.py \
    tests/python/test_class.py tests/python/test_live.py \
    tests/python/test_engine.py tests/python/test_fork.py \
    tests/python/test_shutdown.py tests/python/test_threads.py \
    tests/python/test_heap.py tests/python/test_closures.py \
    tests/python/test_layers.py tests/python/test_meaning.py \
    tests/python/test_wrappers.py tests/python/test_hooks.py \
    tests/python/test_revisions.py tests/python/test_edits.py \
    --deselect tests/python/test_function.py::test_calls_are_specialised_again \
    --deselect tests/python/test_live.py::test_latency \
    --deselect tests/python/test_engine.py::test_import_and_start_are_quick \
    --deselect tests/python/test_shutdown.py::test_a_save_arrives_while_the_interpreter_ends \
    "$@"
