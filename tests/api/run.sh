#!/bin/sh
# Compares a daemon with its OpenAPI document: the document is validated, and schemathesis asks every operation as an admin, with data that the document
# allows and data that it does not. No answer may be a server error, or of a status, type or shape that is not described.
#
# usage: tests/api/run.sh BINARY [SECONDS]. What it needs from PyPI goes into a venv: $API_TEST_VENV, or api-test in cargo's target folder. It says
# NOT RUN and why where that cannot be.
set -u
binary=$(realpath "$1") || exit 1
# Before the folder changes: either may be relative.
venv=$(realpath -m "${API_TEST_VENV:-${CARGO_TARGET_DIR:-$(dirname "$0")/../../target}/api-test}")
seconds=${2:-180}
cd "$(dirname "$0")/../.." || exit 1

not_run() {
    echo "NOT RUN: the OpenAPI document against a daemon: $1" >&2
    exit 0
}

command -v python3 >/dev/null && command -v curl >/dev/null || not_run "it takes python3 and curl"
if ! "$venv/bin/schemathesis" --version >/dev/null 2>&1; then
    python3 -m venv "$venv" >/dev/null 2>&1 || not_run "python3 makes no venv here: install python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/api/requirements.txt ||
        not_run "pip does not get what tests/api/requirements.txt names"
fi

# Deep enough that no path with `..` leaves it. The daemon makes folders that it is asked for, so it runs as nobody if this is root.
root=$(mktemp -d)
dir=$root/a/b/c/d/daemon
mkdir -p "$dir/lib/films"
echo "a text" >"$dir/lib/a.txt"
echo "a film" >"$dir/lib/films/b.mov"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
echo "{\"port\": $port, \"listen\": \"127.0.0.1\", \"lan\": false}" >"$dir/config.json"
echo '[{"user": "adam", "pass": "of the admin", "role": "admin"}]' >"$dir/users.json"
echo '{"Lib 1": {"guid": "jdfhdhdbe484746", "mounts": [{"dir": "lib", "libpath": "/", "sync": true}]}}' >"$dir/libraries.json"
as_nobody=
if [ "$(id -u)" = 0 ]; then
    command -v setpriv >/dev/null || not_run "as root it takes setpriv"
    chmod 755 "$root" && chown -R 65534:65534 "$root/a"
    cp "$binary" "$root/swarm" && binary=$root/swarm
    as_nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
fi
SWARM_STATE_DIR=$dir/state SWARM_NO_LAN=1 $as_nobody "$binary" daemon --dir "$dir" >"$root/log" 2>&1 &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait $daemon 2>/dev/null; rm -rf "$root"' EXIT
base=http://127.0.0.1:$port
tries=0
until curl -sf -u "adam:of the admin" "$base/files?guid=jdfhdhdbe484746" 2>/dev/null | grep -q b.mov; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat "$root/log"; exit 1; }
    sleep 0.2
done
curl -sf "$base/api/openapi.json" >"$root/openapi.json" || exit 1

# It leaves what it found in the folder where it runs.
cd "$root" || exit 1
"$venv/bin/openapi-spec-validator" "$root/openapi.json" || exit 1

# A file whose bytes are on their way here is answered with 503, as the document says: status_code_conformance holds it to that.
cat >"$root/schemathesis.toml" <<'TOML'
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
TOML

# It knows no bytes by this name.
cat >"$root/hooks.py" <<'PY'
import schemathesis

schemathesis.serializer.alias("application/partial-upload", "application/octet-stream")
PY
export SCHEMATHESIS_HOOKS=hooks PYTHONPATH="$root"

checks="not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"
ask() {
    "$venv/bin/schemathesis" run "$root/openapi.json" --url "$base" \
        --checks "$checks" --request-timeout 20 --suppress-health-check all --seed 1 --max-failures 20 --workers 1 "$@"
}
# Events do not end. Logins that fail cost a wait for this address, so those are asked last, and fewer.
basic=$(printf 'adam:of the admin' | base64)
ask --max-time "$seconds" --max-examples 20 -H "Authorization: Basic $basic" --exclude-path /api/v1/events --exclude-path /login \
    --exclude-path /auth/token || failed=1
ask --max-time 20 --max-examples 20 --include-path /login --include-path /auth/token || failed=1
kill -0 $daemon || { echo "the daemon has ended"; failed=1; }
if grep -q "panicked" "$root/log"; then
    grep -A5 "panicked" "$root/log"
    failed=1
fi
exit "${failed:-0}"
