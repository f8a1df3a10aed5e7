#!/usr/bin/env bash
# The README's first command N times, and what it answered. A campaign: it goes on with what DIR holds.
#
#   .ci/long/verdicts.sh DIR quiet|busy|compilers [N]
#
# quiet: nothing else is started. busy: a program beside it keeps each core busy for 25 ms of every 100.
# compilers: two compilers run beside it. Prints a line for each run, and a summary; loopback only.
set -euo pipefail
cd "$(dirname "$0")/../.."
directory=$1 beside=$2 runs=${3:-10}
mkdir -p "$directory"
cargo build --quiet --release --locked -p loadtest
tool=${CARGO_TARGET_DIR:-target}/release/loadtest

others=()
scratch=$(mktemp -d)
cleanup() {
    for pid in "${others[@]}"; do kill -- -"$pid" 2>/dev/null || true; done
    rm -rf "$scratch"
}
trap cleanup EXIT
compile() { while :; do rm -rf "$scratch/$1"; CARGO_TARGET_DIR=$scratch/$1 cargo build --quiet -j 1 -p serving; done; }
set -m
case $beside in
quiet) ;;
busy) python3 .ci/long/beside.py & others+=($!) ;;
compilers) compile 1 & others+=($!); compile 2 & others+=($!) ;;
*) echo "quiet, busy or compilers, not $beside" >&2; exit 2 ;;
esac

for number in $(seq -w "$runs"); do
    run=$directory/$beside-$number
    [ -e "$run" ] && continue
    begun=$SECONDS code=0
    rm -rf "$scratch/run"
    "$tool" --output-dir "$scratch/run" >"$run.txt" 2>"$run.log" || code=$?
    printf '%s exit %s after %s s\n' "$beside-$number" "$code" "$((SECONDS - begun))" | tee "$run.code"
    [ ! -e "$scratch/run" ] || mv "$scratch/run" "$run"
done
python3 .ci/long/table.py "$directory" "$beside"
