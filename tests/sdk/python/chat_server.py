"""Stream's Python chat SDK as a server: the v1 API with the app's secret."""

from datetime import datetime, timezone
from importlib.metadata import version

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
from stream_chat import StreamChat
from stream_chat.base.exceptions import StreamAPIException
from stream_chat.webhook import InvalidWebhookError

suite = Operations("python_chat", "stream-chat (Python, v1 server)", version("stream-chat"))
client = StreamChat(API_KEY, API_SECRET, base_url=STREAM_URL, timeout=10)


def new_users(*names: str) -> list[str]:
    ids = [new_id(name) for name in names]
    client.upsert_users([{"id": user_id, "name": user_id, "plan": "pro"} for user_id in ids])
    return ids


def new_channel(members: list[str]):
    channel = client.channel("messaging", new_id("room"), {"members": members, "topic": "t"})
    channel.create(members[0])
    return channel


def find_user(user_id: str):
    users = client.query_users({"id": {"$eq": user_id}})["users"]
    return users[0] if users else None


def assert_error(action, status: int, code: int) -> None:
    try:
        action()
    except StreamAPIException as error:
        assert (error.status_code, error.error_code) == (status, code), str(error)
    else:
        raise AssertionError("the operation did not fail")


def wait_for_task(task_id: str) -> None:
    eventually(lambda: client.get_task(task_id), lambda it: it["status"] == "completed", "task")


@suite.operation("app settings and rate limits")
def app_settings(_scope) -> None:
    assert client.get_app_settings()["app"]["event_hooks"]
    limits = client.get_rate_limits(server_side=True)
    assert limits["server_side"]["SendMessage"]["limit"] > 0


@suite.operation("users are created, changed and queried")
def users(_scope) -> None:
    (alice,) = new_users("alice")
    client.update_user_partial({"id": alice, "set": {"plan": "free"}, "unset": ["name"]})
    user = find_user(alice)
    assert user["plan"] == "free"
    assert user.get("name") is None
    assert user["created_at"].endswith("Z")


@suite.operation("tokens of a user are revoked")
def revoke(_scope) -> None:
    (alice,) = new_users("alice")
    now = datetime.fromtimestamp(stack_clock(), timezone.utc)
    client.revoke_user_token(alice, now)
    assert find_user(alice)["revoke_tokens_issued_before"]
    client.revoke_user_token(alice, None)
    assert find_user(alice).get("revoke_tokens_issued_before") is None


@suite.operation("users are deactivated and reactivated")
def deactivate(_scope) -> None:
    (carol,) = new_users("carol")
    client.deactivate_user(carol)
    assert find_user(carol) is None
    client.reactivate_user(carol)
    assert find_user(carol)["id"] == carol


@suite.operation("users are deleted and restored")
def delete_users(_scope) -> None:
    bob, carol = new_users("bob", "carol")
    client.delete_user(bob, mark_messages_deleted=True)
    assert find_user(bob) is None
    client.restore_users([bob])
    assert find_user(bob)["id"] == bob
    task = client.delete_users([carol], "hard", conversations="hard", messages="hard")
    wait_for_task(task["task_id"])
    assert_error(lambda: client.upsert_user({"id": carol}), 404, 16)


