#!/usr/bin/env bash
# Holds the server against its own OpenAPI document with schemathesis, every check on: what the
# document allows must be accepted, what it does not must be refused, and every answer must be one
# that it describes. Before that, the document is held against OpenAPI's own schema.
#
# Run with `.ci/schemathesis/run.sh`; options go to `schemathesis run`. It needs cargo, Python 3.10
# or later with venv, and PyPI or a mirror of it; everything it makes is in a temporary directory
# that it removes.
set -euo pipefail
cd "$(dirname "$0")/../.."

LONGEST=1200 # seconds: far beyond what a run takes

work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

cargo build --quiet --locked --package dual-mode --bin dual-mode
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement .ci/schemathesis/requirements.txt
"$work/venv/bin/python" -m grpc_tools.protoc --proto_path=proto \
    --descriptor_set_out="$work/contract" rest_grpc_dual_mode.proto

: >"$work/addresses"
"${CARGO_TARGET_DIR:-target}"/debug/dual-mode --rest-port 0 --grpc-port 0 --admin-port 0 >"$work/addresses" 2>"$work/log" &
server=$!
for _ in $(seq 300); do # 30 s
    address=$(sed -n 's/^REST on //p' "$work/addresses")
    [ -z "$address" ] || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
[ -n "$address" ] || { cat "$work/log" >&2; echo 'dual-mode did not say where it listens' >&2; exit 1; }

cp .ci/schemathesis/schemathesis.toml .ci/schemathesis/hooks.py "$work"
cd "$work" # where schemathesis leaves what it remembers
export no_proxy=127.0.0.1 PYTHONDONTWRITEBYTECODE=1 CONTRACT=$work/contract
python3 -c 'import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1], timeout=30).read().decode())' \
    "http://$address/openapi.json" >openapi.json
venv/bin/openapi-spec-validator openapi.json
timeout "$LONGEST" venv/bin/schemathesis run "http://$address/openapi.json" \
    --checks all --max-examples 200 --seed 20261123 \
    --suppress-health-check too_slow,filter_too_much,data_too_large,large_base_example "$@"
kill -0 "$server" || { cat "$work/log" >&2; echo 'dual-mode did not survive it' >&2; exit 1; }
