#!/usr/bin/env bash
# Checks the types of the console page, and tests the page of a local stack in Chromium. It needs Rust,
# Node.js 20 or later, Python and Chromium, and installs the npm packages. `ONLY=busy run.sh` runs the
# tests with "busy" in their name. CHROMIUM is the path of the browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$PWD/target/ci/console
target=${CARGO_TARGET_DIR:-target}
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
stack_pid=

stop_stack() {
  if [ -n "$stack_pid" ]; then
    kill "$stack_pid" 2>/dev/null || true
    wait "$stack_pid" 2>/dev/null || true
  fi
}
trap stop_stack EXIT

if [ ! -x "$CHROMIUM" ]; then
  echo "no browser at $CHROMIUM: install the Debian package chromium, or set CHROMIUM" >&2
  exit 1
fi

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

rm -rf "$work/console" "$work/tests"
mkdir -p "$work/console" "$work/tests"
cp tests/console/package.json tests/console/tsconfig.json "$work"
cp tests/console/*.mjs "$work/tests"
cp tests/local/console/* "$work/console"
npm install --prefix "$work" --silent --no-audit --no-fund --ignore-scripts
"$work/node_modules/.bin/tsc" --project "$work/tsconfig.json"

cargo build --locked --workspace --bin local
api=$(free_port)
dynamodb=$(free_port)
stream=$(free_port)
env -u STREAM_API_KEY -u STREAM_API_SECRET -u JWT_SECRET -u JWT_JWKS_URL -u JWT_ISSUER -u JWT_AUDIENCE \
  "$target/debug/local" --port "$api" --dynamodb-port "$dynamodb" --stream-port "$stream" --user carol \
  >"$work/local.log" 2>&1 &
stack_pid=$!
for _ in $(seq 3000); do
  if grep -q 'Ctrl-C' "$work/local.log"; then break; fi
  if ! kill -0 "$stack_pid" 2>/dev/null; then
    echo 'the local stack did not start:' >&2
    tail -20 "$work/local.log" >&2
    exit 1
  fi
  sleep 0.2
done

# The page at the end of each test that fails.
export FAILURES_DIR=$work/failures
rm -rf "$FAILURES_DIR"
mkdir "$FAILURES_DIR"
export CONSOLE_URL=http://localhost:$api STREAM_URL=http://localhost:$stream
# The stack is on loopback: a proxy of the environment must not see its requests.
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1
node --test --test-concurrency=1 --test-reporter=spec ${ONLY:+--test-name-pattern="$ONLY"} "$work"/tests/*.test.mjs
