"""The resources of a deployment that a restore concerns."""

from __future__ import annotations

import dataclasses

import boto3


class Clients:
    """The AWS clients, all of the same session."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        session = session or boto3.Session()
        self.cloudformation = session.client('cloudformation')
        self.dynamodb = session.client('dynamodb')
        self.lambda_ = session.client('lambda')
        self.pipes = session.client('pipes')
        self.scheduler = session.client('scheduler')


@dataclasses.dataclass(frozen=True)
class Deployment:
    stack: str
    table: str
    functions: tuple[str, ...]
    schedules: tuple[str, ...]
    mappings: tuple[str, ...]
    pipe: str | None


def find(clients: Clients, stack: str) -> Deployment:
    """The resources of a stack, by their logical ids and types in template.yaml."""
    by_type: dict[str, list[str]] = {}
    table = None
    for page in clients.cloudformation.get_paginator('list_stack_resources').paginate(StackName=stack):
        for resource in page['StackResourceSummaries']:
            name = resource.get('PhysicalResourceId')
            if not name:
                continue
            by_type.setdefault(resource['ResourceType'], []).append(name)
            if resource['LogicalResourceId'] == 'Table':
                table = name
    if table is None:
        raise LookupError(f'the stack {stack} has no resource Table')
    of_type = lambda kind: tuple(sorted(by_type.get(kind, [])))
    pipes = of_type('AWS::Pipes::Pipe')
    return Deployment(stack, table, of_type('AWS::Lambda::Function'), of_type('AWS::Scheduler::Schedule'),
                      of_type('AWS::Lambda::EventSourceMapping'), pipes[0] if pipes else None)
