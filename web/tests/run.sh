#!/usr/bin/env bash
# The page in real browsers: types, every view against a faked daemon, what Lighthouse says of each, the faked daemon beside a real one, then two real daemons by the page
# alone. SWARM names the binary. Installs what it needs by apt and npm as root; where that cannot be, says NOT RUN and why.
set -euo pipefail
case ${SWARM:-} in
  # Before the folder changes: it may be relative.
  */*) SWARM=$(realpath -- "$SWARM") && export SWARM ;;
esac
cd "$(dirname "$0")"

not_run() {
  echo "NOT RUN: the page in browsers: $1" >&2
  exit 0
}

# Installs packages whose programs are not here: PROGRAM:PACKAGE each. Says what is missing if it cannot.
provide() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "${missing[*]}: not here, and only root can install it by apt"
    return 1
  fi
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 && return 0
  echo "${missing[*]}: cannot be installed by apt"
  return 1
}

lacks=$(provide node:nodejs npm:npm "${CHROMIUM:-chromium}:chromium") || not_run "$lacks"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || not_run "Node.js 20 is needed, here is $(node --version)"
if ! said=$(npm ci 2>&1); then
  if [[ $said == *EUSAGE* ]]; then
    echo "web/tests/package-lock.json does not fit package.json: npm install --package-lock-only --omit-lockfile-registry-resolved" >&2
    exit 1
  fi
  not_run "npm cannot install the tools of these tests"
fi

npm run --silent types
npm run --silent test
npm run --silent lighthouse
if lacks=$(provide "${FIREFOX:-firefox-esr}:firefox-esr"); then
  npm run --silent firefox
else
  echo "NOT RUN: the smoke path in Firefox: $lacks" >&2
fi
if [ -n "${SWARM:-}" ]; then
  npm run --silent shapes
  npm run --silent daemons
  npm run --silent stopwatch
  npm run --silent get
  # The packages for pages and Node.js, whose WebAssembly `cargo xtask web` has built.
  bin=$PWD/node_modules/.bin
  (cd ../../packages && npm ci --silent && PATH=$bin:$PATH npm run --silent --workspaces types && node --test node/test/ web/test/)
else
  echo "NOT RUN: the faked daemon beside a real one, the page with real daemons, and the stopwatch: SWARM names no binary" >&2
fi
