"""The whole procedure on moto: a poisoned table, and an erased user who must not return."""

import datetime
import json
import pathlib

import pytest

from restore.cli import main
from restore.deployment import find
from restore.scan import Writer
from restore.tables import Tables
from stack import STACK
from samples import CREATED_AT, call, item, number, personal, quality, text, tombstone, user

RESERVED = 'TokenFunction'


def arguments(stage, *options: str) -> list[str]:
    return ['table', '--stack', STACK, '--to', stage.restorable_time().isoformat(), *options]


def function_named(stage, logical_id: str) -> str:
    return next(name for name in stage.deployment.functions if logical_id in name)


@pytest.fixture
def poisoned(stage):
    """Dora was erased, Eve revoked her sessions and Carl was created after the restored time."""
    kept = [user('bob'), call('c2', 'bob', 'eve')]
    stage.put(*kept, user('dora'), user('eve'), call('c1', 'dora', 'bob'), *quality('c1', 'dora', 'bob'),
              *personal('dora', 'c1'))
    stage.record()
    for pk, sk in stage.items():
        if 'dora' in pk or 'dora' in sk or sk in ('REPORT#s1', 'QUALITY#SUMMARY'):
            stage.delete(pk, sk)
    stage.put(tombstone('dora'), tombstone('carl'), user('eve', revokedAt=number(CREATED_AT + 7_000)))
    # The poison: a defect has destroyed the items of calls and of a user.
    stage.put({**call('c2', 'bob', 'eve'), 'state': {'N': '5'}}, item('USER#bob', 'PROFILE', name={'BOOL': True}))
    return stage


def test_dry_run_changes_nothing(poisoned, capsys):
    before = poisoned.items()
    assert main(arguments(poisoned), clients=poisoned.clients, sleep=poisoned.sleep) == 0
    assert 'dry run: nothing was changed' in capsys.readouterr().out
    assert poisoned.items() == before and poisoned.waits == []
    assert poisoned.clients.dynamodb.list_tables()['TableNames'] == [poisoned.table]
    assert poisoned.clients.lambda_.get_function_concurrency(
        FunctionName=function_named(poisoned, RESERVED)).get('ReservedConcurrentExecutions') is None
    assert list(pathlib.Path.cwd().iterdir()) == []


def test_poisoned_table_is_restored_and_no_erased_user_returns(poisoned, capsys):
    reserved = function_named(poisoned, RESERVED)
    poisoned.clients.lambda_.put_function_concurrency(FunctionName=reserved, ReservedConcurrentExecutions=7)
    command = arguments(poisoned, '--yes')
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 3
    output = capsys.readouterr().out
    assert '2 erased users, 1 of them erased again' in output
    assert 'still read the stream of the deleted table' in output
    for function in poisoned.deployment.functions:
        concurrency = poisoned.clients.lambda_.get_function_concurrency(FunctionName=function)
        assert concurrency['ReservedConcurrentExecutions'] == 0
    assert poisoned.schedule_states() == {'DISABLED'}
    assert poisoned.waits[0] == 29

    poisoned.redeploy()
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 0
    assert 'replace: done before' in capsys.readouterr().out

    items = poisoned.items()
    assert items['USER#bob', 'PROFILE'] == user('bob')
    assert items['CALL#c2', 'CALL']['state'] == text('ended')
    assert items['USER#dora', 'PROFILE'] == tombstone('dora')
    assert items['USER#carl', 'PROFILE'] == tombstone('carl')
    assert items['USER#eve', 'PROFILE'] == user('eve', revokedAt=number(CREATED_AT + 7_000))
    assert items['ERASURES', 'dora']['userId'] == text('dora')
    of_dora = {key for key in items if 'dora' in key[0] or 'dora' in key[1]}
    assert of_dora == {('USER#dora', 'PROFILE'), ('ERASURES', 'dora')}
    assert ('CALL#c1', 'REPORT#s1') not in items and ('CALL#c1', 'QUALITY#SUMMARY') not in items
    assert ('CALL#c1', 'SAMPLES#bob#004') in items and ('CALL#c1', 'RATING#s1#bob') in items

    dynamodb = poisoned.clients.dynamodb
    table = dynamodb.describe_table(TableName=poisoned.table)['Table']
    assert table['DeletionProtectionEnabled'] and table['StreamSpecification']['StreamEnabled']
    ttl = dynamodb.describe_time_to_live(TableName=poisoned.table)['TimeToLiveDescription']
    assert (ttl['TimeToLiveStatus'], ttl['AttributeName']) == ('ENABLED', 'ttl')
    backups = dynamodb.describe_continuous_backups(TableName=poisoned.table)['ContinuousBackupsDescription']
    assert backups['PointInTimeRecoveryDescription']['PointInTimeRecoveryStatus'] == 'ENABLED'
    concurrency = poisoned.clients.lambda_.get_function_concurrency
    assert concurrency(FunctionName=reserved)['ReservedConcurrentExecutions'] == 7
    other = function_named(poisoned, 'SweeperFunction')
    assert 'ReservedConcurrentExecutions' not in concurrency(FunctionName=other)
    assert poisoned.schedule_states() == {'ENABLED'}
    faulty = dynamodb.describe_backup(BackupArn=saved('faulty backup'))['BackupDescription']
    assert faulty['BackupDetails']['BackupStatus'] == 'AVAILABLE'


