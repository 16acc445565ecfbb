#!/usr/bin/env bash
# Runs Stream's client SDKs and server SDKs against the local stack, and prints a matrix of SDKs and
# operations. It needs Rust, Node.js 20.19 or later and Python, and installs the SDKs from npm and
# PyPI. `run.sh chat_client` runs one suite; ONLY selects operations by a part of their name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

root=$PWD
work=$root/target/ci/sdk
. tests/local/stack.sh
export RESULTS_DIR=$work/results

if ! node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
  process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'; then
  echo "Node.js $(node --version) is too old: install 20.19 or later" >&2
  exit 1
fi

# The value of a constant of the stack, by its name in Rust.
read_constant() { sed -n "s/^pub const $1: &str = \"\(.*\)\";/\1/p" tests/local/src/options.rs; }

mkdir -p "$work"
rm -rf "$RESULTS_DIR" "$work/js" "$work/python" "$work/react-native"
mkdir "$RESULTS_DIR"
cp -r tests/sdk/js tests/sdk/python tests/sdk/react-native "$work"
cp tests/sdk/package.json "$work"
# The peers of the React Native SDKs are native modules, for which react-native/ has stubs. esbuild
# needs no install script.
npm install --prefix "$work" --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps
if [ ! -x "$work/venv/bin/python" ]; then python3 -m venv "$work/venv"; fi
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/sdk/requirements.txt
node "$work/react-native/bundle.mjs" "$work/react-native/bundle.cjs"

start_stack "$work/local.log"

# `localhost`, since a stack may listen on one of its addresses only.
export API_URL=http://localhost:$api STREAM_URL=http://localhost:$stream
STREAM_API_KEY=$(read_constant STREAM_API_KEY)
STREAM_API_SECRET=$(read_constant STREAM_API_SECRET)
JWT_SECRET=$(read_constant JWT_SECRET)
export STREAM_API_KEY STREAM_API_SECRET JWT_SECRET
# The stack is on loopback: a proxy of the environment must not see its requests.
export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1

selected=${1:-}
run_suite() { # name, command
  local name=$1
  shift
  if [ -z "$selected" ] || [ "$selected" = "$name" ]; then
    # The matrix reports failures, after all suites have run.
    "$@" || true
  fi
}
run_suite chat_client node "$work/js/chat_client.mjs"
run_suite video_client node "$work/js/video_client.mjs"
run_suite react_native_chat node "$work/react-native/run.mjs" "$work/react-native/bundle.cjs" chat
run_suite react_native_video node "$work/react-native/run.mjs" "$work/react-native/bundle.cjs" video
run_suite chat_server node "$work/js/chat_server.mjs"
run_suite python_chat "$work/venv/bin/python" "$work/python/chat_server.py"
run_suite python_getstream "$work/venv/bin/python" "$work/python/getstream_server.py"
run_suite docs_script node "$work/js/docs_script.mjs" "$root/docs/LOCAL.md"

echo
node "$work/js/matrix.mjs" docs/TESTING.md ${selected:+"$selected"}
