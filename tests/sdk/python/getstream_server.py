"""Stream's Python SDK for video and chat as a server: the v2 API with the app's secret."""

import warnings
from datetime import datetime, timezone
from importlib.metadata import version

from getstream import Stream
from getstream.exceptions import StreamApiException
from getstream.models import (
    CallRequest,
    ChannelInput,
    ChannelMemberRequest,
    EventHook,
    MemberRequest,
    MessageRequest,
    SortParamRequest,
    UpdateUserPartialRequest,
    UserRequest,
)
from getstream.webhook import InvalidWebhookError
from runner import Operations
from stack import (
    API_KEY,
    API_SECRET,
    STREAM_URL,
    WebhookReceiver,
    emulator,
    eventually,
    new_id,
    stack_clock,
)

# The SDK warns of a required field that a response lacks.
warnings.simplefilter("error", RuntimeWarning)

suite = Operations("python_getstream", "getstream (Python, v2 server)", version("getstream"))
client = Stream(api_key=API_KEY, api_secret=API_SECRET, base_url=STREAM_URL, timeout=10)


def new_users(*names: str) -> list[str]:
    ids = [new_id(name) for name in names]
    client.upsert_users(*(UserRequest(id=it, name=it, custom={"plan": "pro"}) for it in ids))
    return ids


def find_user(user_id: str):
    from getstream.models import QueryUsersPayload

    payload = QueryUsersPayload(filter_conditions={"id": {"$in": [user_id]}})
    users = client.query_users(payload).data.users
    return users[0] if users else None


def new_call(members: list[str], **options):
    call = client.video.call("default", new_id("call"))
    data = CallRequest(
        created_by_id=members[0],
        members=[MemberRequest(user_id=it) for it in members],
        custom={"topic": "t"},
    )
    call.get_or_create(data=data, **options)
    return call


def new_channel(members: list[str]):
    channel = client.chat.channel("messaging", new_id("room"))
    data = ChannelInput(
        created_by_id=members[0],
        members=[ChannelMemberRequest(user_id=it) for it in members],
        custom={"topic": "t"},
    )
    channel.get_or_create(data=data)
    return channel


def assert_error(action, status: int) -> None:
    try:
        action()
    except StreamApiException as error:
        assert error.status_code == status, str(error)
    else:
        raise AssertionError("the operation did not fail")


def wait_for_task(task_id: str) -> None:
    eventually(lambda: client.get_task(task_id).data, lambda it: it.status == "completed", "task")


@suite.operation("app settings and rate limits")
def app_settings(_scope) -> None:
    assert client.get_app().data.app.event_hooks
    limits = client.get_rate_limits(server_side=True).data
    assert limits.server_side["SendMessage"].limit > 0


@suite.operation("users are created, changed and queried")
def users(_scope) -> None:
    (alice,) = new_users("alice")
    change = UpdateUserPartialRequest(id=alice, set={"plan": "free"}, unset=["name"])
    client.update_users_partial(users=[change])
    user = find_user(alice)
    assert user.custom["plan"] == "free"
    assert user.name is None
    assert isinstance(user.created_at, datetime)


@suite.operation("tokens of a user are revoked")
def revoke(_scope) -> None:
    (alice,) = new_users("alice")
    now = datetime.fromtimestamp(stack_clock(), timezone.utc).isoformat()
    change = UpdateUserPartialRequest(id=alice, set={"revoke_tokens_issued_before": now})
    client.update_users_partial(users=[change])
    assert isinstance(find_user(alice).revoke_tokens_issued_before, datetime)
    change = UpdateUserPartialRequest(id=alice, unset=["revoke_tokens_issued_before"])
    client.update_users_partial(users=[change])
    assert find_user(alice).revoke_tokens_issued_before is None


@suite.operation("users are deactivated, reactivated and deleted")
def deactivate(_scope) -> None:
    (carol,) = new_users("carol")
    client.deactivate_user(user_id=carol)
    assert find_user(carol) is None
    client.reactivate_user(user_id=carol)
    assert find_user(carol).id == carol
    task = client.delete_users(
        user_ids=[carol], user="hard", messages="hard", conversations="hard", calls="hard"
    )
    wait_for_task(task.data.task_id)
    assert_error(lambda: client.upsert_users(UserRequest(id=carol)), 404)