def saved(name: str):
    return json.loads(pathlib.Path(f'restore-{STACK}.json').read_text())['saved'][name]


STEPS = ['stop traffic', 'back up', 'restore', 'verify', 'erase again', 'back up the restored table', 'replace',
         'compare', 'settings']


@pytest.mark.parametrize('step', STEPS)
@pytest.mark.parametrize('when', ['before', 'after'])
def test_interrupted_restore_continues(poisoned, monkeypatch, step, when):
    """The process dies at the beginning of each step, or at its end before the progress is stored."""
    from restore.progress import Progress
    from restore.steps import Restore

    original_steps, original_complete = Restore.steps, Progress.complete

    def steps_that_die(self):
        return [(name, description, die if (name, when) == (step, 'before') else action)
                for name, description, action in original_steps(self)]

    def complete_that_dies(self, name):
        if (name, when) == (step, 'after'):
            raise KeyboardInterrupt
        original_complete(self, name)

    def die():
        raise KeyboardInterrupt

    command = arguments(poisoned, '--yes')
    with monkeypatch.context() as patch:
        patch.setattr(Restore, 'steps', steps_that_die)
        patch.setattr(Progress, 'complete', complete_that_dies)
        with pytest.raises(KeyboardInterrupt):
            main(command, clients=poisoned.clients, sleep=poisoned.sleep)
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 3
    poisoned.redeploy()
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 0
    items = poisoned.items()
    assert items['USER#dora', 'PROFILE'] == tombstone('dora')
    assert items['USER#bob', 'PROFILE'] == user('bob')
    assert poisoned.schedule_states() == {'ENABLED'}


def test_malformed_item_of_the_restored_time_stops_the_restore(poisoned, capsys):
    command = arguments(poisoned, '--yes')
    poisoned.put({**call('c9', 'bob', 'eve'), 'state': {'N': '5'}})
    poisoned.record()
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 1
    output = capsys.readouterr().out
    assert 'malformed: CALL#c9 / CALL: call without state (S)' in output
    assert poisoned.items() != {} and 'replace: started' not in output
    assert main([*command, '--accept-malformed'], clients=poisoned.clients, sleep=poisoned.sleep) == 3


def test_time_outside_of_the_window_is_rejected(poisoned, capsys):
    command = ['table', '--stack', STACK, '--to', '2020-01-01T00:00:00Z', '--yes']
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 1
    assert 'can be restored to' in capsys.readouterr().out


