"""A deployment in moto, an in-process stand-in for AWS.

moto ignores the time of a restore and copies the table as it is. So these tests record the items at the restored time,
and moto copies the record."""

import copy
import dataclasses
import datetime
import os
import pathlib
import sys

REGION = 'eu-central-1'
os.environ.update(AWS_ACCESS_KEY_ID='test', AWS_SECRET_ACCESS_KEY='test', AWS_DEFAULT_REGION=REGION)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'tools' / 'restore'))

import boto3
import pytest
from moto import mock_aws
from moto.awslambda_simple.models import lambda_simple_backends
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends

from restore import deployment
from restore.deployment import Clients
from restore.tables import Tables
from stack import STACK, template


class Stage:
    """The deployment, its clock of waits, and its recorded items."""

    def __init__(self, monkeypatch) -> None:
        self.session = boto3.Session()
        self.clients = Clients(self.session)
        role = self.session.client('iam').create_role(RoleName='function', AssumeRolePolicyDocument='{}')['Role']['Arn']
        self.session.client('cloudformation').create_stack(StackName=STACK, TemplateBody=template(role))
        self.clients.scheduler.create_schedule(
            Name='sweep', ScheduleExpression='rate(1 minute)', FlexibleTimeWindow={'Mode': 'OFF'},
            Target={'Arn': 'arn:aws:lambda:eu-central-1:123456789012:function:sweeper', 'RoleArn': role,
                    'Input': '{"task":"sweep"}'})
        find = deployment.find
        monkeypatch.setattr(deployment, 'find', lambda clients, stack: dataclasses.replace(
            find(clients, stack), schedules=('default|sweep',)))
        self.deployment = deployment.find(self.clients, STACK)
        self.table = self.deployment.table
        self.waits: list[float] = []
        # The parameters of each request that changes a table, since moto ignores some.
        self.requests: list[tuple[str, dict]] = []
        for operation in ('DeleteTable', 'UpdateTable', 'RestoreTableToPointInTime'):
            self.clients.dynamodb.meta.events.register(
                f'before-parameter-build.dynamodb.{operation}',
                lambda params, model, **_: self.requests.append((model.name, dict(params))))
        self._backend = dynamodb_backends[ACCOUNT][REGION]
        self.clients.dynamodb.update_continuous_backups(
            TableName=self.table, PointInTimeRecoverySpecification={'PointInTimeRecoveryEnabled': True})
        # moto's CloudFormation ignores the setting.
        self.clients.dynamodb.update_time_to_live(
            TableName=self.table, TimeToLiveSpecification={'Enabled': True, 'AttributeName': 'ttl'})
        self.recorded = None
        restore = DynamoDBBackend.restore_table_to_point_in_time

        def restore_recorded(backend, target_table_name, source_table_name):
            table = restore(backend, target_table_name, source_table_name)
            table.items = copy.deepcopy(self.recorded)
            return table

        monkeypatch.setattr(DynamoDBBackend, 'restore_table_to_point_in_time', restore_recorded)

    def restorable_time(self) -> datetime.datetime:
        description = self.clients.dynamodb.describe_continuous_backups(TableName=self.table)
        recovery = description['ContinuousBackupsDescription']['PointInTimeRecoveryDescription']
        return recovery['LatestRestorableDateTime']

    def record(self) -> None:
        """Records the items of the live table: the state that a restore brings back."""
        self.recorded = copy.deepcopy(self._backend.tables[self.table].items)

    def put(self, *items: dict) -> None:
        for item in items:
            self.clients.dynamodb.put_item(TableName=self.table, Item=item)

    def delete(self, pk: str, sk: str) -> None:
        self.clients.dynamodb.delete_item(TableName=self.table, Key={'pk': {'S': pk}, 'sk': {'S': sk}})

    def items(self, table: str | None = None) -> dict:
        found = self.clients.dynamodb.scan(TableName=table or self.table, ConsistentRead=True)['Items']
        return {(item['pk']['S'], item['sk']['S']): item for item in found}

    def schedule_states(self) -> set[str]:
        return {schedule['State'] for schedule in self.clients.scheduler.list_schedules()['Schedules']}

    def redeploy(self) -> None:
        """What CloudFormation does when the table changes: the consumer of the stream gets the new one."""
        mapping, = self.deployment.mappings
        stream = self.clients.dynamodb.describe_table(TableName=self.table)['Table']['LatestStreamArn']
        lambda_simple_backends[ACCOUNT][REGION]._event_source_mappings[mapping].event_source_arn = stream

    def describe_with_throughput(self, monkeypatch) -> None:
        """moto has no throughput of on-demand tables. The live table gets that of the template, and a new one none."""
        throughput = {'MaxReadRequestUnits': 4000, 'MaxWriteRequestUnits': 2000}
        original = Tables.settings

        def settings(tables, table):
            has_limits = table == self.table and ('DeleteTable', {'TableName': table}) not in self.requests
            found = original(tables, table)
            return found | ({'throughput': throughput, 'index_throughput': {'due': throughput}} if has_limits else {})

        monkeypatch.setattr(Tables, 'settings', settings)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def stage(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with mock_aws(config={'lambda': {'use_docker': False}}):
        yield Stage(monkeypatch)
