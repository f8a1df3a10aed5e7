#!/usr/bin/env bash
# The loadtest command on services in other stacks, each of a contract that it has never seen, and each with a
# millisecond of CPU time added to one side: grpc-go with net/http, grpcio with aiohttp, grpc-java with the
# JDK's HTTP server, and grpc-gateway in front of grpc-go. A service counts what it added, and judge.py holds
# against it what loadtest found.
#
# Run with `.ci/foreign/run.sh [go|python|java|gateway]...`. It needs cargo, Go, Python 3.10 or later with
# venv, Java with Maven, and their registries or mirrors of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
. .ci/servers.sh
# One core for each service: with more, Go looks for work on all of them whenever a call comes in.
export GOMAXPROCS=1
here=.ci/foreign
added=1000 # µs of CPU time for each call, on one side

program loadtest loadtest
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
# The packages bring google/api/annotations.proto.
packages=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
protoc() { "$work/venv/bin/python" -m grpc_tools.protoc -I "$here/proto" -I "$packages" "$@" tram/v1/fares.proto; }

# The Go services, once.
go_programs() {
    [ ! -d "$work/go" ] || return 0
    cp -r "$here/go" "$work/go"
    local plugin options=()
    local imports='Mtram/v1/fares.proto=foreign/pb,Mgoogle/api/annotations.proto=google.golang.org/genproto/googleapis/api/annotations'
    (cd "$work/go" && go build -o plugins/ tool)
    for plugin in go go-grpc grpc-gateway; do
        options+=("--plugin=protoc-gen-$plugin=$work/go/plugins/protoc-gen-$plugin"
            "--${plugin}_out=$work/go" "--${plugin}_opt=module=foreign,$imports")
    done
    protoc "${options[@]}"
    (cd "$work/go" && go build -o bin/ ./fares ./gateway)
}

# measure SIDE OPTION...: a short run of loadtest on three variants, its exit code in $code: `worked` and `plain`
# of the side that has the work, and the other side. The verdict is about the worked one and the other side.
measure() {
    local side=$1 other
    shift
    rm -rf "$work/run"
    code=0
    case $side in
    rest)
        set -- --rest "worked=$(rest worked)" --rest "plain=$(rest plain)" --grpc "$(grpc plain)" "$@"
        other=grpc ;;
    grpc)
        set -- --rest "$(rest plain)" --grpc "plain=$(grpc plain)" --grpc "worked=$(grpc worked)" "$@"
        other=rest ;;
    esac
    "$work/loadtest" "$@" --data "$here/rows.jsonl" --users 8 --rate 100 --run-time 1s "${extent[@]}" \
        --require "worked.cpu > $other.cpu" --require 'worked.cpu <= 1s' --require 'plain.cpu <= 1s' \
        --output-dir "$work/run" >"$work/said" 2>&1 || code=$?
}
extent=(--budget 4m) # on a quiet machine it is decided after 90 s
rest() { echo "POST http://127.0.0.1:$(port "$1" REST)/v1/lines/{line}/fares"; }
grpc() { echo "127.0.0.1:$(port "$1" gRPC) tram.v1.Fares/QuoteFare"; }

# judge NAME SIDE WHOSE...: ends the service, which counted, and holds the run against it. WHOSE CPU time was counted
# is said in the run: processes, or addresses of metrics.
judge() {
    local name=$1 side=$2
    shift 2
    stop plain
    stop worked
    "$work/venv/bin/python" "$here/judge.py" "$name" "$side" "$code" "$work/run" "$work/said" "$work/worked.addresses" "$@" ||
        failed+=("$name")
}

# both COMMAND...: the service without work, and with.
both() {
    local side=$1
    shift
    local works=("$added" 0)
    [ "$side" = rest ] || works=(0 "$added")
    serve plain "$@" 0 0
    serve worked "$@" "${works[@]}"
}

go_service() {
    go_programs
    both grpc "$work/go/bin/fares"
    measure grpc
    judge 'grpc-go, net/http' grpc "${pids[plain]}" "${pids[worked]}"
}

# Its sockets are of IPv6. What is worked counts by its own metrics, the rest by port.
python_service() {
    mkdir "$work/python"
    protoc --python_out="$work/python" --grpc_python_out="$work/python"
    cp "$here/python/fares.py" "$work/python"
    both rest "$work/venv/bin/python" "$work/python/fares.py"
    local metrics
    metrics=http://127.0.0.1:$(port worked metrics)/metrics
    measure rest --server-metrics "worked=$metrics"
    judge 'grpcio, aiohttp' rest "$metrics" "${pids[plain]}"
}

java_service() {
    mkdir -p "$work/java/src/main/java"
    cp "$here/java/pom.xml" "$work/java"
    cp "$here/java/Main.java" "$work/java/src/main/java"
    (cd "$work/java" && mvn --quiet --batch-mode -Dproto="$OLDPWD/$here/proto" compile \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath -Dmdep.outputFile=classpath)
    # Without nodelay, each answer waits for an acknowledgement that is delayed. At this rate, and with the compiler
    # that optimizes, it would be warm after minutes.
    both grpc java -XX:TieredStopAtLevel=1 -Dsun.net.httpserver.nodelay=true \
        -cp "$work/java/target/classes:$(cat "$work/java/classpath")" Main
    measure grpc
    judge "grpc-java, the JDK's HTTP server" grpc "${pids[plain]}" "${pids[worked]}"
}

# The address alone: the contract has google.api.http, and its server has reflection.
gateway_service() {
    go_programs
    serve backend "$work/go/bin/fares" 0 0
    serve plain "$work/go/bin/gateway" "127.0.0.1:$(port backend gRPC)" 0
    serve worked "$work/go/bin/gateway" "127.0.0.1:$(port backend gRPC)" "$added"
    rest() { echo "http://127.0.0.1:$(port "$1" REST)"; }
    extent=(--rounds 2)
    measure rest
    # Not a wrong figure, but none: whose CPU time counts has to be said.
    [ "$code" = 6 ] && grep -q -e '--server-pid' "$work/said" || failed+=('grpc-gateway, its backend not named')
    extent=(--budget 4m)
    measure rest --server-pid "rest=${pids[backend]}"
    judge 'grpc-gateway, grpc-go' rest "${pids[worked]}" "${pids[backend]}"
    stop backend
}

[ "$#" -gt 0 ] || set -- go python java gateway
failed=()
for stack; do "${stack}_service"; done
[ "${#failed[@]}" = 0 ] || { printf 'foreign: failed: %s\n' "${failed[@]}" >&2; exit 1; }
