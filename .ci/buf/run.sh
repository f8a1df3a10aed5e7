#!/usr/bin/env bash
# buf on the contracts: lint, and nothing that would break a client of the original. Then the buf commands
# of dual-mode/README.md against the real server.
#
# Run with `.ci/buf/run.sh`. It needs cargo, npm and its registry or a mirror of it.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$work"' EXIT
npm install --silent --no-save --no-package-lock --prefix "$work" @bufbuild/buf@1.75.0
export PATH=$work/node_modules/.bin:$PATH BUF_CACHE_DIR=$work/cache

breaking() { (cd "$1" && buf breaking . --config "$config" --against "$original"); }
config=$PWD/.ci/buf/buf.yaml
original=$PWD/.ci/peers/original

(cd proto && buf lint . --config "$config")
breaking proto

# A check that cannot fail is none: a field that moves must be found.
mkdir "$work/moved"
cp proto/*.proto "$work/moved"
sed -i 's/int32 year = 3;/int32 year = 4;/' "$work/moved/rest_grpc_dual_mode.proto"
if breaking "$work/moved" >"$work/found"; then
    echo 'buf does not find a field that moved' >&2
    exit 1
fi
grep -q 'field "3" with name "year"' "$work/found"

cargo build --quiet -p dual-mode
: >"$work/addresses"
"${CARGO_TARGET_DIR:-target}"/debug/dual-mode --rest-port 0 --grpc-port 0 --admin-port off >"$work/addresses" &
server=$!
for _ in $(seq 300); do
    grpc=$(sed -n 's/^gRPC on //p' "$work/addresses")
    [[ -z $grpc ]] || break
    sleep 0.1
done
[[ -n $grpc ]] || { echo 'the server did not say where it listens' >&2; exit 1; }

# Everything between its marks: a command, and what it prints until the next.
sed -n '/<!-- buf -->/,/<!-- \/buf -->/p' dual-mode/README.md | sed '/^<!--/d; /^```/d' >"$work/block"
commands=0
while IFS= read -r command; do
    eval "${command//localhost:50051/$grpc}" >"$work/printed" 2>&1 || true
    COMMAND="\$ $command" awk '
        $0 == ENVIRON["COMMAND"] { on = 1; next }
        /^\$ / { on = 0 }
        on && NF' "$work/block" >"$work/wanted"
    diff -u --label dual-mode/README.md --label "$command" "$work/wanted" "$work/printed"
    commands=$((commands + 1))
done < <(sed -n 's/^\$ //p' "$work/block")
((commands == 3)) || { echo "$commands commands were found in dual-mode/README.md" >&2; exit 1; }
echo "buf: the contracts are kept, and $commands commands print what the README says"
