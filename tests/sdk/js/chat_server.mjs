// The chat SDK as a server: the v1 API with the app's secret.

import assert from 'node:assert/strict';

import { StreamChat } from 'stream-chat';
import { runOperations } from './runner.mjs';
import { apiKey, apiSecret, emulator, newUserId, stackNow, streamUrl } from './stack.mjs';
import { versionOf } from './versions.mjs';
import { eventually } from './wait.mjs';
import { startWebhookReceiver } from './webhook_receiver.mjs';

const client = new StreamChat(apiKey, apiSecret, { baseURL: streamUrl, timeout: 10_000 });

const isError = (status, code) => (error) => {
  assert.equal(error.status ?? error.response?.status, status, error.message);
  assert.equal(error.code, code, error.message);
  return true;
};

/** Users at Stream, by their new ids. */
const newUsers = async (...names) => {
  const ids = names.map(newUserId);
  await client.upsertUsers(ids.map((id) => ({ id, name: id, plan: 'pro' })));
  return ids;
};

const newChannel = async (members) => {
  const id = newUserId('room');
  const channel = client.channel('messaging', id, { members, created_by_id: members[0], topic: 't' });
  await channel.create();
  return channel;
};

const findUser = async (id) => (await client.queryUsers({ id: { $eq: id } })).users[0];
const completed = (taskId) =>
  eventually(() => client.getTask(taskId), (task) => task.status === 'completed', 'task');

