#!/usr/bin/env bash
# Checks the types of the console page, and tests the page of a local stack in Chromium. It needs Rust,
# Node.js 20 or later, Python and Chromium, and installs the npm packages. `ONLY=busy run.sh` runs the
# tests with "busy" in their name. CHROMIUM is the path of the browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$PWD/target/ci/console
. tests/local/stack.sh
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}

if [ ! -x "$CHROMIUM" ]; then
  echo "no browser at $CHROMIUM: install the Debian package chromium, or set CHROMIUM" >&2
  exit 1
fi

rm -rf "$work/console" "$work/tests"
mkdir -p "$work/console" "$work/tests"
cp tests/console/package.json tests/console/tsconfig.json "$work"
cp tests/console/*.mjs "$work/tests"
cp tests/local/console/* "$work/console"
npm install --prefix "$work" --silent --no-audit --no-fund --ignore-scripts
"$work/node_modules/.bin/tsc" --project "$work/tsconfig.json"

start_stack "$work/local.log" --user carol

# The page at the end of each test that fails.
export FAILURES_DIR=$work/failures
rm -rf "$FAILURES_DIR"
mkdir "$FAILURES_DIR"
export CONSOLE_URL=http://localhost:$api STREAM_URL=http://localhost:$stream
# The stack is on loopback: a proxy of the environment must not see its requests.
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1
node --test --test-concurrency=1 --test-reporter=spec ${ONLY:+--test-name-pattern="$ONLY"} "$work"/tests/*.test.mjs
