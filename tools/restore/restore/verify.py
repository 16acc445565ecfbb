"""Checks that the functions can read every item of a table."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable

from restore.items import Accounts, Malformed, classify, key, user_of
from restore.scan import scan

SHOWN_KEYS = 10


@dataclasses.dataclass
class Verification:
    kinds: collections.Counter
    malformed: list[tuple[tuple[str, str], str]]

    @property
    def items(self) -> int:
        return self.kinds.total() + len(self.malformed)

    def lines(self) -> list[str]:
        lines = [f'  {count:>10}  {kind}' for kind, count in sorted(self.kinds.items())]
        for (pk, sk), reason in self.malformed[:SHOWN_KEYS]:
            lines.append(f'  malformed: {pk} / {sk}: {reason}')
        if len(self.malformed) > SHOWN_KEYS:
            lines.append(f'  and {len(self.malformed) - SHOWN_KEYS} more malformed items')
        return lines


def verify(dynamodb, table: str, log: Callable[[str], None]) -> Verification:
    result = Verification(collections.Counter(), [])
    for item in scan(dynamodb, table, log):
        match classify(item):
            case Malformed(reason):
                result.malformed.append((key(item), reason))
            case classified:
                result.kinds[classified.kind] += 1
    return result


def returned_users(dynamodb, restored: str, accounts: Accounts, log: Callable[[str], None]) -> list[str]:
    """The erased users of whom the restored table has more than a tombstone and an erasure in progress."""
    erased, returned = accounts.users_to_erase(), set()
    for item in scan(dynamodb, restored, log):
        pk, sk = key(item)
        user = user_of(item)
        if user in erased and pk != 'ERASURES' and (sk != 'PROFILE' or 'createdAt' in item):
            returned.add(user)
    return sorted(returned)
