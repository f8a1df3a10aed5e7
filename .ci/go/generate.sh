#!/usr/bin/env bash
# Copies this module to DIR, with code for the contracts beside it: generate.sh DIR
#
# Needs Go with the Go module proxy, and buf, which .ci/buf takes from npm.
set -euo pipefail
cd "$(dirname "$0")/../.."
directory=$(realpath -m "$1")
rm -rf "$directory"
cp -r .ci/go "$directory"

(cd .ci/go && go build -o "$directory/plugins/" \
    google.golang.org/protobuf/cmd/protoc-gen-go \
    google.golang.org/grpc/cmd/protoc-gen-go-grpc \
    connectrpc.com/connect/cmd/protoc-gen-connect-go)
packages='Munary.proto=peers/pb/unary,Mbidirectional.proto=peers/pb/bidirectional,Mrest_grpc_dual_mode.proto=peers/pb/greetings'
cat >"$directory/buf.gen.yaml" <<EOF
version: v2
plugins:
$(for plugin in go go-grpc connect-go; do
    printf '  - {local: %s, out: %s, opt: ["module=peers", "%s"]}\n' \
        "$directory/plugins/protoc-gen-$plugin" "$directory" "$packages"
done)
EOF
buf generate proto --template "$directory/buf.gen.yaml"
