# Functions of the scripts that test a local stack. Source it in the root of the workspace, with `set -euo pipefail`.

target=${CARGO_TARGET_DIR:-target}
stack_pid=

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

stop_stack() {
  if [ -n "$stack_pid" ]; then
    kill "$stack_pid" 2>/dev/null || true
    wait "$stack_pid" 2>/dev/null || true
  fi
}

# Builds and starts a stack on free ports, and waits until it is ready. Sets `api` and `stream`, its ports. It stops
# when the script ends. It has no rate limits per user: the tests send the requests of hours in a minute.
start_stack() { # log file, options
  local log=$1 dynamodb
  shift
  trap stop_stack EXIT
  # The features are those of `cargo test --workspace`, so nothing is compiled twice.
  cargo build --locked --workspace --bin local
  api=$(free_port)
  dynamodb=$(free_port)
  stream=$(free_port)
  env -u STREAM_API_KEY -u STREAM_API_SECRET -u JWT_SECRET -u JWT_JWKS_URL -u JWT_ISSUER -u JWT_AUDIENCE \
    "$target/debug/local" --port "$api" --dynamodb-port "$dynamodb" --stream-port "$stream" --no-limits "$@" >"$log" 2>&1 &
  stack_pid=$!
  for _ in $(seq 3000); do
    if grep -q 'Ctrl-C' "$log"; then return; fi
    if ! kill -0 "$stack_pid" 2>/dev/null; then break; fi
    sleep 0.2
  done
  echo 'the local stack did not start:' >&2
  tail -20 "$log" >&2
  exit 1
}
