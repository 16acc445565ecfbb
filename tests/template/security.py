"""Runs checkov's checks on the translation of template.yaml, with the exceptions that are argued here.

checkov and the SAM CLI want different versions of boto3, so each has an environment of its own. This
file runs in the SAM CLI's, which has the translator, and is told where checkov is:

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

# What is not done, and why. An exception that nothing needs any more fails.
EXCEPTIONS = {
    "CKV_AWS_115": "Reserved concurrency is a parameter of the two functions that others could starve, sweeper and "
    "webhook. A reservation for each of the others would only keep them from using what is free.",
    "CKV_AWS_116": "A dead-letter queue is for asynchronous invocations. The functions of the API have none, and the "
    "sweeper's go to the queue as its failure destination, which this check does not know.",
    "CKV_AWS_117": "The functions reach DynamoDB, Secrets Manager and Stream, all of them by TLS at public addresses. "
    "A VPC would add a NAT gateway, and a cold start's time, and protect nothing.",
    "CKV_AWS_119": "The table is encrypted with the key that AWS manages for DynamoDB in this account. A key of one's "
    "own lets somebody else hold the key; who needs that can add it.",
    "CKV_AWS_158": "CloudWatch Logs encrypts what it keeps. No secrets are in it, and it is not kept for long.",
    "CKV_AWS_173": "No secret is in the variables, and Lambda encrypts them anyway.",
    "CKV_AWS_27": "The queue is encrypted by SQS's own key (SqsManagedSseEnabled); this check knows KMS alone. What "
    "is in it is the name of a task.",
}


def run(checkov: str, template: dict[str, Any]) -> dict[str, Any]:
    """checkov's report."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.json"
        path.write_text(json.dumps(template))
        command = [checkov, "--file", str(path), "--framework", "cloudformation", "--output", "json", "--compact"]
        # Nothing is fetched, and nothing is sent.
        done = subprocess.run([*command, "--skip-download"], capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        sys.exit(f"checkov: {done.stdout}{done.stderr}")


def main(checkov: str) -> int:
    report = run(checkov, Project.load().translated)
    summary = report["summary"]
    failed = report["results"]["failed_checks"]
    wrong = [check for check in failed if check["check_id"] not in EXCEPTIONS]
    excepted = Counter(check["check_id"] for check in failed if check["check_id"] in EXCEPTIONS)
    for check in wrong:
        print(f"FAIL {check['check_id']} {check['resource']}: {check['check_name']}")
    unused = sorted(EXCEPTIONS.keys() - excepted.keys())
    for check_id in unused:
        print(f"FAIL {check_id} is an exception that nothing needs")
    if summary["parsing_errors"] or not summary["passed"]:
        print(f"FAIL checkov has read nothing: {summary}")
        return 1
    print(
        f"checkov {summary['checkov_version']}: {summary['passed']} passed, {len(wrong)} failed, "
        f"{sum(excepted.values())} excepted ({', '.join(f'{it} x{n}' for it, n in sorted(excepted.items()))}), "
        f"{summary['resource_count']} resources"
    )
    return int(bool(wrong or unused))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
