#!/usr/bin/env bash
# The run that reports/shop.toml says, on the shop of loadtest's examples: a token, a path parameter, 1,000 rows. Takes
# up to 50 minutes, on a quiet machine, and leaves reports/shop. With options of loadtest it makes another run, such as
# a short try:
#
#   .ci/long/shop.sh [--output-dir /tmp/shop --rounds 1 --run-time 1s]
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --quiet --release --locked -p loadtest --bin loadtest --example shop
programs=${CARGO_TARGET_DIR:-target}/release
TOKEN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export TOKEN

"$programs/examples/shop" --rows 1000 --rows-for get-order >reports/shop.jsonl
said=$(mktemp)
SHOP_TOKEN=$TOKEN "$programs/examples/shop" >"$said" &
shop=$!
trap 'kill "$shop" 2>/dev/null || true; rm -f "$said"' EXIT
until grep -q '^It ends' "$said"; do
    kill -0 "$shop" || exit 1
    sleep 0.1
done
[ "$#" -gt 0 ] || set -- --output-dir reports/shop
"$programs/loadtest" study reports/shop.toml "$@"
