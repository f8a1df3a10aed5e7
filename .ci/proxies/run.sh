#!/usr/bin/env bash
# nginx and HAProxy in front of both ports of dual-mode, and idle connections without a proxy.
#
# Refusals of bodies that were not read, by Python, curl, Node and Go, straight and through each proxy; streams by
# grpc-go; a rolling restart of two replicas under load, REST, gRPC-Web and gRPC; 4,096 idle connections of each protocol under a soft limit of 1,024
# descriptors. Run with `.ci/proxies/run.sh [refusals|streams|restart|idle]...`. It needs cargo, Go with the Go module proxy, Node, Python and
# Debian's packages. TIMES is how often each refusal is asked for (20).
set -euo pipefail
cd "$(dirname "$0")/../.."
. .ci/servers.sh

for package in nginx haproxy curl; do
    if ! command -v "$package" >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends nginx haproxy curl >/dev/null
    fi
done
(cd .ci/go && go build -o "$work" ./refusals ./load)
program dual-mode dual-mode
program bidirectional server
failed=()
times=${TIMES:-20}

# free: a port that nobody has now. A replica has to come back where the proxies look for it.
free() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
for name in REST1 REST2 GRPC1 GRPC2 NGINX_REST NGINX_WEB NGINX_GRPC HAPROXY_REST HAPROXY_WEB HAPROXY_GRPC; do
    declare "$name=$(free)"
done
# replica NUMBER: proxies have a second to look away before it closes.
replica() {
    local rest=REST$1 grpc=GRPC$1
    serve "replica$1" "$work/dual-mode" --rest-port "${!rest}" --grpc-port "${!grpc}" --admin-port off \
        --log warn --drain-pause 1s
}
replica 1
replica 2
serve streams "$work/bidirectional" --grpc-port 0 --log warn
STREAMS=$(port streams gRPC)

configured() {
    sed -E "$(for name in REST1 REST2 GRPC1 GRPC2 STREAMS {NGINX,HAPROXY}_{REST,WEB,GRPC}; do
        echo "s/@$name@/${!name}/g;"
    done)" "$1"
}
configured .ci/proxies/nginx.conf >"$work/nginx.conf"
configured .ci/proxies/haproxy.cfg >"$work/haproxy.cfg"
nginx -p "$work" -c "$work/nginx.conf" 2>"$work/nginx.log" &
pids[nginx]=$!
haproxy -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 &
pids[haproxy]=$!
# answers PORT: waits until REST is answered there.
answers() {
    for _ in $(seq 300); do # 30 s
        ! curl --silent --fail --max-time 5 "http://127.0.0.1:$1/readyz" >/dev/null || return 0
        sleep 0.1
    done
    cat "$work"/*.log >&2
    echo "nobody answers at $1" >&2
    exit 1
}
answers "$NGINX_REST"
answers "$HAPROXY_REST"

# refusals NAME REST GRPC
refusals() {
    local name=$1 rest=127.0.0.1:$2 grpc=127.0.0.1:$3 ok=yes
    echo "-- refusals, $name, $times times each"
    for client in http.client curl; do
        python3 .ci/proxies/refusals.py "$client" "$rest" "$grpc" "$times" || ok=
    done
    node .ci/proxies/refusals.mjs "$rest" "$grpc" "$times" || ok=
    "$work/refusals" .ci/proxies/cases.tsv "$rest" "$grpc" "$times" || ok=
    [ -n "$ok" ] || failed+=("refusals, $name")
}
all_refusals() {
    refusals straight "$REST1" "$GRPC1"
    refusals nginx "$NGINX_REST" "$NGINX_WEB"
    refusals HAProxy "$HAPROXY_REST" "$HAPROXY_WEB"
}

# Streams of many messages, by gRPC itself.
all_streams() {
    local name
    for name in STREAMS NGINX_GRPC HAPROXY_GRPC; do
        echo "-- streams, $name"
        "$work/load" --stream "127.0.0.1:${!name}" || failed+=("streams, $name")
    done
}

# restart NAME COMMAND...: each replica is ended and comes back, while the commands of the load call, each of which
# is one word for the shell to take apart. No call may be lost, by who asks or by who answers.
restart() {
    local name=$1 loads=() load pipe
    shift
    echo "-- a rolling restart behind $name"
    for load; do
        pipe=$work/load.${#loads[@]}
        mkfifo "$pipe"
        eval "$load" <"$pipe" &
        loads+=($!)
    done
    # Opened one after the other, as each load waits for its own.
    exec 8>"$work/load.0" 9>"$work/load.$((${#loads[@]} - 1))"
    for number in 1 2; do
        sleep 1 # of load before, between and after
        stop "replica$number"
        [ "$ended" = 0 ] || failed+=("replica $number behind $name: exit code $ended")
        # Without the pipes, whose ends it would hold open.
        replica "$number" 8>&- 9>&-
        sleep 1 # HAProxy asks every 200 ms
    done
    exec 8>&- 9>&-
    for load in "${loads[@]}"; do
        wait "$load" || failed+=("a rolling restart behind $name")
    done
    rm "$work"/load.[0-9]
}
all_restarts() {
    local by_http='python3 .ci/proxies/load.py' by_grpc=$work/load
    restart nginx "$by_http 127.0.0.1:$NGINX_REST 127.0.0.1:$NGINX_WEB" "$by_grpc 127.0.0.1:$NGINX_GRPC"
    restart HAProxy "$by_http 127.0.0.1:$HAPROXY_REST 127.0.0.1:$HAPROXY_WEB" "$by_grpc 127.0.0.1:$HAPROXY_GRPC"
    restart 'no proxy' "$by_grpc 127.0.0.1:$GRPC1 127.0.0.1:$GRPC2"
}

# Idle connections under the usual soft limit, one protocol and port after the other.
all_idle() {
    local protocol port admin
    for protocol in http1 http2; do for port in REST gRPC; do
        (
            ulimit -S -n 1024
            exec "$work/dual-mode" --rest-port 0 --grpc-port 0 --admin-port 0 --log error
        ) >"$work/idle.addresses" 2>"$work/idle.log" &
        pids[idle]=$!
        for _ in $(seq 300); do
            ! grep -q '^gRPC on ' "$work/idle.addresses" || break
            sleep 0.1
        done
        admin=$(port idle metrics)
        python3 .ci/proxies/idle.py "$port" "$(port idle "$port")" "$admin" 4096 "$protocol" ||
            failed+=("4,096 idle, $port, $protocol")
        stop idle
    done; done
}

[ "$#" -gt 0 ] || set -- refusals streams restart idle
for part; do
    case $part in
    refusals) all_refusals ;;
    streams) all_streams ;;
    restart) all_restarts ;;
    idle) all_idle ;;
    *) echo "refusals, streams, restart or idle, not $part" >&2; exit 2 ;;
    esac
done
[ "${#failed[@]}" = 0 ] || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
