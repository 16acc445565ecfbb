"""Applies erasures, revocations, states and bans of the live table to a restored table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from restore.items import Accounts, Delete, Put, erased_members, erasure_item, is_blocked, key, replay
from restore.scan import Writer, scan


@dataclasses.dataclass
class Replayed:
    """What a replay found and changed."""
    erased_users: int = 0
    erased_again: int = 0
    puts: int = 0
    deletes: int = 0


def read_accounts(dynamodb, table: str, log: Callable[[str], None]) -> Accounts:
    """The accounts in the live table, which may contain malformed items."""
    accounts = Accounts()
    for item in scan(dynamodb, table, log):
        accounts.add(item)
    return accounts


def replay_accounts(dynamodb, accounts: Accounts, restored: str, sleep: Callable[[float], None],
                    log: Callable[[str], None], *, is_dry_run: bool) -> Replayed:
    """Brings the accounts of the restored table to those of the live table. A repeat changes nothing."""
    erased = accounts.users_to_erase()
    calls = {key(item)[0].removeprefix('CALL#')
             for item in scan(dynamodb, restored, log) if erased_members(item, erased)}
    writer = Writer(dynamodb, restored, sleep)
    result = Replayed(erased_users=len(erased))
    changes: list[Put | Delete] = []
    profiles, returned = set(), set()
    for item in scan(dynamodb, restored, log):
        pk, sk = key(item)
        if sk == 'PROFILE':
            profiles.add(pk.removeprefix('USER#'))
        change = replay(item, accounts, calls)
        if change is None:
            continue
        if sk == 'PROFILE' and pk.removeprefix('USER#') in erased and 'createdAt' in item:
            returned.add(pk.removeprefix('USER#'))
        changes.append(change)
    # The id of a user who was created and erased since the restored time must not become free.
    missing = accounts.erased.keys() - profiles
    changes += [Put(accounts.erased[user]) for user in sorted(missing)]
    # A user who was created and then blocked since must stay blocked.
    newer = accounts.changed.keys() - profiles
    changes += [Put(accounts.changed[user]) for user in sorted(newer) if is_blocked(accounts.changed[user])]
    # The sweeper completes these erasures, also at Stream. They are written first: once a tombstone is written, a
    # repeat after an interruption does not find the user.
    erasures = [Put(erasure_item(user, accounts)) for user in sorted(returned | accounts.erasures.keys())]
    result.erased_again = len(returned)
    result.deletes = sum(isinstance(change, Delete) for change in changes)
    result.puts = len(erasures) + len(changes) - result.deletes
    if not is_dry_run:
        for group in (erasures, changes):
            for change in group:
                writer.add(change)
            writer.flush()
    return result
