"""docs/OPERATIONS.md on a deployment: alarms, deployments, secrets and restores."""

import datetime
import json
import re
import tarfile

import pytest
import yaml
from moto.awslambda.models import lambda_backends
from moto.dynamodb.models import dynamodb_backends
from moto.events.models import events_backends
from moto.logs.models import logs_backends
from moto.pipes.models import pipes_backends

from cloud import ACCOUNT, CONCURRENCY, REGION
from conftest import COMMANDS, STREAM_KEY, STREAM_SECRET, Operator, covers, local_stack, secret_value, stop
from shell import CommandFailed
from test_setup import set_parameters

STACK = 'stream-functions-prod'
OPERATIONS = 'OPERATIONS'


@pytest.fixture(scope='module')
def prod(shells, session):
    """The secrets and the stack of prod, as the document creates them."""
    operator = Operator(shells())
    operator.run(OPERATIONS, 'Operations', 0)
    operator.run(OPERATIONS, 'Secrets', 0, stdin=f'{STREAM_SECRET}\n\n')
    stream, jwt = operator.run(OPERATIONS, 'Create the secrets', 0).split()
    operator.type('cp samconfig.toml.example samconfig.toml')
    set_parameters(operator.directory, 'prod', StreamApiKey=STREAM_KEY, StreamSecretArn=stream, JwtSecretArn=jwt)
    operator.run(OPERATIONS, 'Deploy', 0, stdin='y\n')
    cloudformation = session.client('cloudformation')
    stack, = cloudformation.describe_stacks(StackName=STACK)['Stacks']
    resources = {}
    for page in cloudformation.get_paginator('list_stack_resources').paginate(StackName=STACK):
        resources |= {it['LogicalResourceId']: it['PhysicalResourceId'] for it in page['StackResourceSummaries']
                      if 'LogicalResourceId' in it}
    # moto's CloudFormation keeps the text of the parameter, and ignores the recovery.
    session.client('dynamodb').update_table(TableName=resources['Table'], DeletionProtectionEnabled=True)
    session.client('dynamodb').update_continuous_backups(
        TableName=resources['Table'], PointInTimeRecoverySpecification={'PointInTimeRecoveryEnabled': True})
    return {'outputs': {it['OutputKey']: it['OutputValue'] for it in stack['Outputs']}, 'resources': resources}


@pytest.fixture
def operator(operator, prod):
    """An operator, who has pasted the settings at the beginning of the document."""
    operator.run(OPERATIONS, 'Operations', 0)
    return operator


@pytest.fixture
def table(session, prod):
    """The table of the deployment, empty after the test."""
    name = prod['resources']['Table']
    yield session.client('dynamodb'), name
    dynamodb_backends[ACCOUNT][REGION].tables[name].items.clear()


def put(session, table: str, *items: dict) -> None:
    for item in items:
        session.client('dynamodb').put_item(TableName=table, Item=item)


def profile(user: str, **attributes) -> dict:
    return {'pk': {'S': f'USER#{user}'}, 'sk': {'S': 'PROFILE'}, 'userId': {'S': user}, 'version': {'N': '3'},
            'synced': {'N': '3'}, 'createdAt': {'N': '1767225600000'}, 'updatedAt': {'N': '1767225600000'}} | attributes


def sample_changes(function: str) -> list[dict]:
    """The changes of the table in the sample event of a function."""
    from documents import ROOT
    event = json.loads((ROOT / f'events/{function}.json').read_text())
    return [record['dynamodb'] for record in (event['Records'] if isinstance(event, dict) else event)]


@covers(OPERATIONS, 'Operations', 0)
@covers(OPERATIONS, 'Dashboard, logs and metrics', 'output DashboardUrl')
@covers(OPERATIONS, 'Secrets', 0)
@covers(OPERATIONS, 'Create the secrets', 0)
@covers(OPERATIONS, 'Deploy', 0)
def test_deployment_of_prod_has_the_outputs_and_resources(operator, prod):
    operator.done |= {(OPERATIONS, 'Secrets', 0), (OPERATIONS, 'Create the secrets', 0), (OPERATIONS, 'Deploy', 0)}
    url = operator.run(OPERATIONS, 'Dashboard, logs and metrics', 'output DashboardUrl').strip()
    assert url == prod['outputs']['DashboardUrl'] and 'dashboard' in url
    assert operator.type('resource SweeperFunction').strip() == prod['resources']['SweeperFunction']


