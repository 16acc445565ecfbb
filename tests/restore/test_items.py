"""The meaning of each item for a restore."""

import pytest

from restore.items import Accounts, Classified, Delete, Malformed, Put, classify, erasure_item, is_blocked, replay
from samples import CREATED_AT, call, item, number, personal, quality, text, tombstone, user

ALL = [user('dora'), tombstone('dora'), call('c1', 'dora', 'bob'), *quality('c1', 'dora'), *personal('dora', 'c1'),
       item('CALL#c5', 'CALL', answeredWith=text('c1'), fingerprint=text('f'), expires=number(1)),
       item('MEMBERS#' + 'a' * 64, 'OPEN', callId=text('c1'), attempt=text('t'), at=number(1)),
       item('LIMIT#delete-channel', '29453760', used=number(3)),
       item('ERASURES', 'dora', userId=text('dora'), begunAt=number(1)),
       item('SWEEP', 'RECONCILE', place=text('{}'))]


@pytest.mark.parametrize('known', ALL, ids=lambda known: f"{known['pk']['S']}/{known['sk']['S']}")
def test_each_documented_item_is_known(known):
    assert isinstance(classify(known), Classified)


@pytest.mark.parametrize('poisoned, reason', [
    (item('CALL#c1', 'CALL', callId=text('c1'), owner=text('a'), members={'L': []}, createdAt=number(1)),
     'call without state (S)'),
    (item('USER#a', 'PROFILE', userId=number(1), version=number(1)), 'user without userId (S)'),
    (item('USER#a b', 'PROFILE', userId=text('a b'), version=number(1)), 'unknown key'),
    (item('OTHER', 'x'), 'unknown key'),
    ({'pk': {'N': '1'}, 'sk': text('CALL')}, 'unknown key'),
])
def test_malformed_item_has_a_reason(poisoned, reason):
    assert classify(poisoned) == Malformed(reason)


def accounts(*live) -> Accounts:
    found = Accounts()
    for live_item in live:
        found.add(live_item)
    return found


@pytest.mark.parametrize('restored', personal('dora', 'c1') + quality('c1', 'dora'),
                         ids=lambda restored: f"{restored['pk']['S']}/{restored['sk']['S']}")
def test_items_of_an_erased_user_are_deleted(restored):
    key = restored['pk']['S'], restored['sk']['S']
    assert replay(restored, accounts(tombstone('dora')), {'c1'}) == Delete(key)
    assert replay(restored, accounts(user('dora')), set()) is None


def test_tombstone_replaces_the_profile_once():
    live = accounts(tombstone('dora', revokedAt=number(CREATED_AT)))
    change = replay(user('dora'), live, set())
    assert change == Put(tombstone('dora', revokedAt=number(CREATED_AT)))
    assert replay(change.item, live, set()) is None


def test_user_whose_erasure_is_in_progress_is_erased():
    """The tombstone of the live table may be poisoned; then the erasure alone names the user."""
    live = accounts(item('ERASURES', 'dora', userId=text('dora'), begunAt=number(7), task=text('t1')),
                    item('USER#dora', 'PROFILE', status={'BOOL': True}))
    change = replay(user('dora', tokenMinute=number(1)), live, set())
    assert change.item['status'] == text('deleted') and change.item['statusAt'] == number(7)
    assert 'name' not in change.item and 'tokenMinute' not in change.item
    # Without the task and the page: the erasure begins again.
    assert set(erasure_item('dora', live)) == {'pk', 'sk', 'userId', 'begunAt'}


def test_user_deleted_only_at_stream_is_not_erased():
    live = accounts(user('dora', status=text('deleted'), statusAt=number(CREATED_AT + 5)))
    change = replay(user('dora'), live, set())
    assert change.item['name'] == text('Dora') and change.item['status'] == text('deleted')


@pytest.mark.parametrize('restored, live, expected', [
    ({}, {'revokedAt': number(9)}, {'revokedAt': number(9)}),
    ({'revokedAt': number(9)}, {'revokedAt': number(8)}, {'revokedAt': number(9)}),
    ({'status': text('active'), 'statusAt': number(1)}, {'status': text('deactivated'), 'statusAt': number(2)},
     {'status': text('deactivated'), 'statusAt': number(2)}),
    ({'banUntil': number(99), 'banAt': number(1)}, {'banAt': number(2)}, {'banAt': number(2)}),
    ({}, {'sessionsRevokedAt': text('poisoned')}, {}),
])
def test_newer_revocation_status_and_ban_win(restored, live, expected):
    change = replay(user('eve', **restored), accounts(user('eve', **live)), set())
    result = user('eve', **restored) if change is None else change.item
    assert result == user('eve', **expected)


@pytest.mark.parametrize('poisoned', [
    item('USER#dora', 'PROFILE', name=text('Dora')),
    item('CALL#c1', 'SAMPLES#dora#004', samples=text('poisoned')),
    item('USER#dora', 'IN_CALL'),
], ids=lambda poisoned: f"{poisoned['pk']['S']}/{poisoned['sk']['S']}")
def test_malformed_item_does_not_bring_a_user_back(poisoned):
    change = replay(poisoned, accounts(tombstone('dora')), set())
    assert change in (Put(tombstone('dora')), Delete((poisoned['pk']['S'], poisoned['sk']['S'])))


@pytest.mark.parametrize('live, expected', [
    (user('eve', banUntil=number(9), banAt=number(2)), True),
    (user('eve', revokedAt=number(9)), True),
    (user('eve'), False),
    (item('USER#eve', 'PROFILE', banUntil=number(9), banAt=number(2)), False),
    (user('eve', banUntil=text('poisoned'), banAt=number(2)), False),
])
def test_only_a_well_formed_user_is_carried_over(live, expected):
    assert is_blocked(live) is expected


def test_malformed_ban_of_the_live_table_is_ignored():
    live = accounts(user('eve', banUntil={'BOOL': True}, banAt=number(2)))
    assert replay(user('eve'), live, set()) is None