@suite.operation("a channel is created, and created again without effect")
def create_channel(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    channel = new_channel([alice, bob])
    again = channel.create(alice)
    assert again["channel"]["topic"] == "t"
    assert again["channel"]["created_by"]["id"] == alice
    found = channel.query()["members"]
    assert sorted(it["user_id"] for it in found) == sorted([alice, bob])


@suite.operation("channels are queried")
def query_channels(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    channel = new_channel([alice, bob])
    found = client.query_channels({"members": {"$in": [bob]}}, {"created_at": -1}, limit=10)
    assert [it["channel"]["cid"] for it in found["channels"]] == [channel.cid]


@suite.operation("members are added, removed and queried")
def members(_scope) -> None:
    alice, bob, carol = new_users("alice", "bob", "carol")
    channel = new_channel([alice, bob])

    def ids() -> list[str]:
        return sorted(it["user_id"] for it in channel.query_members({}))

    channel.add_members([carol])
    assert ids() == sorted([alice, bob, carol])
    channel.remove_members([carol])
    assert ids() == sorted([alice, bob])


@suite.operation("messages are sent, read, changed, paged and deleted")
def messages(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    channel = new_channel([alice, bob])
    message_id = new_id("message")
    sent = channel.send_message({"id": message_id, "text": "hi", "mood": "good"}, alice)
    assert sent["message"]["mood"] == "good"
    assert sent["message"]["user"]["id"] == alice
    assert_error(lambda: channel.send_message({"id": message_id, "text": "hi"}, alice), 400, 4)
    channel.send_message({"text": "second"}, bob)
    client.update_message({"id": message_id, "text": "hello", "user_id": alice})
    assert client.get_message(message_id)["message"]["text"] == "hello"
    page = channel.query(messages={"limit": 1})["messages"]
    assert [it["text"] for it in page] == ["second"]
    older = channel.query(messages={"limit": 5, "id_lt": page[0]["id"]})["messages"]
    assert [it["text"] for it in older] == ["hello"]
    client.delete_message(message_id, hard=True)
    assert_error(lambda: client.get_message(message_id), 404, 16)


@suite.operation("a channel is changed, frozen and truncated")
def change_channel(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    channel = new_channel([alice, bob])
    changed = channel.update_partial(to_set={"topic": "new", "frozen": True})["channel"]
    assert (changed["topic"], changed["frozen"]) == ("new", True)
    channel.update_partial(to_set={"frozen": False})
    channel.send_message({"text": "gone"}, alice)
    channel.truncate()
    assert channel.query()["messages"] == []


@suite.operation("channels are deleted, alone and in a batch")
def delete_channels(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    first, second = new_channel([alice, bob]), new_channel([alice, bob])
    first.delete()
    assert_error(lambda: first.send_message({"text": "late"}, alice), 404, 16)
    task = client.delete_channels([second.cid], hard_delete=True)
    wait_for_task(task["task_id"])
    found = client.query_channels({"cid": {"$in": [first.cid, second.cid]}})
    assert found["channels"] == []


@suite.operation("users are banned and unbanned")
def ban(_scope) -> None:
    alice, carol = new_users("alice", "carol")
    client.ban_user(carol, banned_by_id=alice, timeout=60, reason="spam")
    assert find_user(carol)["banned"] is True
    client.unban_user(carol)
    assert find_user(carol)["banned"] is False


@suite.operation("users are blocked, listed and unblocked")
def block(_scope) -> None:
    alice, bob = new_users("alice", "bob")
    client.block_user(bob, alice)
    blocks = client.get_blocked_users(alice)["blocks"]
    assert [it["blocked_user_id"] for it in blocks] == [bob]
    client.unblock_user(bob, alice)
    assert client.get_blocked_users(alice)["blocks"] == []


@suite.operation("devices are added, listed and removed")
def devices(_scope) -> None:
    (alice,) = new_users("alice")
    client.add_device("phone-1", "firebase", alice)
    assert [it["id"] for it in client.get_devices(alice)["devices"]] == ["phone-1"]
    client.delete_device("phone-1", alice)
    assert client.get_devices(alice)["devices"] == []


@suite.operation("webhooks are verified and parsed, with times of both forms")
def webhooks(scope) -> None:
    receiver = WebhookReceiver(scope)
    hooks = client.get_app_settings()["app"]["event_hooks"]
    hook = {
        "hook_type": "webhook",
        "enabled": True,
        "webhook_url": receiver.url,
        "event_types": ["message.new"],
        "product": "all",
    }
    client.update_app_settings(event_hooks=[*hooks, hook])
    scope.callback(lambda: client.update_app_settings(event_hooks=hooks))
    scope.callback(lambda: emulator("webhooks", {}))
    alice, bob = new_users("alice", "bob")
    channel = new_channel([alice, bob])
    for times, kind in (("rfc3339", str), ("nanoseconds", int)):
        emulator("webhooks", {"times": times})
        channel.send_message({"text": times}, alice)
        signature, body = receiver.next()
        assert client.verify_webhook(body, signature)
        event = client.verify_and_parse_webhook(body, signature)
        assert event["message"]["text"] == times
        assert isinstance(event["created_at"], kind)
        try:
            client.verify_and_parse_webhook(body + b" ", signature)
        except InvalidWebhookError:
            continue
        raise AssertionError("a changed body was accepted")


suite.run()
