"""Compares what the policies of template.yaml allow with what the functions were seen to do.

The end-to-end tests run under these policies: what one does not allow is refused there, as IAM
would. So nothing is missing; this says whether something is granted that nobody uses.

    USED_ACTIONS=/tmp/used cargo test -p e2e
    python tests/template/used.py /tmp/used
"""

import sys
from pathlib import Path

from check import Project


def granted(project: Project) -> set[str]:
    lines = set()
    for _, properties, binary in project.functions():
        for policy in properties["Policies"]:
            for statement in policy["Statement"]:
                actions = statement["Action"]
                place = " on an index" if "/index/" in str(statement["Resource"]) else ""
                for action in [actions] if isinstance(actions, str) else actions:
                    service, _, operation = action.partition(":")
                    if service == "dynamodb":
                        lines.add(f"{binary} {operation}{place}")
    return lines


def main(path: str) -> int:
    used = set(Path(path).read_text().splitlines())
    allowed = granted(Project.load())
    for line in sorted(allowed - used):
        print(f"granted and not used: {line}")
    for line in sorted(used - allowed):
        print(f"used and not granted: {line}")
    print(f"{len(allowed)} grants, {len(used)} of them used")
    return int(allowed != used)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
