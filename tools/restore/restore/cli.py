"""The command line."""

from __future__ import annotations

import argparse
import datetime
import pathlib
import time

from botocore.exceptions import BotoCoreError, ClientError

from restore import deployment, erasures
from restore.deployment import Clients
from restore.progress import Progress, StateMismatch
from restore.steps import ActionRequired, Restore, RestoreError
from restore.tables import TableNotReady
from restore.traffic import AlreadyStopped
from restore.verify import verify

EXIT_CODES = """exit codes:
  0  the restore is complete; or the dry run found no obstacle
  1  the restore stopped: run the command again after the cause is gone
  2  the command line is invalid
  3  the operator must act, then run the command again
"""


def log(line: str) -> None:
    print(f'{datetime.datetime.now(datetime.UTC):%H:%M:%S} {line}', flush=True)


def main(arguments: list[str], *, clients: Clients | None = None, sleep=time.sleep) -> int:
    args = parse(arguments)
    try:
        return args.run(args, clients or Clients(), sleep)
    except ActionRequired as error:
        log(f'action required: {error}')
        return 3
    except (AlreadyStopped, RestoreError, StateMismatch, TableNotReady, LookupError, BotoCoreError,
            ClientError) as error:
        log(f'stopped: {error}')
        return 1


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python3 tools/restore', epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Restores the table of a deployment. docs/OPERATIONS.md describes the procedure.')
    commands = parser.add_subparsers(required=True, metavar='command')

    table = commands.add_parser('table', help='restore the table of a stack; without --yes a dry run')
    table.add_argument('--stack', required=True, help='the name of the stack')
    table.add_argument('--to', required=True, type=instant, help='the time to restore, such as 2026-01-31T12:00:00Z')
    table.add_argument('--yes', action='store_true', help='change something')
    table.add_argument('--accept-malformed', action='store_true', help='go on with items that no function can read')
    table.add_argument('--state', type=pathlib.Path, help='the file of the progress; default restore-<stack>.json')
    table.set_defaults(run=restore_table)

    resume = commands.add_parser('resume', help='start the traffic again, without a restore')
    resume.add_argument('--stack', required=True, help='the name of the stack')
    resume.add_argument('--state', type=pathlib.Path, help='the file of the progress; default restore-<stack>.json')
    resume.set_defaults(run=resume_traffic)

    check = commands.add_parser('verify', help='check every item of a table')
    check.add_argument('--table', required=True)
    check.set_defaults(run=verify_table)

    erase = commands.add_parser('erase', help='apply the erasures of one table to another; without --yes a dry run')
    erase.add_argument('--from', dest='live', required=True, help='the table with the erasures')
    erase.add_argument('--table', required=True, help='the table to change')
    erase.add_argument('--yes', action='store_true', help='change something')
    erase.set_defaults(run=erase_table)
    return parser.parse_args(arguments)


def instant(text: str) -> datetime.datetime:
    value = datetime.datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise argparse.ArgumentTypeError('the time needs an offset, such as Z')
    return value.astimezone(datetime.UTC)


def restore_table(args: argparse.Namespace, clients: Clients, sleep) -> int:
    found = deployment.find(clients, args.stack)
    path = args.state or pathlib.Path(f'restore-{args.stack}.json')
    target = {'stack': args.stack, 'table': found.table, 'to': args.to.isoformat()}
    restore = Restore(clients, found, args.to, Progress(path, target), sleep, log,
                      accepts_malformed=args.accept_malformed)
    restore.check()
    if not args.yes:
        for name, description, _ in restore.steps():
            log(f'{name}: {"done before" if restore.progress.is_done(name) else description}')
        log('dry run: nothing was changed. Add --yes to restore the table.')
        return 0
    restore.run()
    log(f'complete. {restore.restored} and both backups remain: delete them when they are no longer needed.')
    return 0


def resume_traffic(args: argparse.Namespace, clients: Clients, sleep) -> int:
    found = deployment.find(clients, args.stack)
    path = args.state or pathlib.Path(f'restore-{args.stack}.json')
    if not path.exists():
        raise RestoreError(f'{path} is missing: it has the reservations of the functions')
    progress = Progress.open(path)
    Restore(clients, found, progress.time, progress, sleep, log).resume_traffic()
    path.unlink()
    return 0


def verify_table(args: argparse.Namespace, clients: Clients, _sleep) -> int:
    result = verify(clients.dynamodb, args.table, log)
    for line in result.lines():
        log(line)
    return 1 if result.malformed else 0


def erase_table(args: argparse.Namespace, clients: Clients, sleep) -> int:
    accounts = erasures.read_accounts(clients.dynamodb, args.live, log)
    result = erasures.replay_accounts(clients.dynamodb, accounts, args.table, sleep, log, is_dry_run=not args.yes)
    outcome = 'written' if args.yes else 'to write (dry run)'
    log(f'{result.erased_users} erased users, {result.erased_again} to erase again: '
        f'{result.puts} items {outcome}, {result.deletes} deletions')
    return 0
