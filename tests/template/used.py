"""Compares what the policies of template.yaml allow with what the functions were seen to do.

The end-to-end tests run under these policies: what one does not allow is refused there, as IAM
would. So nothing is missing; this says whether something is granted that nobody uses.

    USED_ACTIONS=/tmp/used cargo test -p e2e
    python tests/template/used.py /tmp/used
"""

import sys
from pathlib import Path

from grants import granted
from project import Project


def main(path: str) -> int:
    used = set(Path(path).read_text().splitlines())
    grants = granted(Project.load())
    allowed = {f"{binary} {operation}" for binary in grants for operation in grants[binary]}
    for line in sorted(allowed - used):
        print(f"granted and not used: {line}")
    for line in sorted(used - allowed):
        print(f"used and not granted: {line}")
    print(f"{len(allowed)} grants, {len(used)} of them used")
    return int(allowed != used)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