@covers(OPERATIONS, 'Read logs', 0)
def test_query_searches_the_logs_of_all_functions(operator):
    operator.run(OPERATIONS, 'Read logs', 0)
    *_, query = logs_backends[ACCOUNT][REGION].queries.values()
    assert query.query == 'filter ispresent(code) | stats count(*) by function, code'
    assert query.end_time - query.start_time == 3600
    functions = {path.parent.name for path in (operator.directory / 'functions').glob('*/Cargo.toml')}
    assert set(query.log_group_names) == {f'/aws/lambda/{STACK}/{name}' for name in functions}


@covers(OPERATIONS, 'Account concurrency', 0)
def test_limit_of_the_account_is_read(operator):
    assert operator.run(OPERATIONS, 'Account concurrency', 0).strip() == str(CONCURRENCY)


@covers(OPERATIONS, 'Missing reconciliations', 0)
@covers(OPERATIONS, 'Missing sweeps', 0)
def test_sweeper_runs_by_hand(operator):
    """The built function runs on the deployed variables, the table and the emulated Stream app."""
    for heading, name in [('Missing reconciliations', 'channels'), ('Missing sweeps', 'open')]:
        output = operator.run(OPERATIONS, heading, 0)
        summary, length = json.JSONDecoder().raw_decode(output)
        assert summary['failed'] == 0 and name in summary
        assert json.loads(output[length:]) == {'StatusCode': 200}


@covers(OPERATIONS, 'Dead letters', 0, 1)
def test_dead_letters_are_read_and_purged(operator, prod, session):
    queue = prod['resources']['DeadLetters']
    session.client('sqs').send_message(
        QueueUrl=queue, MessageBody='{"task":"sweep"}',
        MessageAttributes={'ERROR_CODE': {'DataType': 'String', 'StringValue': 'Lambda.TooManyRequestsException'}})
    message, = json.loads(operator.run(OPERATIONS, 'Dead letters', 0))['Messages']
    assert message['MessageAttributes']['ERROR_CODE']['StringValue'] == 'Lambda.TooManyRequestsException'
    operator.run(OPERATIONS, 'Dead letters', 1)
    assert 'Messages' not in session.client('sqs').receive_message(QueueUrl=queue)