const operations = {
  'app settings and rate limits': async () => {
    const { app } = await client.getAppSettings();
    assert.ok(app.event_hooks.length >= 1);
    const limits = await client.getRateLimits({ serverSide: true });
    assert.ok(limits.server_side.SendMessage.limit > 0);
  },

  'users are created, changed and queried': async () => {
    const [alice] = await newUsers('alice');
    await client.partialUpdateUser({ id: alice, set: { plan: 'free' }, unset: ['name'] });
    const user = await findUser(alice);
    assert.equal(user.plan, 'free');
    assert.equal(user.name, undefined);
    assert.ok(Date.parse(user.created_at) > 0);
  },

  'tokens of a user are revoked': async () => {
    const [alice] = await newUsers('alice');
    await client.revokeUserToken(alice, new Date(stackNow()));
    const iat = Math.floor(stackNow() / 1_000) - 60;
    const user = new StreamChat(apiKey, { baseURL: streamUrl, allowServerSideConnect: true });
    const connecting = user.connectUser({ id: alice }, client.createToken(alice, iat + 3_600, iat));
    await assert.rejects(connecting, /40|revoked/);
    await client.revokeUserToken(alice, null);
    assert.equal((await findUser(alice)).revoke_tokens_issued_before ?? null, null);
  },

  'users are deactivated and reactivated': async () => {
    const [carol] = await newUsers('carol');
    await client.deactivateUser(carol);
    assert.equal(await findUser(carol), undefined);
    await client.reactivateUser(carol);
    assert.equal((await findUser(carol)).id, carol);
  },

  'users are deleted and restored': async () => {
    const [bob, carol] = await newUsers('bob', 'carol');
    await client.deleteUser(bob, { mark_messages_deleted: true });
    assert.equal(await findUser(bob), undefined);
    await client.restoreUsers([bob]);
    assert.equal((await findUser(bob)).id, bob);
    const hard = { user: 'hard', messages: 'hard', conversations: 'hard' };
    const { task_id: taskId } = await client.deleteUsers([carol], hard);
    await completed(taskId);
    await assert.rejects(client.upsertUser({ id: carol }), isError(404, 16));
  },

  'a channel is created, and created again without effect': async () => {
    const [alice, bob] = await newUsers('alice', 'bob');
    const channel = await newChannel([alice, bob]);
    assert.equal(channel.data.topic, 't');
    const again = await channel.query({ state: true });
    assert.deepEqual(again.members.map((it) => it.user_id).sort(), [alice, bob].sort());
    assert.equal(again.channel.created_by.id, alice);
  },

  'channels are queried': async () => {
    const [alice, bob] = await newUsers('alice', 'bob');
    const channel = await newChannel([alice, bob]);
    const filter = { type: 'messaging', members: { $in: [bob] } };
    const found = await client.queryChannels(filter, [{ created_at: -1 }], { watch: false });
    assert.deepEqual(found.map((it) => it.cid), [channel.cid]);
  },

  'members are added, removed and queried': async () => {
    const [alice, bob, carol] = await newUsers('alice', 'bob', 'carol');
    const channel = await newChannel([alice, bob]);
    const ids = async () => (await channel.queryMembers({})).members.map((it) => it.user_id).sort();
    await channel.addMembers([carol]);
    assert.deepEqual(await ids(), [alice, bob, carol].sort());
    await channel.removeMembers([carol]);
    assert.deepEqual(await ids(), [alice, bob].sort());
  },

  'messages are sent, read, changed, paged and deleted': async () => {
    const [alice, bob] = await newUsers('alice', 'bob');
    const channel = await newChannel([alice, bob]);
    const id = newUserId('message');
    const { message } = await channel.sendMessage({ id, text: 'hi', user_id: alice, mood: 'good' });
    assert.equal(message.mood, 'good');
    assert.equal(message.user.id, alice);
    await assert.rejects(channel.sendMessage({ id, text: 'hi', user_id: alice }), isError(400, 4));
    await channel.sendMessage({ text: 'second', user_id: bob });
    assert.equal((await client.getMessage(id)).message.text, 'hi');
    await client.updateMessage({ id, text: 'hello', user_id: alice });
    const page = await channel.query({ state: true, messages: { limit: 1 } });
    assert.deepEqual(page.messages.map((it) => it.text), ['second']);
    const older = await channel.query({ state: true, messages: { limit: 5, id_lt: page.messages[0].id } });
    assert.deepEqual(older.messages.map((it) => it.text), ['hello']);
    await client.deleteMessage(id, { hardDelete: true });
    await assert.rejects(client.getMessage(id), isError(404, 16));
  },

  'a channel is changed, frozen and truncated': async () => {
    const [alice, bob] = await newUsers('alice', 'bob');
    const channel = await newChannel([alice, bob]);
    const { channel: changed } = await channel.updatePartial({ set: { topic: 'new', frozen: true } });
    assert.equal(changed.topic, 'new');
    assert.equal(changed.frozen, true);
    await channel.updatePartial({ set: { frozen: false } });
    await channel.sendMessage({ text: 'gone', user_id: alice });
    await channel.truncate();
    assert.deepEqual((await channel.query({ state: true })).messages, []);
  },

  'channels are deleted, alone and in a batch': async () => {
    const [alice, bob] = await newUsers('alice', 'bob');
    const [first, second] = [await newChannel([alice, bob]), await newChannel([alice, bob])];
    await first.delete();
    await assert.rejects(first.sendMessage({ text: 'late', user_id: alice }), isError(404, 16));
    const { task_id: taskId } = await client.deleteChannels([second.cid], { hard_delete: true });
    await completed(taskId);
    const found = await client.queryChannels({ cid: { $in: [first.cid, second.cid] } }, [], { watch: false });
    assert.deepEqual(found, []);
  },

  'users are banned and unbanned': async () => {
    const [alice, carol] = await newUsers('alice', 'carol');
    await client.banUser(carol, { banned_by_id: alice, timeout: 60, reason: 'spam' });
    assert.equal((await findUser(carol)).banned, true);
    await client.unbanUser(carol);
    assert.equal((await findUser(carol)).banned, false);
  },

  'users are blocked, listed and unblocked': async () => {
    const [alice, bob] = await newUsers('alice', 'bob');
    await client.blockUser(bob, alice);
    const { blocks } = await client.getBlockedUsers(alice);
    assert.deepEqual(blocks.map((it) => it.blocked_user_id), [bob]);
    await client.unBlockUser(bob, alice);
    assert.deepEqual((await client.getBlockedUsers(alice)).blocks, []);
  },

  'devices are added, listed and removed': async () => {
    const [alice] = await newUsers('alice');
    await client.addDevice('phone-1', 'firebase', alice);
    assert.deepEqual((await client.getDevices(alice)).devices.map((it) => it.id), ['phone-1']);
    await client.removeDevice('phone-1', alice);
    assert.deepEqual((await client.getDevices(alice)).devices, []);
  },

  'webhooks are verified and parsed, with times of both forms': async (scope) => {
    const receiver = await startWebhookReceiver(scope);
    const { app } = await client.getAppSettings();
    const hook = {
      hook_type: 'webhook',
      enabled: true,
      webhook_url: receiver.url,
      event_types: ['message.new'],
      product: 'all',
    };
    await client.updateAppSettings({ event_hooks: [...app.event_hooks, hook] });
    scope.defer(() => client.updateAppSettings({ event_hooks: app.event_hooks }));
    scope.defer(() => emulator('webhooks', {}));
    const [alice, bob] = await newUsers('alice', 'bob');
    const channel = await newChannel([alice, bob]);
    for (const times of ['rfc3339', 'nanoseconds']) {
      await emulator('webhooks', { times });
      await channel.sendMessage({ text: times, user_id: alice });
      const { headers, body } = await receiver.next();
      const signature = headers['x-signature'];
      assert.equal(client.verifyWebhook(body, signature), true);
      assert.equal(client.verifyWebhook(Buffer.concat([body, Buffer.from(' ')]), signature), false);
      const event = client.verifyAndParseWebhook(body, signature);
      assert.equal(event.message.text, times);
      assert.equal(typeof event.created_at, times === 'rfc3339' ? 'string' : 'number');
    }
  },
};

await runOperations({
  file: 'chat_server',
  sdk: 'stream-chat (v1 server)',
  version: versionOf('stream-chat'),
  operations,
});
