"""Checks what functions may do: each what it needs, and nothing else."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from project import ROOT, Project, as_list, resources, statements

TABLE = {"Fn::GetAtt": ["Table", "Arn"]}
INDEX = {"Fn::Sub": "${Table.Arn}/index/due"}
DEAD_LETTERS = {"Fn::GetAtt": ["DeadLetters", "Arn"]}

# The places that a policy may name for each action; for one that is not here, the table.
PLACES: dict[str, list[Any]] = {
    "dynamodb:Query": [INDEX, TABLE],
    "kms:Decrypt": [{"Ref": "SecretsKmsKeyArn"}],
    "secretsmanager:GetSecretValue": [{"Ref": "StreamSecretArn"}, {"Ref": "JwtSecretArn"}],
    "sqs:SendMessage": [DEAD_LETTERS],
    # X-Ray knows no resources.
    "xray:PutTelemetryRecords": ["*"],
    "xray:PutTraceSegments": ["*"],
}

# The policies that several roles share: the variable that a function has where it needs one (None for
# all of them), and the condition without which there is none.
SHARED = {
    "StreamSecretPolicy": ("STREAM_SECRET_ARN", "StreamConfigured"),
    "JwtSecretPolicy": ("JWT_SECRET_ARN", "SessionSecret"),
    "SecretsKeyPolicy": (None, "SecretsKey"),
    "TracesPolicy": (None, "Traced"),
}


def policies(project: Project) -> Iterator[str]:
    scheduled = [{"Fn::GetAtt": [name, "Arn"]} for name, _, _ in project.schedules()]
    for name, resource in project.translated["Resources"].items():
        own_log = {"Fn::GetAtt": [name.removesuffix("Role") + "Log", "Arn"]}
        places = PLACES | {
            "lambda:InvokeFunction": scheduled,
            "logs:CreateLogStream": [own_log],
            "logs:PutLogEvents": [own_log],
        }
        for statement in statements(resource.get("Properties", {})):
            for key in ("NotAction", "NotResource"):
                if key in statement:
                    yield f"{name}: {key} grants everything else"
            for action in as_list(statement.get("Action", [])):
                if not isinstance(action, str) or "*" in action:
                    yield f"{name}: Action {json.dumps(action)}"
                    continue
                for granted in as_list(statement.get("Resource", [])):
                    if granted not in places.get(action, [TABLE]):
                        yield f"{name}: {action} on {json.dumps(granted)}"
                if action == "kms:Decrypt" and "kms:ViaService" not in json.dumps(statement.get("Condition")):
                    yield f"{name}: {action} also where Secrets Manager has no part in it"


def roles(project: Project) -> Iterator[str]:
    translated = project.translated["Resources"]
    owners = defaultdict(list)
    for name, function in resources(project.translated, "AWS::Lambda::Function"):
        owners[project.role_of(name)].append(name)
        if project.role_of(name) is None:
            yield f"{name}: the role that SAM makes may write to every log group"
            continue
        role = translated[project.role_of(name)]["Properties"]
        trusted = [
            (statement["Effect"], as_list(statement["Action"]), statement["Principal"])
            for statement in role["AssumeRolePolicyDocument"]["Statement"]
        ]
        if trusted != [("Allow", ["sts:AssumeRole"], {"Service": "lambda.amazonaws.com"})]:
            yield f"{name}: its role is for {trusted}"
    for role, names in owners.items():
        if role and len(names) > 1:
            yield f"{role} is the role of {' and '.join(names)}"


def shared_policies(project: Project) -> Iterator[str]:
    for name, function in resources(project.translated, "AWS::Lambda::Function"):
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        wanted = [
            {"Fn::If": [condition, {"Ref": policy}, {"Ref": "AWS::NoValue"}]}
            for policy, (variable, condition) in SHARED.items()
            if variable is None or variable in variables
        ]
        role = project.translated["Resources"].get(project.role_of(name), {}).get("Properties", {})
        found = role.get("ManagedPolicyArns", [])
        yield from (f"{name}: it lacks {json.dumps(policy)}" for policy in wanted if policy not in found)
        yield from (f"{name}: it has no use for {json.dumps(policy)}" for policy in found if policy not in wanted)
        for variable, parameter in (("STREAM_SECRET_ARN", "StreamSecretArn"), ("JWT_SECRET_ARN", "JwtSecretArn")):
            if variables.get(variable, {"Ref": parameter}) != {"Ref": parameter}:
                yield f"{name}: {variable} is not {parameter}, which its policy is for"
    for policy, (_, condition) in SHARED.items():
        if project.translated["Resources"].get(policy, {}).get("Condition") != condition:
            yield f"{policy} is there without {condition}"
    for name, resource in resources(project.translated, "AWS::IAM::Role"):
        if name not in {project.role_of(function) for function, _, _ in project.functions()}:
            for arn in resource["Properties"].get("ManagedPolicyArns", []):
                yield f"{name}: managed policy {json.dumps(arn)}"


def granted(project: Project) -> dict[str, set[str]]:
    """What each binary may do with the table, as `Query on an index`."""
    allowed = defaultdict(set)
    for name, _, binary in project.functions():
        role = project.translated["Resources"].get(project.role_of(name), {}).get("Properties", {})
        for statement in statements(role):
            place = " on an index" if "/index/" in str(statement["Resource"]) else ""
            for action in as_list(statement["Action"]):
                service, _, operation = action.partition(":")
                if service == "dynamodb":
                    allowed[binary].add(operation + place)
    return allowed


def documented(binaries: set[str]) -> tuple[dict[str, set[str]], list[str]]:
    """The same, as the access patterns of docs/DATA.md say it, and what of them cannot be read."""
    used, unread = defaultdict(set), []
    text = (ROOT / "docs/DATA.md").read_text()
    table = text.split("\n## Access patterns\n")[1].split("\n## ")[0]
    for line in re.findall(r"^\|(.*)\|$", table, re.M):
        cells = [cell.strip() for cell in line.split(" | ")]
        action = re.fullmatch(r"`dynamodb:(\w+)`(, on the index)?", cells[-1])
        if cells[0] == "function" or set(line) <= set("|-"):
            continue
        # A function, and perhaps of whom or when: `token with ...`, `config, deep=true`.
        named = [re.split(r"[ ,]", part.strip())[0] for part in re.split(r"[,;]", cells[0])]
        named = [name for name in named if not name.startswith("`")]
        if action is None or not named or not set(named) <= binaries:
            unread.append(line.strip())
            continue
        for name in named:
            used[name].add(action[1] + (" on an index" if action[2] else ""))
    return used, unread


def access_patterns(project: Project) -> Iterator[str]:
    allowed = granted(project)
    binaries = {binary for _, _, binary in project.functions()}
    used, unread = documented(binaries)
    yield from (f"docs/DATA.md: no access pattern: {line}" for line in unread)
    for binary in sorted(binaries):
        for operation in sorted(allowed[binary] - used[binary]):
            yield f"{binary}: docs/DATA.md does not say what {operation} is for"
        for operation in sorted(used[binary] - allowed[binary]):
            yield f"{binary}: it may not do {operation}, of docs/DATA.md"


CHECKS = {
    "every policy names what is the project's own, and no wildcard": policies,
    "every function has a role of its own, for Lambda alone": roles,
    "every function may read the secrets that it is told of, and no others": shared_policies,
    "every function may do with the table what docs/DATA.md says": access_patterns,
}