def test_table_without_recovery_is_rejected(poisoned, capsys):
    command = arguments(poisoned, '--yes')
    poisoned.clients.dynamodb.update_continuous_backups(
        TableName=poisoned.table, PointInTimeRecoverySpecification={'PointInTimeRecoveryEnabled': False})
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 1
    assert 'has no point-in-time recovery' in capsys.readouterr().out


def test_table_that_is_being_replaced_keeps_its_time(poisoned, capsys):
    first = arguments(poisoned, '--yes')
    assert main(first, clients=poisoned.clients, sleep=poisoned.sleep) == 3
    other = ['table', '--stack', STACK, '--to', '2026-01-31T12:00:00Z', '--yes']
    assert main(other, clients=poisoned.clients, sleep=poisoned.sleep) == 1
    assert 'Complete that restore first' in capsys.readouterr().out


def test_state_of_another_stack_is_rejected(poisoned, capsys):
    pathlib.Path('other.json').write_text(json.dumps(
        {'target': {'stack': 'other', 'table': 'other', 'to': '2026-01-31T12:00:00+00:00'}, 'done': [], 'saved': {}}))
    command = arguments(poisoned, '--yes', '--state', 'other.json')
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 1
    assert 'belongs to another restore' in capsys.readouterr().out


def test_restore_to_another_time_keeps_the_reservations(poisoned, monkeypatch):
    """The first time has malformed items, so the operator chooses an earlier one."""
    reserved = function_named(poisoned, RESERVED)
    poisoned.clients.lambda_.put_function_concurrency(FunctionName=reserved, ReservedConcurrentExecutions=7)
    good = poisoned.recorded
    poisoned.put({**call('c9', 'bob', 'eve'), 'state': {'N': '5'}})
    poisoned.record()
    assert main(arguments(poisoned, '--yes'), clients=poisoned.clients, sleep=poisoned.sleep) == 1
    poisoned.recorded = good
    time = poisoned.restorable_time()
    window = (time - datetime.timedelta(hours=1), time)
    monkeypatch.setattr(Tables, 'restorable_window', lambda tables, table: window)
    earlier = window[0].isoformat()
    command = ['table', '--stack', STACK, '--to', earlier, '--yes']
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 3
    poisoned.redeploy()
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 0
    concurrency = poisoned.clients.lambda_.get_function_concurrency
    assert concurrency(FunctionName=reserved)['ReservedConcurrentExecutions'] == 7
    assert ('CALL#c9', 'CALL') not in poisoned.items()
    times = [params['RestoreDateTime'].isoformat() for name, params in poisoned.requests if 'PointInTime' in name]
    assert times == [time.isoformat(), earlier]


def test_stopped_functions_without_a_state_are_rejected(poisoned, capsys):
    command = arguments(poisoned, '--yes')
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 3
    poisoned.clients.dynamodb.delete_table(TableName=f'{poisoned.table}-restored')
    fresh = arguments(poisoned, '--yes', '--state', 'fresh.json')
    poisoned.clients.dynamodb.update_continuous_backups(
        TableName=poisoned.table, PointInTimeRecoverySpecification={'PointInTimeRecoveryEnabled': True})
    assert main(fresh, clients=poisoned.clients, sleep=poisoned.sleep) == 1
    assert 'is stopped, and the state file lacks' in capsys.readouterr().out


def test_resume_starts_the_traffic_of_a_table_that_was_not_replaced(poisoned, capsys):
    reserved = function_named(poisoned, RESERVED)
    poisoned.clients.lambda_.put_function_concurrency(FunctionName=reserved, ReservedConcurrentExecutions=7)
    resume = ['resume', '--stack', STACK]
    assert main(resume, clients=poisoned.clients, sleep=poisoned.sleep) == 1
    poisoned.put({**call('c9', 'bob', 'eve'), 'state': {'N': '5'}})
    poisoned.record()
    assert main(arguments(poisoned, '--yes'), clients=poisoned.clients, sleep=poisoned.sleep) == 1
    assert main(resume, clients=poisoned.clients, sleep=poisoned.sleep) == 0
    concurrency = poisoned.clients.lambda_.get_function_concurrency
    assert concurrency(FunctionName=reserved)['ReservedConcurrentExecutions'] == 7
    assert poisoned.schedule_states() == {'ENABLED'}


