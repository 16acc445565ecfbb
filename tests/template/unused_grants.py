"""Compares the DynamoDB operations that template.yaml grants with those that the functions used.

The end-to-end tests enforce the policies as IAM does, so a missing grant fails there. This script
finds the grants that no function uses.

    USED_ACTIONS=/tmp/used cargo test -p e2e
    python tests/template/unused_grants.py /tmp/used
"""

import sys
from pathlib import Path

from grants import granted_actions
from project import Project


def main(path: str) -> int:
    used = set(Path(path).read_text().splitlines())
    grants = granted_actions(Project.load())
    allowed = {f"{binary} {operation}" for binary in grants for operation in grants[binary]}
    for line in sorted(allowed - used):
        print(f"granted, but not used: {line}")
    for line in sorted(used - allowed):
        print(f"used, but not granted: {line}")
    print(f"{len(allowed)} grants, {len(used)} of them used")
    return int(allowed != used)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
