#!/usr/bin/env bash
# Other people's clients against the three servers, and against TestService on `serving`: grpc-go and connect-go,
# grpc-js and grpc-web, grpc-java. Python's gRPC is in .ci/peers.
#
# Run with `.ci/clients/run.sh [go|js|java]...`. It needs cargo, Go, Node and Java with Maven, and their
# registries or mirrors of them. Each line is a check. One that fails and is not named
# in `known` fails the suite, and so does one that is named and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."
. .ci/servers.sh

suites=$(.ci/service/build.sh)
program unary server
program bidirectional server
program dual-mode dual-mode
# No check is decided by how fast the machine is.
common=(--grpc-port 0 --log off --max-call 1h)
serve unary "$work/unary" "${common[@]}"
for order in each pairs after-half-close; do
    serve "$order" "$work/bidirectional" "${common[@]}" --order "$order"
done
serve dual-mode "$work/dual-mode" "${common[@]}" --rest-port 0 --admin-port off
serve testing "$suites/suite-service" testing "${common[@]}"

at() { echo "127.0.0.1:$(port "$1" gRPC)"; }
export PROTO=$PWD/proto TESTING_CONTRACT=$suites/testing.bin
export UNARY EACH PAIRS AFTER_HALF_CLOSE DUAL TESTING
UNARY=$(at unary) EACH=$(at each) PAIRS=$(at pairs) AFTER_HALF_CLOSE=$(at after-half-close)
DUAL=$(at dual-mode) TESTING=$(at testing)

go_clients() {
    npm install --silent --no-save --no-package-lock --prefix "$work/buf" @bufbuild/buf@1.75.0
    PATH=$work/buf/node_modules/.bin:$PATH BUF_CACHE_DIR=$work/buf/cache .ci/go/generate.sh "$suites/go"
    (cd "$suites/go" && go build -o "$work/go-clients" ./clients)
    "$work/go-clients"
}
js_clients() {
    npm install --silent --no-save --no-package-lock --prefix "$work/js" \
        @grpc/grpc-js@1.14.7 @grpc/proto-loader@0.8.1 grpc-web@2.1.1 protobufjs@7.5.4 xhr2@0.2.1
    MODULES=$work/js node .ci/clients/js/grpc.mjs
}
java_clients() {
    mkdir -p "$work/java/src/main/java"
    cp .ci/clients/java/pom.xml "$work/java"
    cp .ci/clients/java/Client.java "$work/java/src/main/java"
    (cd "$work/java" && mvn --quiet --batch-mode compile \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath -Dmdep.outputFile=classpath)
    java -cp "$work/java/target/classes:$(cat "$work/java/classpath")" Client
}

[ "$#" -gt 0 ] || set -- go js java
failed=()
for stack; do
    # 3 says that it got to its end and a check failed, which is judged by name.
    code=0
    "${stack}_clients" >"$work/checks" || code=$?
    [ "$code" = 0 ] || [ "$code" = 3 ] || failed+=("$stack")
    awk -f .ci/clients/judge.awk .ci/clients/known "$work/checks" || failed+=("$stack")
done
for server in "${!pids[@]}"; do
    kill -0 "${pids[$server]}" || { echo "$server has ended" >&2; failed+=("$server"); }
done
[ "${#failed[@]}" = 0 ] || { echo "clients: failed: ${failed[*]}" >&2; exit 1; }