@covers(OPERATIONS, 'Lost events', 0, 1, 2, 3, 6)
def test_lost_events_are_saved_and_processed(operator, prod, session, table):
    """From dead letters to rows and events, with the built functions."""
    dynamodb, name = table
    # Often enough for more events than a request can have.
    for change in [*sample_changes('call-history'), *sample_changes('call-events')] * 4:
        if 'OldImage' in change:
            put(session, name, change['OldImage'])
        put(session, name, change['NewImage'])
    streams = session.client('dynamodbstreams')
    stream = dynamodb.describe_table(TableName=name)['Table']['LatestStreamArn']
    shard = streams.describe_stream(StreamArn=stream)['StreamDescription']['Shards'][0]['ShardId']
    iterator = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType='TRIM_HORIZON')
    numbers = [record['dynamodb']['SequenceNumber']
               for record in streams.get_records(ShardIterator=iterator['ShardIterator'])['Records']]
    position = {'shardId': shard, 'startSequenceNumber': numbers[0], 'endSequenceNumber': numbers[-1]}
    queue = prod['resources']['EventDeadLetters']
    session.client('sqs').send_message(QueueUrl=queue, MessageBody=json.dumps({'DDBStreamBatchInfo': position}))

    message = json.loads(operator.run(OPERATIONS, 'Lost events', 0))['DDBStreamBatchInfo']
    operator.run(OPERATIONS, 'Lost events', 1, replace={
        'shardId-00000001767268800000-0a1b2c3d': message['shardId'],
        '400000000000000000107': message['startSequenceNumber'],
        '400000000000000000114': message['endSequenceNumber']})
    saved = json.loads((operator.directory / f'records-{numbers[0]}.json').read_text())['Records']
    assert [record['dynamodb']['SequenceNumber'] for record in saved] == numbers

    output = operator.run(OPERATIONS, 'Lost events', 2)
    assert output.startswith('{"batchItemFailures":[]}')
    rows = [item for item in dynamodb.scan(TableName=name)['Items'] if item['sk']['S'].startswith('HISTORY#')]
    assert rows, 'call-history must write the rows of the calls'

    archive = events_backends[ACCOUNT][REGION].archives[prod['resources']['EventArchive']]
    before = len(archive.events)
    output = operator.run(OPERATIONS, 'Lost events', 3)
    events = archive.events[before:]
    assert len(events) > 10, 'more than a request can have'
    assert output.count('"FailedEntryCount": 0') == output.count('"FailedEntryCount"') == -(-len(events) // 10)
    assert all(event['detail-type'] == event['detail']['type'] for event in events)

    operator.run(OPERATIONS, 'Lost events', 6)
    assert 'Messages' not in session.client('sqs').receive_message(QueueUrl=queue)
    assert not list(operator.directory.glob('records-*.json'))


@covers(OPERATIONS, 'Lost events', 4, 5)
def test_events_of_settled_calls_are_requested_again(operator, session, table):
    dynamodb, name = table
    settled = next(change['NewImage'] for change in sample_changes('call-events') if 'settlement' in change['NewImage'])
    millis = int(settled['settlement']['M']['settledAt']['N'])
    put(session, name, settled, profile('gone', status={'S': 'deleted'}, statusAt={'N': str(millis)}))
    first_loss = datetime.datetime.fromtimestamp(millis // 1000 - 60, datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')
    output = operator.run(OPERATIONS, 'Lost events', 4, replace={'2026-01-31T11:59:00Z': first_loss})
    assert 'requested the events of 1 calls' in output
    item = dynamodb.get_item(TableName=name, Key={key: settled[key] for key in ('pk', 'sk')})['Item']
    assert item['reemits'] == {'N': '1'}
    deleted, = json.loads(operator.run(OPERATIONS, 'Lost events', 5))['Items']
    assert deleted['userId'] == {'S': 'gone'}


@covers(OPERATIONS, 'A stopped pipe', 0, 1)
def test_stopped_pipe_is_started(operator, prod, session):
    session.client('pipes').stop_pipe(Name=prod['resources']['EventPipe'])
    assert 'STOPP' in operator.run(OPERATIONS, 'A stopped pipe', 0)
    operator.run(OPERATIONS, 'A stopped pipe', 1)
    assert session.client('pipes').describe_pipe(Name=prod['resources']['EventPipe'])['DesiredState'] == 'RUNNING'


@covers('EVENTS', 'Rule and queue', 0)
@covers(OPERATIONS, 'Replay the archive', 0)
def test_archive_is_replayed_to_the_rule_of_a_consumer(operator, session, prod):
    operator.run('EVENTS', 'Rule and queue', 0)
    output = operator.run(OPERATIONS, 'Replay the archive', 0)
    assert 'COMPLETED' in output or 'STARTING' in output
    replay, = session.client('events').list_replays()['Replays']
    assert replay['EventSourceArn'].endswith(prod['resources']['EventArchive'])


@covers(OPERATIONS, 'History lag', 0, 'aws lambda update-event-source-mapping --uuid <UUID> --enabled')
def test_disabled_mapping_is_enabled(operator, session, prod):
    mapping = prod['resources']['CallHistoryFunctionChanges']
    session.client('lambda').update_event_source_mapping(UUID=mapping, Enabled=False)
    uuid, state, *_ = operator.run(OPERATIONS, 'History lag', 0).split()
    assert (uuid, state) == (mapping, 'Disabled')
    operator.run(OPERATIONS, 'History lag', 'aws lambda update-event-source-mapping --uuid <UUID> --enabled',
                 replace={'<UUID>': uuid})
    assert session.client('lambda').get_event_source_mapping(UUID=mapping)['State'] == 'Enabled'


@covers(OPERATIONS, 'Table throttles', 0)
def test_table_is_warmed_up(operator, prod):
    description = json.loads(operator.run(OPERATIONS, 'Table throttles', 0))['TableDescription']
    assert description['TableName'] == prod['outputs']['TableName']


ROTATE = 'Rotate the {} secret'
NEW_AFTER_OLD = """printf '{{"secret":"%s","previous":"%s"}}' "$OLD" "$NEW" | put stream-functions/prod/{}"""
OLD_AFTER_NEW = """printf '{{"secret":"%s","previous":"%s"}}' "$NEW" "$OLD" | put stream-functions/prod/{}"""
ONLY_NEW = """printf '{{"secret":"%s"}}' "$NEW" | put stream-functions/prod/{}"""


@covers(OPERATIONS, 'Rotate the JWT secret', *(text.format('jwt') for text in (NEW_AFTER_OLD, OLD_AFTER_NEW, ONLY_NEW)))
@covers(OPERATIONS, 'Rotate the Stream secret',
        *(text.format('stream') for text in (NEW_AFTER_OLD, OLD_AFTER_NEW, ONLY_NEW)))
def test_secrets_are_rotated(operator, session):
    for heading, kind in [('Rotate the JWT secret', 'jwt'), ('Rotate the Stream secret', 'stream')]:
        name = f'stream-functions/prod/{kind}'
        old = secret_value(session, name)['secret']
        operator.run(OPERATIONS, 'Secrets', 0, stdin=f'a-new-secret\n{old}\n')
        operator.run(OPERATIONS, heading, NEW_AFTER_OLD.format(kind))
        assert secret_value(session, name) == {'secret': old, 'previous': 'a-new-secret'}
        operator.run(OPERATIONS, heading, OLD_AFTER_NEW.format(kind))
        assert secret_value(session, name) == {'secret': 'a-new-secret', 'previous': old}
        operator.run(OPERATIONS, heading, ONLY_NEW.format(kind))
        assert secret_value(session, name) == {'secret': 'a-new-secret'}
        session.client('secretsmanager').put_secret_value(SecretId=name, SecretString=json.dumps({'secret': old}))


@covers(OPERATIONS, 'Secrets unavailable', 'aws secretsmanager restore-secret')
@covers(OPERATIONS, 'Delete a deployment', 'aws secretsmanager delete-secret')
def test_deleted_secret_is_restored(operator, session):
    option = ' --secret-id stream-functions/prod/jwt'
    operator.run(OPERATIONS, 'Delete a deployment', 'aws secretsmanager delete-secret',
                 replace={'delete-secret': f'delete-secret{option} --recovery-window-in-days 30'})
    operator.run(OPERATIONS, 'Secrets unavailable', 'aws secretsmanager restore-secret',
                 replace={'restore-secret': f'restore-secret{option}'})
    assert secret_value(session, 'stream-functions/prod/jwt')['secret']


APPLY = 'cargo run -p stream-setup -- apply --webhook-url ... --yes'


@covers(OPERATIONS, 'Silent webhook', APPLY)
@covers(OPERATIONS, 'Another region', APPLY)
def test_webhook_is_registered_again(operator, prod):
    operator.type(f"export STREAM_API_KEY='{STREAM_KEY}' STREAM_API_SECRET='{STREAM_SECRET}' STREAM_CALL_TYPE=private")
    url = prod['outputs']['WebhookUrl']
    for heading in ('Silent webhook', 'Another region'):
        operator.run(OPERATIONS, heading, APPLY, replace={'...': url})
        output = operator.type(f'cargo run -p stream-setup -- check --webhook-url {url}')
        assert f'ok   hooks send all required events to {url}\n' in output


@covers(OPERATIONS, 'Smoke test', 0)
def test_smoke_test_signs_with_the_stored_secret(operator, session, tmp_path):
    secret = secret_value(session, 'stream-functions/prod/jwt')['secret']
    process, ports = local_stack(tmp_path, JWT_SECRET=secret)
    try:
        output = operator.run(OPERATIONS, 'Smoke test', 0, replace={
            '"$(output ApiUrl)"': f'http://127.0.0.1:{ports["port"]}'})
    finally:
        stop(process)
    assert output.endswith('smoke test passed\n')


@covers(OPERATIONS, 'Pipeline', 0)
@covers(OPERATIONS, 'Roll back', 0, 1)
@covers('SETUP', '4. Deployment', 'pip install -r tools/release/requirements.txt')
def test_rollback_deploys_the_kept_package(operator, session, prod):
    """Two releases with different binaries: the rollback by hand, and that of the workflow, return to the first."""
    operator.run('SETUP', '4. Deployment', 'pip install -r tools/release/requirements.txt')
    function = prod['resources']['TokenFunction']

    def deployed() -> str:
        return session.client('lambda').get_function(FunctionName=function)['Configuration']['CodeSha256']

    def release(version: str) -> str:
        (operator.directory / 'VERSION').write_text(version)
        operator.run(OPERATIONS, 'Pipeline', 0, replace={'v1.2.3': version})
        return deployed()

    old, new = release('v1.2.2'), release('v1.2.3')
    assert old != new
    operator.run(OPERATIONS, 'Roll back', 1)
    assert deployed() == old
    # The package is checked before it is deployed.
    package = operator.directory / 'stream-functions-v1.2.3.tar.gz'
    with tarfile.open(package) as content:
        assert './build/template.yaml' in content.getnames() or 'build/template.yaml' in content.getnames()

    workflow = yaml.safe_load((operator.directory / '.github/workflows/deploy.yml').read_text())
    steps = {step['name']: step['run'] for step in workflow['jobs']['deploy']['steps'] if 'run' in step}
    command = COMMANDS[OPERATIONS, 'Roll back', 0]
    operator.done.add(command.key)
    inputs = dict(re.findall(r'-f (\w+)=(\S+)', command.text))
    declared = workflow[True]['workflow_dispatch']['inputs']
    assert command.text.split()[:4] == ['gh', 'workflow', 'run', 'deploy.yml'] and inputs.keys() == declared.keys()
    assert inputs['environment'] in declared['environment']['options']
    environment = workflow['jobs']['deploy']['env']
    values = {name: re.sub(r'\$\{\{ inputs\.(\w+) }}', lambda it: inputs[it[1]], text)
              for name, text in environment.items()}
    operator.type('tools/release/deploy.sh stream-functions-v1.2.3.tar.gz prod')
    assert deployed() == new
    operator.type('export ' + ' '.join(f'{name}={value}' for name, value in values.items()))
    operator.type('SAMCONFIG=$(cat samconfig.toml)')
    operator.type(steps['Write the configuration of the environment'])
    operator.type(steps['Deploy'])
    assert deployed() == old
    (operator.directory / 'stream-functions-v1.2.2.tar.gz').write_bytes(b'damaged')
    assert 'FAILED' in operator.type(
        'tools/release/deploy.sh stream-functions-v1.2.2.tar.gz prod 2>&1 && exit 9 || true')
    (operator.directory / 'VERSION').unlink()


@pytest.fixture
def restorable(session, prod, table):
    """A table with an item, whose state of now can be restored, and the time for it."""
    dynamodb, name = table
    put(session, name, profile('alice'))
    recovery = dynamodb.describe_continuous_backups(TableName=name)['ContinuousBackupsDescription']
    time = recovery['PointInTimeRecoveryDescription']['LatestRestorableDateTime']
    return name, time.astimezone(datetime.UTC).isoformat()


PLACEHOLDER_TIME = '2026-01-31T12:00:00Z'
RESUME = 'python3 tools/restore resume --stack "$STACK"'


@covers(OPERATIONS, 'Restore the complete table', 0, 1, 2, RESUME)
def test_complete_table_is_restored(operator, prod, session, restorable, shells):
    """The commands alone. tests/restore tests the procedure."""
    name, time = restorable
    dynamodb = session.client('dynamodb')
    dry_run = r'^pip install.*?dry run.*?$'
    output = operator.run_part(OPERATIONS, 'Restore the complete table', 0, dry_run, replace={PLACEHOLDER_TIME: time})
    assert 'dry run: nothing was changed' in output
    confirmed = r'^python3 tools/restore table [^\n]*--yes$'
    # Exit code 3: CloudFormation must replace the consumers of the stream, which the test does.
    with pytest.raises(CommandFailed, match='exit status 3'):
        other = Operator(shells())
        other.run(OPERATIONS, 'Operations', 0)
        other.run_part(OPERATIONS, 'Restore the complete table', 0, confirmed, replace={PLACEHOLDER_TIME: time})
    stream = dynamodb.describe_table(TableName=name)['Table']['LatestStreamArn']
    mapping = prod['resources']['CallHistoryFunctionChanges']
    lambda_backends[ACCOUNT][REGION]._event_source_mappings[mapping].event_source_arn = stream
    pipes_backends[ACCOUNT][REGION].pipes[prod['resources']['EventPipe']].source = stream
    output = operator.run_part(OPERATIONS, 'Restore the complete table', 0, confirmed,
                               replace={PLACEHOLDER_TIME: time})
    assert 'complete.' in output
    assert dynamodb.get_item(TableName=name, Key={'pk': {'S': 'USER#alice'}, 'sk': {'S': 'PROFILE'}})['Item']
    # The traffic runs, so a resume only removes the state file.
    operator.run(OPERATIONS, 'Restore the complete table', RESUME)
    assert not list(operator.directory.glob('restore-*.json'))

    arns = operator.run_part(OPERATIONS, 'Restore the complete table', 1, r'^table=.*^done$').split()[-2:]
    for arn in arns:
        operator.run_part(OPERATIONS, 'Restore the complete table', 1, r'^aws dynamodb delete-backup.*?$',
                          replace={'arn:aws:dynamodb:...': arn})
    assert not {it['BackupArn'] for it in dynamodb.list_backups()['BackupSummaries']} & set(arns)
    assert f'{name}-restored' not in dynamodb.list_tables()['TableNames']

    tombstone = profile('dora', status={'S': 'deleted'}, statusAt={'N': '1767225600000'})
    del tombstone['createdAt']
    put(session, name, tombstone)
    dynamodb.create_table(TableName='my-table', BillingMode='PAY_PER_REQUEST', **{
        key: dynamodb.describe_table(TableName=name)['Table'][key] for key in ('KeySchema',)},
        AttributeDefinitions=[{'AttributeName': key, 'AttributeType': 'S'} for key in ('pk', 'sk')])
    output = operator.run(OPERATIONS, 'Restore the complete table', 2)
    assert '1 erased users' in output
    assert dynamodb.get_item(TableName='my-table', Key={'pk': {'S': 'USER#dora'}, 'sk': {'S': 'PROFILE'}})['Item']


@covers(OPERATIONS, 'Restore single items', 0)
def test_single_item_is_restored(operator, session, restorable):
    name, time = restorable
    dynamodb = session.client('dynamodb')
    lines = {PLACEHOLDER_TIME: time}
    operator.run_part(OPERATIONS, 'Restore single items', 0, r'^table=.*^do sleep 30; done$', replace=lines)
    dynamodb.delete_item(TableName=name, Key={'pk': {'S': 'USER#alice'}, 'sk': {'S': 'PROFILE'}})
    operator.run_part(OPERATIONS, 'Restore single items', 0, r'^aws dynamodb get-item.*')
    assert dynamodb.get_item(TableName=name, Key={'pk': {'S': 'USER#alice'}, 'sk': {'S': 'PROFILE'}})['Item']
    assert f'{name}-single' not in dynamodb.list_tables()['TableNames']


@covers(OPERATIONS, 'Restore a deleted table', 0, 1)
def test_deleted_table_is_restored(operator, session, restorable):
    """moto makes no backup of a deleted table, so the test makes it."""
    name, _ = restorable
    dynamodb = session.client('dynamodb')
    arn = dynamodb.create_backup(TableName=name, BackupName=f'{name}$DeletedTableBackup')['BackupDetails']['BackupArn']
    dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=name)
    operator.run(OPERATIONS, 'Restore a deleted table', 0, replace={
        '--backup-type SYSTEM': '--backup-type ALL', 'arn:aws:dynamodb:...': arn})
    operator.run(OPERATIONS, 'Restore a deleted table', 1)
    restored = dynamodb.describe_table(TableName=name)['Table']
    assert restored['DeletionProtectionEnabled']
    assert restored['StreamSpecification'] == {'StreamEnabled': True, 'StreamViewType': 'NEW_AND_OLD_IMAGES'}
    assert dynamodb.describe_time_to_live(TableName=name)['TimeToLiveDescription']['AttributeName'] == 'ttl'
    recovery = dynamodb.describe_continuous_backups(TableName=name)['ContinuousBackupsDescription']
    assert recovery['PointInTimeRecoveryDescription']['PointInTimeRecoveryStatus'] == 'ENABLED'


@covers(OPERATIONS, 'Delete a deployment', 0, 1)
def test_deployment_is_deleted(operator, session, prod):
    """The last test: the others need the deployment."""
    cloudformation = session.client('cloudformation')
    cloudformation.update_termination_protection(StackName=STACK, EnableTerminationProtection=True)
    operator.run(OPERATIONS, 'Delete a deployment', 0, stdin='y\ny\n')
    assert STACK not in {it['StackName'] for it in cloudformation.list_stacks()['StackSummaries']
                         if it['StackStatus'] != 'DELETE_COMPLETE'}
    operator.run(OPERATIONS, 'Delete a deployment', 1)
    assert prod['outputs']['TableName'] not in session.client('dynamodb').list_tables()['TableNames']
