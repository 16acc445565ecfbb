#!/usr/bin/env bash
# Builds all functions, and writes the package of a release: template and binaries, which deploy.sh deploys.
#
#     tools/release/package.sh stream-functions-1.2.3.tar.gz
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

package=${1:?usage: tools/release/package.sh PACKAGE}

sam build
python3 tools/release/package_sizes.py .aws-sam/build
# The same build gives the same bytes: sorted names, and no times or owners.
tar --sort=name --mtime='UTC 1980-01-01' --owner=0 --group=0 --numeric-owner \
  -C .aws-sam -cf - build | gzip --no-name >"$package"
sha256sum "$package" | tee "$package.sha256"
