#!/usr/bin/env bash
# The harness calls this before it builds: there is no library to fetch, cargo does that.
set -euo pipefail
command -v cargo >/dev/null || { echo "cargo is not there: install Rust 1.91.1 or newer, see https://rustup.rs" >&2; exit 1; }
