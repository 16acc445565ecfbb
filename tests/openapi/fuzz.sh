#!/usr/bin/env bash
# Sends valid and invalid requests to a running API, and validates the responses against docs/openapi.yaml.
#
# WARNING: it erases users. Run it against a disposable stack only.
#
#   pip install -r tests/openapi/requirements.txt
#   cargo run -p local        # in another shell; restart it for each run, since a call id cannot be reused
#   API_URL=http://localhost:9000 TOKEN=... tests/openapi/fuzz.sh
#
# TOKEN must be the token of a service: the first requests exhaust a user's rate limit, after which every valid request
# gets 429. The requests to the webhook are not signed, so the webhook rejects all of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${API_URL:?URL of the API, without /api/stream}" "${TOKEN:?session token of a service, without Bearer}"

post() { # path, body; the token is passed on stdin, since arguments are visible in the list of processes
  curl -sS -o /dev/null --fail-with-body -H @- -H 'content-type: application/json' -d "$2" "$API_URL/api/stream$1" \
    <<<"authorization: Bearer $TOKEN"
}

run() {
  "${SCHEMATHESIS:-schemathesis}" --config-file tests/openapi/schemathesis.toml run docs/openapi.yaml --no-color "$@"
}

# Registers the caller, and puts it in an active call with Bob.
post /token '{}'
post /call/create '{"receiverId": "bob", "callId": "fuzz", "allowParallel": true}'

destructive=(--include-operation-id token-revoke --include-operation-id user-delete)
nondestructive=(--exclude-operation-id token-revoke --exclude-operation-id user-delete)
failed=0
run "${nondestructive[@]}" || failed=1
# Last, since they revoke tokens and erase users.
run "${destructive[@]}" || failed=1
exit "$failed"
