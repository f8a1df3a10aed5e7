# Sourced by the suites, at the root of the repository: programs, servers and a directory that go with the
# script. Sets work.
work=$(mktemp -d)
declare -A pids=()
clean_up() {
    local name
    for name in "${!pids[@]}"; do kill "${pids[$name]}" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean_up EXIT

# program PACKAGE BINARY: builds it, in debug, as $work/PACKAGE. unary and bidirectional both have a binary
# called server.
program() {
    cargo build --quiet --locked --package "$1" --bin "$2"
    cp "${CARGO_TARGET_DIR:-target}/debug/$2" "$work/$1"
}

# serve NAME COMMAND...: starts it, and waits until it says where it speaks gRPC.
serve() {
    local name=$1
    shift
    : >"$work/$name.addresses"
    "$@" >"$work/$name.addresses" 2>"$work/$name.log" &
    pids[$name]=$!
    for _ in $(seq 300); do # 30 s
        ! grep -q '^gRPC on ' "$work/$name.addresses" || return 0
        kill -0 "${pids[$name]}" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/$name.log" >&2
    echo "$name did not say where it listens" >&2
    exit 1
}

# port NAME PROTOCOL: where NAME speaks gRPC or REST.
port() { sed -n "s/^$2 on 127.0.0.1://p" "$work/$1.addresses"; }

# stop NAME: ends it, as an operator does. Sets ended, its exit code.
stop() {
    ended=0
    kill "${pids[$1]}"
    wait "${pids[$1]}" || ended=$?
    unset "pids[$1]"
}
