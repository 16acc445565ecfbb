"""What each item of the table means for a restore. Pure: items have DynamoDB's JSON form, `{'pk': {'S': '...'}}`.

docs/DATA.md describes the items. An item that is not in this list is malformed, so a new kind of item must be added
here. `.ci/run` verifies the table of a local stack after the API tests have filled it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

Item = dict[str, dict]
Key = tuple[str, str]

ID = r'[A-Za-z0-9_\-@]{1,64}'
CALL_ID = r'[A-Za-z0-9_\-]{1,64}'

# Kind, pattern of `pk`, pattern of `sk`, required attributes with their types.
KINDS = [
    ('call', rf'CALL#{CALL_ID}', r'CALL',
     {'callId': 'S', 'owner': 'S', 'members': 'L', 'state': 'S', 'createdAt': 'N'}),
    ('alias', rf'CALL#{CALL_ID}', r'CALL', {'answeredWith': 'S', 'fingerprint': 'S', 'expires': 'N'}),
    ('samples', rf'CALL#{CALL_ID}', rf'SAMPLES#(?P<user>{ID})#\d+', {'userId': 'S', 'at': 'N'}),
    ('rating', rf'CALL#{CALL_ID}', rf'RATING#.*#(?P<user>{ID})', {'userId': 'S', 'at': 'N'}),
    ('report', rf'CALL#{CALL_ID}', r'REPORT#.+', {'session': 'S', 'figures': 'S', 'at': 'N'}),
    ('summary', rf'CALL#{CALL_ID}', r'QUALITY#SUMMARY', {'at': 'N'}),
    ('user', rf'USER#(?P<user>{ID})', r'PROFILE', {'userId': 'S', 'version': 'N'}),
    ('joined call', rf'USER#(?P<user>{ID})', r'IN_CALL', {'callId': 'S', 'joinedAt': 'N'}),
    ('history row', rf'USER#(?P<user>{ID})', r'HISTORY#(?:OPEN|ENDED)#\d{13}#.+',
     {'callId': 'S', 'members': 'L', 'version': 'N'}),
    ('open-call pointer', r'MEMBERS#[0-9a-f]{64}', r'OPEN', {'callId': 'S', 'attempt': 'S', 'at': 'N'}),
    ('quota', r'LIMIT#(?:delete-channel|push-profile)', r'\d+', {'used': 'N'}),
    ('request counter', rf'LIMIT#[a-z\-]+#(?P<user>{ID})', r'\d+', {'count': 'N'}),
    ('queued push', r'PROFILES', rf'(?P<user>{ID})', {'userId': 'S', 'at': 'N'}),
    ('erasure', r'ERASURES', rf'(?P<user>{ID})', {'userId': 'S', 'begunAt': 'N'}),
    ('checkpoint', r'SWEEP', r'RECONCILE', {'place': 'S'}),
]
PATTERNS = [(kind, re.compile(pk), re.compile(sk), required) for kind, pk, sk, required in KINDS]

# The attributes of a user item that the erasure keeps.
TOMBSTONE = ('pk', 'sk', 'userId', 'version', 'synced', 'status', 'statusAt', 'erasedAt', 'revokedAt',
             'sessionsRevokedAt')
# Attributes of a user item that a restore must not set back, each group with the attribute that dates it.
DATED = {
    'revokedAt': {'revokedAt': 'N'},
    'sessionsRevokedAt': {'sessionsRevokedAt': 'N'},
    'statusAt': {'status': 'S', 'statusAt': 'N'},
    'banAt': {'banUntil': 'N', 'banAt': 'N'},
}


@dataclasses.dataclass(frozen=True)
class Classified:
    """A well-formed item."""
    kind: str


@dataclasses.dataclass(frozen=True)
class Malformed:
    """An item that no function can read, with the reason."""
    reason: str


def key(item: Item) -> Key:
    return item.get('pk', {}).get('S', ''), item.get('sk', {}).get('S', '')


def matching_kinds(item: Item) -> Iterator[tuple[str, dict[str, str], str | None]]:
    """The kinds whose key an item has: the kind, its required attributes, and the user in the key, if any."""
    pk, sk = key(item)
    for kind, pk_pattern, sk_pattern, required in PATTERNS:
        matches = pk_pattern.fullmatch(pk), sk_pattern.fullmatch(sk)
        if all(matches):
            yield kind, required, next((match['user'] for match in matches if 'user' in match.re.groupindex), None)


def classify(item: Item) -> Classified | Malformed:
    """The kind of an item. The reason of a malformed one contains names of attributes and no values."""
    reason = None
    for kind, required, _ in matching_kinds(item):
        invalid = [f'{name} ({kind_})' for name, kind_ in required.items() if kind_ not in item.get(name, {})]
        if not invalid:
            return Classified(kind)
        reason = reason or f'{kind} without {", ".join(invalid)}'
    return Malformed(reason or 'unknown key')


def user_of(item: Item) -> str | None:
    """The user whom an item belongs to, by its key alone: the other attributes may be malformed."""
    return next((user for _, _, user in matching_kinds(item)), None)


def number(item: Item, name: str) -> int:
    """A number, or 0 if it is absent or malformed: the live table may be the poisoned one."""
    try:
        return int(item.get(name, {}).get('N', '0'))
    except ValueError:
        return 0


def text(item: Item, name: str) -> str | None:
    return item.get(name, {}).get('S')


@dataclasses.dataclass
class Accounts:
    """The accounts of the live table, read before it is replaced."""
    erased: dict[str, Item] = dataclasses.field(default_factory=dict)
    erasures: dict[str, Item] = dataclasses.field(default_factory=dict)
    changed: dict[str, Item] = dataclasses.field(default_factory=dict)

    def add(self, item: Item) -> None:
        """Adds an item of the live table. Only the key is trusted: other attributes may be poisoned."""
        pk, sk = key(item)
        if pk == 'ERASURES':
            self.erasures[sk] = item
        elif sk == 'PROFILE' and pk.startswith('USER#'):
            user = pk.removeprefix('USER#')
            # A user who is deleted only at Stream has the status too, but keeps the profile until an erasure.
            if text(item, 'status') == 'deleted' and 'createdAt' not in item:
                self.erased[user] = {name: item[name] for name in TOMBSTONE if name in item}
            elif any(name in item for name in DATED):
                self.changed[user] = item

    def users_to_erase(self) -> set[str]:
        return self.erased.keys() | self.erasures.keys()


@dataclasses.dataclass(frozen=True)
class Put:
    item: Item


@dataclasses.dataclass(frozen=True)
class Delete:
    key: Key


def replay(item: Item, accounts: Accounts, calls_of_erased: set[str]) -> Put | Delete | None:
    """The change of a restored item to the state of the live table; `None` if there is none.

    `calls_of_erased` are the calls with an erased member: their statistics name all members."""
    pk, sk = key(item)
    user = user_of(item)
    erased = accounts.users_to_erase()
    if pk.startswith('CALL#') and pk.removeprefix('CALL#') in calls_of_erased:
        if sk.startswith('REPORT#') or sk == 'QUALITY#SUMMARY':
            return Delete((pk, sk))
    if user in erased:
        if sk == 'PROFILE':
            tombstone = tombstone_of(item, accounts)
            return None if item == tombstone else Put(tombstone)
        if pk == 'ERASURES':
            return None
        return Delete((pk, sk))
    if sk == 'PROFILE' and user in accounts.changed:
        merged = merge_account(item, accounts.changed[user])
        return None if item == merged else Put(merged)
    return None


def tombstone_of(item: Item, accounts: Accounts) -> Item:
    """The tombstone of an erased user: that of the live table, or one made of the restored item."""
    pk, sk = key(item)
    user = pk.removeprefix('USER#')
    if user in accounts.erased:
        return accounts.erased[user]
    kept = {name: item[name] for name in TOMBSTONE if name in item}
    begun_at = accounts.erasures[user].get('begunAt', {'N': '0'})
    return {**kept, 'status': {'S': 'deleted'}, 'statusAt': begun_at}


def merge_account(item: Item, newer: Item) -> Item:
    """The restored user with the revocations, status and ban of the live table, where those are newer."""
    merged = dict(item)
    for dated, types in DATED.items():
        has_types = all(kind in newer[name] for name, kind in types.items() if name in newer)
        if has_types and number(newer, dated) > number(item, dated):
            for name in types:
                merged.pop(name, None)
                if name in newer:
                    merged[name] = newer[name]
    return merged


def is_blocked(item: Item) -> bool:
    """Whether a user of the live table, whom the restored table lacks, must not start anew."""
    is_well_formed = isinstance(classify(item), Classified)
    return is_well_formed and merge_account({}, item) != {}


def erased_members(item: Item, erased: set[str]) -> bool:
    """Whether an erased user is or was in this call."""
    if key(item)[1] != 'CALL':
        return False
    members = {member.get('S') for member in item.get('members', {}).get('L', [])}
    members |= set(item.get('presence', {}).get('M', {}).get('users', {}).get('M', {}))
    return bool((members | {text(item, 'owner')}) & erased)


def erasure_item(user: str, accounts: Accounts) -> Item:
    """An erasure in progress, which the sweeper completes: at Stream, and in the table."""
    known = accounts.erasures.get(user, {})
    begun_at = known.get('begunAt') or accounts.erased.get(user, {}).get('statusAt') or {'N': '0'}
    return {'pk': {'S': 'ERASURES'}, 'sk': {'S': user}, 'userId': {'S': user}, 'begunAt': begun_at}
