#!/usr/bin/env bash
# The page in real browsers: types, every view against a faked daemon, then two real daemons by the page alone. SWARM names the binary. Installs what
# it needs by apt and npm as root; where that cannot be, says NOT RUN and why.
set -euo pipefail
cd "$(dirname "$0")"

not_run() {
  echo "NOT RUN: the page in browsers: $1" >&2
  exit 0
}

missing=()
for pair in node:nodejs npm:npm chromium:chromium; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || not_run "${missing[*]} are not here, and only root can install them by apt"
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; } ||
    not_run "${missing[*]} cannot be installed"
fi
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || not_run "Node.js 20 is needed, here is $(node --version)"
npm ci --silent || not_run "npm cannot install the tools of these tests"

npm run --silent types
npm run --silent test
if command -v firefox-esr >/dev/null; then
  npm run --silent firefox
else
  echo "NOT RUN: the smoke path in Firefox: firefox-esr is not here" >&2
fi
if [ -n "${SWARM:-}" ]; then
  npm run --silent daemons
else
  echo "NOT RUN: the page with real daemons: SWARM names no binary" >&2
fi
