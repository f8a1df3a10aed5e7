#!/usr/bin/env bash
# Real peers: Python's gRPC and urllib against our programs, and our clients against Python servers.
#
# Run with `.ci/peers/run.sh`. It needs cargo, Python 3.10 or later with venv, and PyPI or a mirror
# of it; everything it makes is in a temporary directory that it removes.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=$work/programs
mkdir "$programs"

# unary and bidirectional both have a server and a client, so each is built and copied by itself.
for package in unary bidirectional dual-mode; do
    built=$(cargo build --quiet --locked --package "$package" --bins \
        --message-format json-render-diagnostics |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
    while read -r program; do
        cp "$program" "$programs/$package-$(basename "$program")"
    done <<<"$built"
done

python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement .ci/peers/requirements.txt

# Everything here stays on this machine.
export no_proxy=127.0.0.1 PYTHONDONTWRITEBYTECODE=1
PROGRAMS=$programs "$work/venv/bin/python" -m pytest \
    -p no:cacheprovider --basetemp "$work/pytest" .ci/peers "$@"