def test_resume_is_rejected_while_the_table_is_being_replaced(poisoned, monkeypatch, capsys):
    command = arguments(poisoned, '--yes')
    with monkeypatch.context() as patch:
        patch.setattr(Tables, 'restore_backup', interrupt)
        with pytest.raises(KeyboardInterrupt):
            main(command, clients=poisoned.clients, sleep=poisoned.sleep)
    assert main(['resume', '--stack', STACK], clients=poisoned.clients, sleep=poisoned.sleep) == 1
    # The stack's table is absent: the same command goes on with its restore.
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 3
    assert poisoned.items()['USER#bob', 'PROFILE'] == user('bob')


def interrupt(*_) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize('batches', range(3))
def test_interrupted_erasure_is_queued(poisoned, monkeypatch, batches):
    """The process dies between two batches of the repeated erasure."""
    command, flush, count = arguments(poisoned, '--yes'), Writer.flush, iter(range(100))
    monkeypatch.setattr('restore.scan.BATCH_SIZE', 2)

    def flush_that_dies(writer):
        if next(count) == batches:
            raise KeyboardInterrupt
        flush(writer)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, 'flush', flush_that_dies)
        with pytest.raises(KeyboardInterrupt):
            main(command, clients=poisoned.clients, sleep=poisoned.sleep)
    assert main(command, clients=poisoned.clients, sleep=poisoned.sleep) == 3
    items = poisoned.items()
    assert items['ERASURES', 'dora']['userId'] == text('dora')
    assert items['USER#dora', 'PROFILE'] == tombstone('dora')


def test_limits_of_table_and_index_are_set_again(poisoned, monkeypatch):
    poisoned.describe_with_throughput(monkeypatch)
    assert main(arguments(poisoned, '--yes'), clients=poisoned.clients, sleep=poisoned.sleep) == 3
    throughput = {'MaxReadRequestUnits': 4000, 'MaxWriteRequestUnits': 2000}
    updates = [params for name, params in poisoned.requests if name == 'UpdateTable']
    assert {'TableName': poisoned.table, 'OnDemandThroughput': throughput} in updates
    index = [{'Update': {'IndexName': 'due', 'OnDemandThroughput': throughput}}]
    assert {'TableName': poisoned.table, 'GlobalSecondaryIndexUpdates': index} in updates


def test_user_who_was_banned_after_the_creation_stays_banned(poisoned):
    banned = user('frank', banUntil=number(CREATED_AT * 2), banAt=number(CREATED_AT + 1))
    poisoned.put(banned, user('grace'))
    assert main(arguments(poisoned, '--yes'), clients=poisoned.clients, sleep=poisoned.sleep) == 3
    items = poisoned.items()
    assert items['USER#frank', 'PROFILE'] == banned
    assert ('USER#grace', 'PROFILE') not in items


def test_unknown_stack_is_reported(stage, capsys):
    command = ['table', '--stack', 'absent', '--to', '2026-01-31T12:00:00Z']
    assert main(command, clients=stage.clients, sleep=stage.sleep) == 1
    assert 'stopped:' in capsys.readouterr().out


def test_time_without_an_offset_is_rejected(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(['table', '--stack', STACK, '--to', '2026-01-31T12:00:00'])
    assert exit_.value.code == 2
    assert 'offset' in capsys.readouterr().err


def test_resources_are_found(stage):
    found = find(stage.clients, STACK)
    assert len(found.functions) == 3 and len(found.mappings) == 1
