#!/usr/bin/env bash
# The connect conformance runner. Server mode against ConformanceService on `serving`: gRPC and gRPC-Web over
# HTTP/1.1 and HTTP/2, plain and in gzip, in cleartext, under TLS and under mutual TLS. Client mode with a client
# as those here are: gRPC, plain and in gzip, in cleartext.
#
# Run with `.ci/conformance/run.sh [--stock]`; with --stock the service is on tonic's own server, there is no client,
# and nothing is judged. It needs cargo, Go and the Go module proxy. A case that fails and is not named in `known` fails
# the suite, and so does one that is named and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."

suites=$(.ci/service/build.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
server=("$suites/suite-service" conformance --grpc-port 0 --log off "$@")

# run NAME MODE KNOWN RUNNER-OPTIONS -- PROGRAM: the cases of one configuration.
failed=0
declare -a table
run() {
    local name=$1 mode=$2 known=() code=0
    # The runner finds fault with a pattern that matches no case, and with an empty list.
    if [ "$stock" != --stock ] && grep -qv '^#' "$3"; then
        known=(--known-failing "@$3")
    fi
    shift 3
    "$suites/connectconformance" --mode "$mode" "${known[@]}" "$@" >"$work/$name" 2>&1 || code=$?
    # A run that did not get to its end says nothing about cases.
    grep -q '^Total cases' "$work/$name" || { cat "$work/$name"; exit 1; }
    table+=("$(printf '%-10s %s' "$name" "$(sed -n '/^Total cases/,$p' "$work/$name" | tr -s '\n' ' ')")")
    [ "$code" = 0 ] || { failed=1; cat "$work/$name"; }
}
stock=${1:-}
run cleartext server .ci/conformance/known --conf .ci/conformance/cleartext.yaml -- "${server[@]}"
run TLS server .ci/conformance/known --conf .ci/conformance/tls.yaml --run '**/TLS:true/**' -- "${server[@]}"
if [ "$stock" != --stock ]; then
    run client client .ci/conformance/known-client --conf .ci/conformance/client.yaml -- \
        "$suites/suite-service" calling
fi
printf 'conformance: %s\n' "${table[@]}"
[ "$stock" = --stock ] || [ "$failed" = 0 ]
