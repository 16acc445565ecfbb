"""Checks IAM permissions: every function has exactly those that it needs."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from project import ROOT, Project, as_list, resources, statements

TABLE_ARN = {"Fn::GetAtt": ["Table", "Arn"]}
INDEX_ARN = {"Fn::Sub": "${Table.Arn}/index/due"}
STREAM_ARN = {"Fn::GetAtt": ["Table", "StreamArn"]}
# ListStreams is not limited to one stream: a table can have an older one.
EVERY_STREAM_ARN = {"Fn::Sub": "${Table.Arn}/stream/*"}
DEAD_LETTER_QUEUE_ARN = {"Fn::GetAtt": ["DeadLetters", "Arn"]}

# The dead-letter queue of the roles that have one of their own.
QUEUES = {"CallHistoryRole": "HistoryDeadLetters", "EventPipeRole": "EventDeadLetters"}

# The resources that a policy may name for each action. The default is the table.
ALLOWED_RESOURCES: dict[str, list[Any]] = {
    "dynamodb:DescribeStream": [STREAM_ARN],
    "dynamodb:GetRecords": [STREAM_ARN],
    "dynamodb:GetShardIterator": [STREAM_ARN],
    "dynamodb:ListStreams": [EVERY_STREAM_ARN],
    "dynamodb:Query": [INDEX_ARN, TABLE_ARN],
    "events:PutEvents": [{"Fn::GetAtt": ["EventBus", "Arn"]}],
    "kms:Decrypt": [{"Ref": "SecretsKmsKeyArn"}],
    "secretsmanager:GetSecretValue": [{"Ref": "StreamSecretArn"}, {"Ref": "JwtSecretArn"}],
    # X-Ray has no resource-level permissions.
    "xray:PutTelemetryRecords": ["*"],
    "xray:PutTraceSegments": ["*"],
}

# Managed policies that several roles share: the variables of the functions that need the policy (one of
# them; None for every function), and the condition under which the policy exists.
SHARED_POLICIES = {
    "StreamSecretPolicy": ({"STREAM_SECRET_ARN"}, "StreamConfigured"),
    "JwtSecretPolicy": ({"JWT_SECRET_ARN"}, "SessionSecret"),
    "SecretsKeyPolicy": ({"STREAM_SECRET_ARN", "JWT_SECRET_ARN"}, "SecretsKey"),
    "TracesPolicy": (None, "Traced"),
}


def policies(project: Project) -> Iterator[str]:
    invoked = [{"Fn::GetAtt": [name, "Arn"]} for name, _, _ in [*project.schedules(), *project.pipes()]]
    for name, resource in project.translated["Resources"].items():
        own_log = {"Fn::GetAtt": [name.removesuffix("Role") + "Log", "Arn"]}
        allowed_resources = ALLOWED_RESOURCES | {
            "lambda:InvokeFunction": invoked,
            "logs:CreateLogStream": [own_log],
            "logs:PutLogEvents": [own_log],
            "sqs:SendMessage": [{"Fn::GetAtt": [QUEUES.get(name, "DeadLetters"), "Arn"]}],
        }
        for statement in statements(resource.get("Properties", {})):
            for key in ("NotAction", "NotResource"):
                if key in statement:
                    yield f"{name}: {key} grants everything that it does not list"
            for action in as_list(statement.get("Action", [])):
                if not isinstance(action, str) or "*" in action:
                    yield f"{name}: Action {json.dumps(action)} must be a name without wildcards"
                    continue
                for resource_arn in as_list(statement.get("Resource", [])):
                    if resource_arn not in allowed_resources.get(action, [TABLE_ARN]):
                        yield f"{name}: {action} is not allowed on {json.dumps(resource_arn)}"
                if action == "kms:Decrypt" and "kms:ViaService" not in json.dumps(statement.get("Condition")):
                    yield f"{name}: {action} must be limited to Secrets Manager by kms:ViaService"


def roles(project: Project) -> Iterator[str]:
    translated = project.translated["Resources"]
    owners = defaultdict(list)
    for name, function in resources(project.translated, "AWS::Lambda::Function"):
        owners[project.role_name(name)].append(name)
        if project.role_name(name) is None:
            yield f"{name}: Role is missing, and the role that SAM creates may write to every log group"
            continue
        role = translated[project.role_name(name)]["Properties"]
        trust = [
            (statement["Effect"], as_list(statement["Action"]), statement["Principal"])
            for statement in role["AssumeRolePolicyDocument"]["Statement"]
        ]
        if trust != [("Allow", ["sts:AssumeRole"], {"Service": "lambda.amazonaws.com"})]:
            yield f"{name}: its role trusts {trust}"
    for role, names in owners.items():
        if role and len(names) > 1:
            yield f"{role} is shared by {' and '.join(names)}"


def shared_policies(project: Project) -> Iterator[str]:
    for name, function in resources(project.translated, "AWS::Lambda::Function"):
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        expected = [
            {"Fn::If": [condition, {"Ref": policy}, {"Ref": "AWS::NoValue"}]}
            for policy, (needed_for, condition) in SHARED_POLICIES.items()
            if needed_for is None or needed_for & variables.keys()
        ]
        role = project.translated["Resources"].get(project.role_name(name), {}).get("Properties", {})
        found = role.get("ManagedPolicyArns", [])
        yield from (f"{name}: missing policy {json.dumps(policy)}" for policy in expected if policy not in found)
        yield from (f"{name}: unneeded policy {json.dumps(policy)}" for policy in found if policy not in expected)
        for variable, parameter in (("STREAM_SECRET_ARN", "StreamSecretArn"), ("JWT_SECRET_ARN", "JwtSecretArn")):
            if variables.get(variable, {"Ref": parameter}) != {"Ref": parameter}:
                yield f"{name}: {variable} must be {parameter}, to which its policy is limited"
    for policy, (_, condition) in SHARED_POLICIES.items():
        if project.translated["Resources"].get(policy, {}).get("Condition") != condition:
            yield f"{policy} must have the condition {condition}"
    for name, resource in resources(project.translated, "AWS::IAM::Role"):
        if name not in {project.role_name(function) for function, _, _ in project.functions()}:
            for arn in resource["Properties"].get("ManagedPolicyArns", []):
                yield f"{name}: only functions may have managed policies, found {json.dumps(arn)}"


def granted_actions(project: Project) -> dict[str, set[str]]:
    """The operations on the table that each binary is granted, such as `Query on an index`.

    Those on the stream are not among them: Lambda reads it, and not the function.
    """
    allowed = defaultdict(set)
    for name, _, binary in project.functions():
        role = project.translated["Resources"].get(project.role_name(name), {}).get("Properties", {})
        for statement in statements(role):
            if statement["Resource"] in (STREAM_ARN, EVERY_STREAM_ARN):
                continue
            suffix = " on an index" if "/index/" in str(statement["Resource"]) else ""
            for action in as_list(statement["Action"]):
                service, _, operation = action.partition(":")
                if service == "dynamodb":
                    allowed[binary].add(operation + suffix)
    return allowed


def documented_actions(binaries: set[str]) -> tuple[dict[str, set[str]], list[str]]:
    """The same from the access patterns of docs/DATA.md, and the rows that cannot be parsed."""
    actions, unparsed = defaultdict(set), []
    text = (ROOT / "docs/DATA.md").read_text()
    table = text.split("\n## Access patterns\n")[1].split("\n## ")[0]
    for line in re.findall(r"^\|(.*)\|$", table, re.M):
        cells = [cell.strip() for cell in line.split(" | ")]
        action = re.fullmatch(r"`dynamodb:(\w+)`(, on the index)?", cells[-1])
        if cells[0] == "function" or set(line) <= set("|-"):
            continue
        # A function, with an optional condition: `token with ...`, `config, deep=true`.
        names = [re.split(r"[ ,]", part.strip())[0] for part in re.split(r"[,;]", cells[0])]
        names = [name for name in names if not name.startswith("`")]
        if action is None or not names or not set(names) <= binaries:
            unparsed.append(line.strip())
            continue
        for name in names:
            actions[name].add(action[1] + (" on an index" if action[2] else ""))
    return actions, unparsed


def access_patterns(project: Project) -> Iterator[str]:
    allowed = granted_actions(project)
    binaries = {binary for _, _, binary in project.functions()}
    documented, unparsed = documented_actions(binaries)
    yield from (f"docs/DATA.md: cannot parse the access pattern: {line}" for line in unparsed)
    for binary in sorted(binaries):
        for operation in sorted(allowed[binary] - documented[binary]):
            yield f"{binary}: {operation} is granted, but not in the access patterns of docs/DATA.md"
        for operation in sorted(documented[binary] - allowed[binary]):
            yield f"{binary}: {operation} is in the access patterns of docs/DATA.md, but not granted"


CHECKS = {
    "every policy names resources of the project, and has no wildcard": policies,
    "every function has its own role, which trusts Lambda only": roles,
    "every function may read exactly the secrets that its variables name": shared_policies,
    "every function is granted exactly the DynamoDB operations of docs/DATA.md": access_patterns,
}
