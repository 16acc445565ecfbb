"""Checks tools/release/deployer-policy.json: a deployment needs the creation of each type of resource."""

import json
from collections.abc import Iterator
from typing import Any

from project import ROOT, Project, as_list

POLICY = ROOT / "tools/release/deployer-policy.json"

# IAM's limit on the inline policies of a role, without white space.
MAX_INLINE_BYTES = 10_240

# The action that creates a resource of the type, and one that deletes it. The table is retained.
ACTIONS = {
    "AWS::ApiGatewayV2::Api": ("apigateway:POST", "apigateway:DELETE"),
    "AWS::ApiGatewayV2::ApiMapping": ("apigateway:POST", "apigateway:DELETE"),
    "AWS::ApiGatewayV2::DomainName": ("apigateway:POST", "apigateway:DELETE"),
    "AWS::ApiGatewayV2::Stage": ("apigateway:POST", "apigateway:DELETE"),
    "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"),
    "AWS::DynamoDB::Table": ("dynamodb:CreateTable", None),
    "AWS::Events::Archive": ("events:CreateArchive", "events:DeleteArchive"),
    "AWS::Events::EventBus": ("events:CreateEventBus", "events:DeleteEventBus"),
    "AWS::IAM::ManagedPolicy": ("iam:CreatePolicy", "iam:DeletePolicy"),
    "AWS::IAM::Role": ("iam:CreateRole", "iam:DeleteRole"),
    "AWS::KMS::Key": ("kms:CreateKey", "kms:ScheduleKeyDeletion"),
    "AWS::Lambda::EventInvokeConfig": ("lambda:PutFunctionEventInvokeConfig", "lambda:DeleteFunctionEventInvokeConfig"),
    "AWS::Lambda::EventSourceMapping": ("lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping"),
    "AWS::Lambda::Function": ("lambda:CreateFunction", "lambda:DeleteFunction"),
    "AWS::Lambda::Permission": ("lambda:AddPermission", "lambda:RemovePermission"),
    "AWS::Logs::LogGroup": ("logs:CreateLogGroup", "logs:DeleteLogGroup"),
    "AWS::Logs::MetricFilter": ("logs:PutMetricFilter", "logs:DeleteMetricFilter"),
    "AWS::Pipes::Pipe": ("pipes:CreatePipe", "pipes:DeletePipe"),
    "AWS::SNS::Topic": ("sns:CreateTopic", "sns:DeleteTopic"),
    "AWS::SQS::Queue": ("sqs:CreateQueue", "sqs:DeleteQueue"),
    "AWS::Scheduler::Schedule": ("scheduler:CreateSchedule", "scheduler:DeleteSchedule"),
}


def deployer_policy(project: Project) -> Iterator[str]:
    policy: dict[str, Any] = json.loads(POLICY.read_text())
    granted = {action for statement in policy["Statement"] for action in as_list(statement["Action"])}
    yield from (f"the action {action} must not have a wildcard" for action in sorted(granted) if "*" in action)
    for kind in sorted({resource["Type"] for resource in project.translated["Resources"].values()}):
        if kind not in ACTIONS:
            yield f"{kind}: name its actions in tests/template/deployer.py"
            continue
        yield from (f"{kind} requires {action}" for action in ACTIONS[kind] if action and action not in granted)
    size = len(json.dumps(policy, separators=(",", ":")))
    if size > MAX_INLINE_BYTES:
        yield f"the policy has {size} bytes, and an inline policy at most {MAX_INLINE_BYTES}"


CHECKS = {"the policy of the deployer grants each type of resource": deployer_policy}
