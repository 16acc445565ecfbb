"""Verification and repeated erasure on AWS's DynamoDB Local, if RESTORE_TEST_ENDPOINT is its URL; otherwise on moto."""

import contextlib
import os
import uuid

import boto3
import pytest
from moto import mock_aws

from restore.cli import main
from restore.deployment import Clients
from samples import call, item, personal, quality, tombstone, user

ENDPOINT = os.environ.get('RESTORE_TEST_ENDPOINT')


@pytest.fixture
def clients(monkeypatch):
    with contextlib.nullcontext() if ENDPOINT else mock_aws():
        if ENDPOINT:
            monkeypatch.setenv('AWS_ENDPOINT_URL_DYNAMODB', ENDPOINT)
        yield Clients(boto3.Session())


def create_table(clients, *items) -> str:
    name = f'restore-{uuid.uuid4()}'
    key = lambda attribute, kind: {'AttributeName': attribute, 'KeyType': kind}
    clients.dynamodb.create_table(
        TableName=name, BillingMode='PAY_PER_REQUEST', KeySchema=[key('pk', 'HASH'), key('sk', 'RANGE')],
        AttributeDefinitions=[{'AttributeName': attribute, 'AttributeType': 'S'} for attribute in ('pk', 'sk')])
    for table_item in items:
        clients.dynamodb.put_item(TableName=name, Item=table_item)
    return name


def keys(clients, table) -> set:
    pages = clients.dynamodb.get_paginator('scan').paginate(TableName=table)
    return {(found['pk']['S'], found['sk']['S']) for page in pages for found in page['Items']}


def test_erased_user_does_not_return(clients, capsys):
    others = [user(f'user-{number}') for number in range(60)]
    past = [user('dora'), call('c1', 'dora', 'bob'), *quality('c1', 'dora', 'bob'), *personal('dora', 'c1'), *others]
    live = create_table(clients, tombstone('dora'), *others)
    restored = create_table(clients, *past)
    before = keys(clients, restored)
    assert main(['erase', '--from', live, '--table', restored], clients=clients) == 0
    assert 'dry run' in capsys.readouterr().out and keys(clients, restored) == before

    for _ in range(2):
        assert main(['erase', '--from', live, '--table', restored, '--yes'], clients=clients) == 0
        remaining = keys(clients, restored)
        assert {key for key in remaining if 'dora' in str(key)} == {('USER#dora', 'PROFILE'), ('ERASURES', 'dora')}
        assert ('CALL#c1', 'RATING#s1#bob') in remaining and ('CALL#c1', 'REPORT#s1') not in remaining
        assert len([key for key in remaining if key[0].startswith('USER#user-')]) == 60


def test_malformed_items_are_reported(clients, capsys):
    table = create_table(clients, user('bob'), item('OTHER', 'x'))
    assert main(['verify', '--table', table], clients=clients) == 1
    output = capsys.readouterr().out
    assert 'malformed: OTHER / x: unknown key' in output and '1  user' in output
    clients.dynamodb.delete_item(TableName=table, Key={'pk': {'S': 'OTHER'}, 'sk': {'S': 'x'}})
    assert main(['verify', '--table', table], clients=clients) == 0
