#!/usr/bin/env bash
# Builds `third` in release, and prints where it is.
#
# Needs cargo, and its registry.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
CARGO_TARGET_DIR=$target/third cargo build --quiet --release --locked --manifest-path .ci/third/Cargo.toml
echo "$target/third/release/third"
