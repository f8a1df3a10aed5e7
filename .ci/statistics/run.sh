#!/usr/bin/env bash
# Our statistics against SciPy's, over random numbers, and our raw data in HdrHistogram's Python port.
#
# Run with `.ci/statistics/run.sh`. It needs cargo, Python 3.11 or later with venv, and PyPI or a
# mirror of it; everything it makes is in a temporary directory that it removes.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --quiet --locked --package stats --example statistics --package loadtest --example sample-report
built=${CARGO_TARGET_DIR:-target}/debug/examples
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement .ci/statistics/requirements.txt
export PYTHONDONTWRITEBYTECODE=1
"$work/venv/bin/python" .ci/statistics/check.py "$built/statistics"
"$built/sample-report" "$work/run"
"$work/venv/bin/python" .ci/statistics/logs.py "$work/run"
