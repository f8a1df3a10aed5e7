#!/usr/bin/env bash
# Opens the pages of runs in headless Chromium: a real one, the committed reference, made-up ones that
# have everything a page can show, and two runs side by side.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v chromium >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --no-package-lock --prefix "$work" playwright-core@1.64.1

cargo build --quiet -p loadtest --bin loadtest --example sample-report
# On a busy machine, or in a debug build, it may find that it can't tell: code 6.
"${CARGO_TARGET_DIR:-target}"/debug/loadtest --users 4 --pairs 3 --run-time 1s --arms A,E \
    --output-dir "$work/run" >/dev/null || [ $? -eq 6 ]
"${CARGO_TARGET_DIR:-target}"/debug/examples/sample-report "$work/sample"
"${CARGO_TARGET_DIR:-target}"/debug/loadtest report "$work/sample" >/dev/null
"${CARGO_TARGET_DIR:-target}"/debug/loadtest compare "$work/sample" "$work/sample" \
    --output-dir "$work/compared" >/dev/null
for report in "$work/run" "$work/sample" "$work/compared" reports/reference; do
    PLAYWRIGHT_DIR=$work node .ci/browser/check.mjs "$report"
done
