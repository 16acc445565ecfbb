"""Items as the functions write them."""

CREATED_AT = 1_767_225_600_000


def text(value: str) -> dict:
    return {'S': value}


def number(value: int) -> dict:
    return {'N': str(value)}


def item(pk: str, sk: str, **attributes) -> dict:
    return {'pk': text(pk), 'sk': text(sk), **attributes}


def user(name: str, **attributes) -> dict:
    return item(f'USER#{name}', 'PROFILE', userId=text(name), name=text(name.title()), version=number(3),
                synced=number(3), createdAt=number(CREATED_AT), updatedAt=number(CREATED_AT), **attributes)


def tombstone(name: str, **attributes) -> dict:
    return item(f'USER#{name}', 'PROFILE', userId=text(name), version=number(3), synced=number(3),
                status=text('deleted'), statusAt=number(CREATED_AT + 5_000), erasedAt=number(CREATED_AT + 9_000),
                **attributes)


def call(id_: str, *members: str) -> dict:
    return item(f'CALL#{id_}', 'CALL', callId=text(id_), owner=text(members[0]), state=text('ended'),
                members={'L': [text(member) for member in members]}, createdAt=number(CREATED_AT))


def quality(id_: str, *members: str) -> list[dict]:
    of_call = [item(f'CALL#{id_}', 'REPORT#s1', session=text('s1'), figures=text('{}'), at=number(CREATED_AT)),
               item(f'CALL#{id_}', 'QUALITY#SUMMARY', at=number(CREATED_AT))]
    samples = [item(f'CALL#{id_}', f'SAMPLES#{member}#004', userId=text(member), at=number(CREATED_AT))
               for member in members]
    ratings = [item(f'CALL#{id_}', f'RATING#s1#{member}', userId=text(member), at=number(CREATED_AT))
               for member in members]
    return of_call + samples + ratings


def personal(name: str, id_: str) -> list[dict]:
    """The other items of a user."""
    members = {'L': [text(name), text('bob')]}
    return [
        item(f'USER#{name}', 'IN_CALL', callId=text(id_), joinedAt=number(CREATED_AT)),
        item(f'USER#{name}', f'HISTORY#ENDED#{CREATED_AT}#{id_}', callId=text(id_), members=members, version=number(4)),
        item(f'LIMIT#token#{name}', '29453760', count=number(1)),
        item('PROFILES', name, userId=text(name), at=number(CREATED_AT)),
    ]
