#!/usr/bin/env bash
# Asks a running API what docs/openapi.yaml allows and what it forbids, and holds the answers against it.
#
#   pip install -r tests/openapi/requirements.txt
#   cargo run -p local        # in another shell; a fresh one, since a call's id is used once
#   API_URL=http://localhost:9000 TOKEN=... tests/openapi/fuzz.sh
#
# A service's token reaches most: a user's minute is used up by the first requests, and what is refused after that are
# bodies alone. It erases users, so never point it at a deployment that anybody needs. Nothing signs the webhook's
# requests here, so all of them are refused.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${API_URL:?where the API is, without /api/stream}" "${TOKEN:?a session token, without Bearer}"

post() { # path, body; the token is not to be seen in the list of processes
  curl -sS -o /dev/null --fail-with-body -H @- -H 'content-type: application/json' -d "$2" "$API_URL/api/stream$1" \
    <<<"authorization: Bearer $TOKEN"
}

run() {
  "${SCHEMATHESIS:-schemathesis}" --config-file tests/openapi/schemathesis.toml run docs/openapi.yaml --no-color "$@"
}

# Who asks is known, and in an active call with Bob.
post /token '{}'
post /call/create '{"receiverId": "bob", "callId": "fuzz", "allowParallel": true}'

ends=(--include-operation-id token-revoke --include-operation-id user-delete)
others=(--exclude-operation-id token-revoke --exclude-operation-id user-delete)
failed=0
run "${others[@]}" || failed=1
# At the end: afterwards tokens are refused, and users are gone.
run "${ends[@]}" || failed=1
exit "$failed"
