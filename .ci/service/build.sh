#!/usr/bin/env bash
# Builds suite-service and the programs of the suites that call it, and prints the directory they are in.
#
# Needs cargo, Go and the Go module proxy. The contracts come out of the suites' own modules.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
directory=$target/suites
mkdir -p "$directory"

(cd .ci/go && go build -o "$directory" ./contracts tool)
"$directory/contracts" >"$directory/testing.bin"
module=$(cd .ci/go && go list -m -f '{{.Dir}}' connectrpc.com/conformance)

# The versions are the workspace's; cargo takes out what is of no use here.
trap 'rm -f .ci/service/Cargo.lock' EXIT
cp Cargo.lock .ci/service/Cargo.lock
TESTING_CONTRACT=$directory/testing.bin CONFORMANCE_PROTOS=$module/proto CARGO_TARGET_DIR=$target \
    cargo build --quiet --manifest-path .ci/service/Cargo.toml
cp --remove-destination "$target/debug/suite-service" "$directory"
echo "$directory"
