#!/usr/bin/env bash
# Verdicts on one variant under two names, which may claim nothing, and on one that works a fifth more,
# which must be found. A campaign: it goes on with what DIR holds, at one commit.
#
#   .ci/long/aa.sh DIR quiet|busy [AA] [MORE_WORK]
set -euo pipefail
cd "$(dirname "$0")/../.."
directory=$1 beside=$2 aa=${3:-20} more_work=${4:-10}
cargo build --quiet --release --locked -p loadtest
others=
trap '[ -z "$others" ] || kill -- -"$others" 2>/dev/null || true' EXIT
set -m
case $beside in
quiet) ;;
busy) python3 .ci/long/beside.py & others=$! ;;
*) echo "quiet or busy, not $beside" >&2; exit 2 ;;
esac
"${CARGO_TARGET_DIR:-target}/release/loadtest" selftest --keep "$directory/$beside" --aa "$aa" --more-work "$more_work"
