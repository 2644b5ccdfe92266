#!/bin/bash
# Build and run each fuzz_*.c for FUZZ_SECONDS (60).
#
# fuzz_<part>.c fuzzes src/<part>; corpus_<part> and <part>.dict beside it are
# used where they are. What is found on the way goes to build-fuzz, not here.
set -euo pipefail
cd "$(dirname "$0")/../.."
SECONDS_EACH=${FUZZ_SECONDS:-60}
CC=${FUZZ_CC:-clang}
OUT=$PWD/build-fuzz
mkdir -p "$OUT"

if ! echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }' |
    $CC -fsanitize=fuzzer,address -x c - -o "$OUT/probe" 2> /dev/null; then
    echo "fuzz: $CC cannot link libFuzzer; install clang and libclang-rt-dev" >&2
    exit 1
fi

for source in tests/fuzz/fuzz_*.c; do
    part=$(basename "$source" .c)
    part=${part#fuzz_}
    echo "== $part: building"
    $CC -std=c11 -D_GNU_SOURCE -g -O1 -Isrc "-Isrc/$part" \
        -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
        "$source" src/"$part"/*.c -lpthread -o "$OUT/fuzz_$part"
    mkdir -p "$OUT/corpus_$part"
    arguments=("$OUT/corpus_$part")
    [ -d "tests/fuzz/corpus_$part" ] && arguments+=("tests/fuzz/corpus_$part")
    [ -f "tests/fuzz/$part.dict" ] && arguments+=("-dict=tests/fuzz/$part.dict")
    echo "== $part: running for $SECONDS_EACH s"
    "$OUT/fuzz_$part" "${arguments[@]}" \
        "-max_total_time=$SECONDS_EACH" -timeout=5 -rss_limit_mb=2048 \
        "-artifact_prefix=$OUT/" -print_final_stats=1 2>&1 |
        { grep --line-buffered -vE "REDUCE|NEW  |NEW_FUNC|pulse" || true; }
done
echo "== no crash"
