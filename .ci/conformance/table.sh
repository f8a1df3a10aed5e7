#!/usr/bin/env bash
# The table of serving/README.md: the suites of others against `serving`, and the same run against tonic's own
# server. Run with `.ci/conformance/table.sh`; it needs what the suites need, and takes some ten minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
# numbers COMMAND...: the lines that say how many passed, of how many.
numbers() {
    "$@" 2>&1 | sed -nE \
        -e 's/^interop: ([0-9]+) of ([0-9]+) .*/\1 of \2/p' \
        -e 's/^conformance: .*Total cases: ([0-9]+) ([0-9]+) passed.*/\2 of \1/p' || true
}
mapfile -t ours < <(numbers .ci/interop/run.sh; numbers .ci/conformance/run.sh)
mapfile -t stock < <(numbers .ci/interop/run.sh --stock; numbers .ci/conformance/run.sh --stock)
stock+=('') # It has no client of its own.
names=("gRPC's interop client, cleartext and TLS" 'connect conformance, cleartext'
    'connect conformance, TLS and mutual TLS' 'connect conformance, client mode, cleartext')
echo '| suite | on `serving` | on stock tonic |'
echo '|---|---|---|'
for i in "${!names[@]}"; do echo "| ${names[i]} | ${ours[i]-?} | ${stock[i]-?} |"; done
