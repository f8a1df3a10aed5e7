#!/usr/bin/env bash
# What `selftest --aa` and `--more-work` ask on greetings, on the shop: verdicts on one REST under two names, which may
# claim nothing, and on a REST that works a fifth more, which must be found. A campaign: it goes on with what DIR holds,
# at one commit.
#
#   .ci/long/shop_aa.sh DIR [AA] [MORE_WORK]
set -euo pipefail
cd "$(dirname "$0")/../.."
directory=$1 aa=${2:-10} more_work=${3:-10}
mkdir -p "$directory"
cargo build --quiet --release --locked -p loadtest --bin loadtest --example shop
programs=${CARGO_TARGET_DIR:-target}/release
rows=$directory/rows.jsonl
"$programs/examples/shop" --rows 1000 --rows-for get-order >"$rows"
. .ci/servers.sh

# run KIND N OTHER: verdict number N on the shop that is plain and on the shop OTHER.
run() {
    local run=$directory/$1-$2 code=0
    # Orders are as old as their shop.
    "$programs/loadtest" --data "$rows" --output-dir "$work/run" --ignore createdAt \
        --rest "one=GET http://127.0.0.1:$(port plain REST)/v1/orders/{id}" \
        --rest "two=GET http://127.0.0.1:$(port "$3" REST)/v1/orders/{id}" >"$run.txt" 2>"$run.log" || code=$?
    case $code in 0 | 6) ;; *) tail -n 5 "$run.log" >&2; exit "$code" ;; esac
    mv "$work/run" "$run"
}
shop() { serve "$1" "$programs/examples/shop" --rest-port 0 --grpc-port 0 --rest-work "$2"; }
# Their addresses begin with a scheme.
port() { sed -n "s|^$2 on http://127.0.0.1:||p" "$work/$1.addresses"; }

for number in $(seq -w "$aa"); do
    [ -e "$directory/aa-$number" ] && continue
    shop plain 0ns
    run aa "$number" plain
    stop plain
done
for number in $(seq -w "$more_work"); do
    [ -s "$directory/more-$number.work" ] && continue
    rm -rf "$directory/more-$number"
    # A fifth of what a call took before.
    fifth=$(python3 .ci/long/shop_aa.py "$directory" fifth)
    shop plain 0ns
    shop worked "${fifth}ns"
    run more "$number" worked
    curl -fsS "http://127.0.0.1:$(port worked REST)/debug/cpu" >"$directory/more-$number.work"
    stop plain
    stop worked
done
python3 .ci/long/shop_aa.py "$directory"
