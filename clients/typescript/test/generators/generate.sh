#!/usr/bin/env bash
# Makes a client with each generator, and compiles it. API_URL is the address of the API.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
: "${API_URL:?}"
description=../../../../docs/openapi.yaml
rm -rf generated build
npx openapi-ts --input "$description" --output generated/hey-api --silent
npx openapi-typescript "$description" --output generated/openapi-typescript.ts >/dev/null
npx orval --config orval.config.cjs >/dev/null
npx tsc -p tsconfig.json
