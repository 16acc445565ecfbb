#!/usr/bin/env bash
# Builds the package, and runs its tests.
#
# With API_URL and STREAM_URL (the API and the emulator of a local stack) it also runs a call against the stack, with
# the package and with clients of three generators. SERVICE_TOKEN is the session token of a service.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

install() { npm ci --silent --no-audit --no-fund "$@"; }

rm -rf dist test-build
install --ignore-scripts
npm run --silent check-generated
npm run --silent build
npx tsc -p tsconfig.test.json
node --test --test-reporter=spec test-build/unit/*.test.js test-build/quality/*.test.js
npm pack --dry-run --json --ignore-scripts | node test/package-size.mjs

if [ -z "${API_URL:-}" ]; then
  echo 'API_URL is not set: no test against a stack'
  exit
fi
node --test --test-reporter=spec test-build/stack/*.test.js
cd test/generators
install --ignore-scripts
./generate.sh
node --test --test-reporter=spec build/*.test.js
