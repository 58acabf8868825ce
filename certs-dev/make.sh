#!/usr/bin/env bash
# Makes the authority for development anew.
set -euo pipefail
cd "$(dirname "$0")"
swarm() { cargo run --quiet --release --manifest-path ../Cargo.toml -- "$@"; }

rm -rf authority
swarm cert ca authority --name "swarm development authority, do not trust" --days 3650
rm -f authority/lock
