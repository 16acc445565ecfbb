"""Runs checkov on the translation of template.yaml, except for the checks in EXCEPTIONS.

checkov and the SAM CLI require different versions of boto3, so each has its own environment. This
script runs in that of the SAM CLI, which has the translator. Its argument is the path of checkov:

    python -m venv ENV && ENV/bin/pip install -r tests/template/checkov.txt
    python tests/template/security.py ENV/bin/checkov
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from project import Project

# Checks that are not followed, with the reason. An exception that is no longer needed fails.
EXCEPTIONS = {
    "CKV_AWS_115": "Reserved concurrency is a parameter of sweeper and webhook, which other functions could starve. "
    "A reservation for every other function would only limit its use of free concurrency.",
    "CKV_AWS_116": "A dead-letter queue is for asynchronous invocations. The API functions have none. The sweeper and "
    "call-history have a failure destination, which this check does not support; call-events has that of its pipe.",
    "CKV_AWS_117": "The functions call DynamoDB, Secrets Manager and Stream over TLS at public endpoints. "
    "A VPC would add a NAT gateway and latency of cold starts, and no protection.",
    "CKV_AWS_119": "The table is encrypted with the AWS managed key of DynamoDB. A customer managed key separates the "
    "administration of the key, and can be added where that is required.",
    "CKV_AWS_158": "CloudWatch Logs encrypts its data. The logs contain no secrets, and expire after LogRetentionDays.",
    "CKV_AWS_173": "The variables contain no secrets, and Lambda encrypts them by default.",
    "CKV_AWS_27": "The queues are encrypted with a key of SQS (SqsManagedSseEnabled); this check supports KMS only. "
    "Their messages contain the name of a task, or a position in the table's stream.",
}


def run_checkov(checkov: str, template: dict[str, Any]) -> dict[str, Any]:
    """Returns checkov's report."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.json"
        path.write_text(json.dumps(template))
        command = [checkov, "--file", str(path), "--framework", "cloudformation", "--output", "json", "--compact"]
        # Without --skip-download checkov downloads data from its vendor.
        result = subprocess.run([*command, "--skip-download"], capture_output=True, text=True, check=False)
    try:
        return json.loads(result.stdout)
    except ValueError:
        sys.exit(f"checkov: {result.stdout}{result.stderr}")


def main(checkov: str) -> int:
    report = run_checkov(checkov, Project.load().translated)
    summary = report["summary"]
    failed = report["results"]["failed_checks"]
    failures = [check for check in failed if check["check_id"] not in EXCEPTIONS]
    excepted = Counter(check["check_id"] for check in failed if check["check_id"] in EXCEPTIONS)
    for check in failures:
        print(f"FAIL {check['check_id']} {check['resource']}: {check['check_name']}")
    unused = sorted(EXCEPTIONS.keys() - excepted.keys())
    for check_id in unused:
        print(f"FAIL {check_id} in EXCEPTIONS is not needed")
    if summary["parsing_errors"] or not summary["passed"]:
        print(f"FAIL checkov did not parse the template: {summary}")
        return 1
    exceptions = ", ".join(f"{check_id} x{count}" for check_id, count in sorted(excepted.items()))
    print(
        f"checkov {summary['checkov_version']}: {summary['passed']} passed, {len(failures)} failed, "
        f"{sum(excepted.values())} excepted ({exceptions}), "
        f"{summary['resource_count']} resources"
    )
    return int(bool(failures or unused))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
