#!/usr/bin/env bash
# The connect conformance runner, server mode, against ConformanceService on `serving`: gRPC and gRPC-Web over
# HTTP/1.1 and HTTP/2, plain and in gzip, in cleartext, under TLS and under mutual TLS.
#
# Run with `.ci/conformance/run.sh [--stock]`; with --stock the service is on tonic's own server, and nothing
# is judged. It needs cargo, Go and the Go module proxy. A case that fails and is not named in `known` fails
# the suite, and so does one that is named and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."

suites=$(.ci/service/build.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
known=()
# The runner finds fault with a pattern that matches no case, and with an empty list.
if [ "${1:-}" != --stock ] && grep -qv '^#' .ci/conformance/known; then
    known=(--known-failing @.ci/conformance/known)
fi

# run NAME RUNNER-OPTIONS: the cases of one configuration.
failed=0
declare -a table
run() {
    local name=$1
    shift
    local code=0
    "$suites/connectconformance" --mode server "$@" "${known[@]}" -- \
        "$suites/suite-service" conformance --grpc-port 0 --log off $stock >"$work/$name" 2>&1 || code=$?
    # A run that did not get to its end says nothing about cases.
    grep -q '^Total cases' "$work/$name" || { cat "$work/$name"; exit 1; }
    table+=("$(printf '%-10s %s' "$name" "$(sed -n '/^Total cases/,$p' "$work/$name" | tr -s '\n' ' ')")")
    [ "$code" = 0 ] || { failed=1; cat "$work/$name"; }
}
stock=${1:-}
run cleartext --conf .ci/conformance/cleartext.yaml
run TLS --conf .ci/conformance/tls.yaml --run '**/TLS:true/**'
printf 'conformance: %s\n' "${table[@]}"
[ "$stock" = --stock ] || [ "$failed" = 0 ]