@suite.operation("a call is created, read, changed and queried")
def calls(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    call = new_call([alice, bob])
    found = call.get().data
    assert sorted(it.user_id for it in found.members) == sorted([alice, bob])
    assert found.call.created_by.id == alice
    assert isinstance(found.call.created_at, datetime)
    call.update(custom={"topic": "new"})
    sort = [SortParamRequest(field="created_at", direction=-1)]
    filter_conditions = {"cid": {"$in": [f"default:{call.id}"]}}
    page = client.video.query_calls(filter_conditions=filter_conditions, sort=sort, limit=5).data
    assert [it.call.custom["topic"] for it in page.calls] == ["new"]


@suite.operation("members of a call are added, removed and queried")
def call_members(_scope) -> None:
    alice, bob, carol = new_users("alice", "bob", "carol")
    call = new_call([alice, bob])
    call.update_call_members(update_members=[MemberRequest(user_id=carol)])
    call.update_call_members(remove_members=[bob])
    found = client.video.query_call_members(id=call.id, type="default").data.members
    assert sorted(it.user_id for it in found) == sorted([alice, carol])


@suite.operation("a call rings, and rings again")
def ring(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    call = new_call([alice, bob], ring=True)
    assert call.ring(members_ids=[bob]).data.members_ids == [bob]


@suite.operation("a call is ended and deleted")
def end_call(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    call = new_call([alice, bob])
    call.end()
    assert isinstance(call.get().data.call.ended_at, datetime)
    call.delete()
    assert_error(call.get, 404)


@suite.operation("sessions, report and statistics of a call")
def stats(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    call = new_call([alice, bob])
    cid = f"default:{call.id}"
    for user_id in (alice, bob):
        emulator("join", {"call_cid": cid, "user_id": user_id})
    session_id = call.get().data.call.current_session_id
    call.end()
    report = {"score": 87, "duration_seconds": 60, "participants": []}
    emulator("reports", {"call_cid": cid, "report": report})
    found = client.video.query_call_participant_sessions(
        type="default", id=call.id, session=session_id
    ).data
    assert sorted(it.user_id for it in found.participants_sessions) == sorted([alice, bob])
    assert call.get_call_report().data.session_id == session_id
    reports = client.video.query_call_stats(filter_conditions={"call_cid": cid}).data.reports
    assert [it.call_cid for it in reports] == [cid]


@suite.operation("a channel is created, queried and deleted")
def channels(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    channel = new_channel([alice, bob])
    cid = f"messaging:{channel.channel_id}"
    found = client.chat.query_channels(filter_conditions={"cid": {"$in": [cid]}}).data.channels
    assert [it.channel.custom["topic"] for it in found] == ["t"]
    channel.update(add_members=[], remove_members=[bob])
    client.chat.delete_channel(type="messaging", id=channel.channel_id)
    found = client.chat.query_channels(filter_conditions={"cid": {"$in": [cid]}}).data.channels
    assert found == []


@suite.operation("messages are sent, read, changed and deleted")
def messages(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    channel = new_channel([alice, bob])
    message_id = new_id("message")
    request = MessageRequest(id=message_id, text="hi", user_id=alice, custom={"mood": "good"})
    sent = channel.send_message(message=request).data.message
    assert sent.custom["mood"] == "good"
    assert isinstance(sent.created_at, datetime)
    assert_error(lambda: channel.send_message(message=request), 400)
    change = MessageRequest(text="hello", user_id=alice)
    client.chat.update_message(id=message_id, message=change)
    assert client.chat.get_message(id=message_id).data.message.text == "hello"
    client.chat.delete_message(id=message_id, hard=True)
    assert_error(lambda: client.chat.get_message(id=message_id), 404)


@suite.operation("users are banned and unbanned")
def ban(_scope) -> None:
    alice, carol = new_users("alice", "carol")
    client.moderation.ban(target_user_id=carol, banned_by_id=alice, timeout=60)
    assert find_user(carol).banned
    client.moderation.unban(target_user_id=carol)
    assert not find_user(carol).banned


@suite.operation("users are blocked, listed and unblocked")
def block(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    client.block_users(blocked_user_id=bob, user_id=alice)
    blocks = client.get_blocked_users(user_id=alice).data.blocks
    assert [it.blocked_user_id for it in blocks] == [bob]
    client.unblock_users(blocked_user_id=bob, user_id=alice)
    assert client.get_blocked_users(user_id=alice).data.blocks == []


@suite.operation("devices are added, listed and removed")
def devices(_scope) -> None:
    (alice,) = new_users("alice")
    client.create_device(id="phone-1", push_provider="firebase", user_id=alice)
    assert [it.id for it in client.list_devices(user_id=alice).data.devices] == ["phone-1"]
    client.delete_device(id="phone-1", user_id=alice)
    assert client.list_devices(user_id=alice).data.devices == []


@suite.operation("webhooks are verified, and parsed with times in nanoseconds")
def webhooks(scope) -> None:
    receiver = WebhookReceiver(scope)
    hooks = client.get_app().data.app.event_hooks
    hook = EventHook(
        hook_type="webhook",
        enabled=True,
        webhook_url=receiver.url,
        event_types=["message.new"],
        product="all",
    )
    client.update_app(event_hooks=[*hooks, hook])
    scope.callback(lambda: client.update_app(event_hooks=hooks))
    scope.callback(lambda: emulator("webhooks", {}))
    alice, bob = new_users("alice", "bob")
    channel = new_channel([alice, bob])

    def send(times: str) -> tuple[str, bytes]:
        emulator("webhooks", {"times": times})
        channel.send_message(message=MessageRequest(text=times, user_id=alice))
        return receiver.next()

    signature, body = send("nanoseconds")
    assert client.verify_signature(body, signature)
    event = client.verify_and_parse_webhook(body, signature)
    assert event.message.text == "nanoseconds"
    assert isinstance(event.created_at, datetime)
    # This SDK reads only nanoseconds. With the times that Stream sends it verifies, and the parse
    # fails.
    signature, body = send("rfc3339")
    assert client.verify_signature(body, signature)
    try:
        client.verify_and_parse_webhook(body, signature)
    except InvalidWebhookError:
        return
    raise AssertionError("the SDK reads RFC 3339 now: document it")


suite.run()
