#!/usr/bin/env bash
# Opens in headless Chromium the pages of dual-mode, and those of runs: a real one, the committed
# reference, made-up ones that have everything a page can show, and two runs side by side.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v chromium >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
npm install --silent --no-save --no-package-lock --prefix "$work" playwright-core@1.64.1

target=${CARGO_TARGET_DIR:-target}/debug
cargo build --quiet --locked -p dual-mode --bin dual-mode
# Opens the pages of the dual-mode that the rest of the line starts, at addresses of this scheme.
pages() {
    local scheme=$1 rest grpc
    shift
    : >"$work/addresses"
    "$@" --rest-port 0 --admin-port off >"$work/addresses" 2>"$work/log" &
    server=$!
    for _ in $(seq 300); do # 30 s
        grpc=$(sed -n 's/^gRPC on //p' "$work/addresses")
        [ -z "$grpc" ] || break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    [ -n "$grpc" ] || { cat "$work/log" >&2; echo 'dual-mode did not say where it listens' >&2; exit 1; }
    rest=$(sed -n 's/^REST on //p' "$work/addresses")
    PLAYWRIGHT_DIR=$work timeout 900 node .ci/browser/pages.mjs "$scheme://$rest" "$scheme://$grpc"
    kill "$server"
    wait "$server"
    server=
}
pages http "$target/dual-mode" --grpc-port 0
# On one port the browser asks nobody's leave.
pages http "$target/dual-mode" --one-port
pages http node .ci/browser/mapped.mjs "$target/dual-mode" --grpc-port 0
# Under TLS the browser speaks HTTP/2, to a certificate that nobody vouches for.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
pages https "$target/dual-mode" --grpc-port 0 --tls-cert "$work/cert.pem" --tls-key "$work/key.pem"

cargo build --quiet -p loadtest --bin loadtest --example sample-report
# On a busy machine, or in a debug build, it may be inconclusive, code 6. The page is written all the same.
code=0
"$target/loadtest" --users 4 --rounds 3 --variants A,E --output-dir "$work/run" >/dev/null || code=$?
[ "$code" = 0 ] || [ "$code" = 6 ] || exit "$code"
"$target/examples/sample-report" "$work/sample"
"$target/loadtest" report "$work/sample" >/dev/null
"$target/loadtest" compare "$work/sample" "$work/sample" --output-dir "$work/compared" >/dev/null
for report in "$work/run" "$work/sample" "$work/compared" reports/reference; do
    PLAYWRIGHT_DIR=$work node .ci/browser/check.mjs "$report"
done
