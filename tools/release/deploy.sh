#!/usr/bin/env bash
# Deploys the package of a release to an environment of samconfig.toml. Rolling back is the deployment of an older
# package.
#
#     tools/release/deploy.sh stream-functions-1.2.3.tar.gz prod
set -euo pipefail

package=${1:?usage: tools/release/deploy.sh PACKAGE ENVIRONMENT}
environment=${2:?usage: tools/release/deploy.sh PACKAGE ENVIRONMENT}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
config=${SAM_CONFIG_FILE:-$root/samconfig.toml}

if [ ! -f "$config" ]; then
  echo "deploy.sh: $config is missing: copy samconfig.toml.example, and set its values" >&2
  exit 2
fi
if [ -f "$package.sha256" ]; then
  (cd "$(dirname "$package")" && sha256sum --check --quiet "$(basename "$package").sha256")
fi

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
tar -xzf "$package" -C "$directory"
sam deploy --template-file "$directory/build/template.yaml" --config-file "$config" --config-env "$environment" \
  --no-confirm-changeset --no-fail-on-empty-changeset
