#!/usr/bin/env bash
# h2spec, strict cases included, against every port of the three servers.
#
# Run with `.ci/h2spec/run.sh`. It needs cargo, Go with the Go module proxy, and Python. A case that fails and
# is not named in `known` fails the suite, and so does one that is named as failing and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."
. .ci/servers.sh

(cd .ci/go && go build -o "$work" github.com/summerwind/h2spec/cmd/h2spec)
program unary server
program bidirectional server
program dual-mode dual-mode
serve unary "$work/unary" --grpc-port 0 --log off
serve bidirectional "$work/bidirectional" --grpc-port 0 --log off
serve dual-mode "$work/dual-mode" --rest-port 0 --grpc-port 0 --admin-port off --log off

failed=0
# check NAME SERVER PROTOCOL PATH
check() {
    # h2spec that cannot connect writes none, and that of the server before must not stand for it.
    rm -f "$work/report.xml"
    # It ends with 1 if a case fails; the cases are judged by name.
    "$work/h2spec" --port "$(port "$2" "$3")" --path "$4" --strict --junit-report "$work/report.xml" \
        >"$work/log" || true
    python3 .ci/h2spec/judge.py "$1" "$work/report.xml" .ci/h2spec/known || failed=1
}
check unary unary gRPC /unary.Unary/GetServerResponse
check bidirectional bidirectional gRPC /bidirectional.Bidirectional/GetServerResponse
check dual-mode-gRPC dual-mode gRPC /rest_grpc_dual_mode.GreetingsGenerator/GRPCGetGreetings
check dual-mode-REST dual-mode REST '/v1/get_greetings?messageType=Holi&year=2021'
[ "$failed" = 0 ]
