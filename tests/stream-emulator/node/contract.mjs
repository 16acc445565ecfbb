// Runs every operation that the backend uses with Stream's official SDK against the emulator. The
// emulator must accept the SDK's requests, and the SDK must decode its responses.
//
// STREAM_BASE_URL, STREAM_API_KEY and STREAM_API_SECRET configure the client. Ids are unique to a run,
// so that runs do not affect each other.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { StreamClient } from '@stream-io/node-sdk';

const basePath = variable('STREAM_BASE_URL').replace(/\/+$/, '');
const apiKey = variable('STREAM_API_KEY');
const apiSecret = variable('STREAM_API_SECRET');

const client = new StreamClient(apiKey, apiSecret, { basePath });
const run = Date.now().toString(36);
const [alice, bob, unknownUser] = ['alice', 'bob', 'unknown'].map((name) => `${name}-${run}`);
const channelId = `call-${run}`;
const channel = client.chat.channel('messaging', channelId);
const call = client.video.call('default', run);

function variable(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

/** Asserts that the SDK rejects with this status and code, and with a message that matches. */
async function assertRejected(promise, status, code, message = /./) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.metadata?.responseCode, status, error.message);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

async function waitForTask(taskId) {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const task = await client.getTask({ id: taskId });
    if (task.status === 'completed') return task;
    assert.notEqual(task.status, 'failed');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return assert.fail(`task ${taskId} did not complete`);
}

/** A server that records every webhook that it receives. */
async function startWebhookReceiver() {
  const webhooks = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    webhooks.push({ headers: request.headers, body: Buffer.concat(chunks) });
    response.end();
    server.emit('webhook');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/webhook`,
    async webhook(number) {
      while (webhooks.length <= number) await once(server, 'webhook');
      return webhooks[number];
    },
    close: () => server.close(),
  };
}

/** The cids that match a filter, among this run's call and a call that does not exist. */
async function findCall(filter) {
  const { calls } = await client.video.queryCalls({
    filter_conditions: { cid: { $in: [call.cid, `default:none-${run}`] }, ...filter },
    sort: [{ field: 'created_at', direction: 1 }],
    limit: 100,
  });
  return calls.map((found) => found.call.cid);
}

const ids = (messages) => messages.map((message) => message.id);
const messageId = (number) => `message-${run}-${number}`;
const send = (number) =>
  channel.sendMessage({
    message: { id: messageId(number), text: `number ${number}`, user_id: alice },
    skip_push: true,
  });

await test('getApp returns the app and the rate limit headers', async () => {
  const { app, duration, metadata } = await client.getApp();
  assert.equal(app.suspended, false);
  assert.equal(typeof duration, 'string');
  assert.equal(typeof metadata.rateLimit.rateLimit, 'number');
  assert.equal(typeof metadata.rateLimit.rateLimitRemaining, 'number');
  assert.ok(metadata.rateLimit.rateLimitReset > new Date(Date.now() - 1000));
});

await test('a wrong key is code 2 and a wrong secret is code 43', async () => {
  const wrongKey = new StreamClient(`${apiKey}-wrong`, apiSecret, { basePath });
  await assertRejected(wrongKey.getApp(), 401, 2);
  const wrongSecret = new StreamClient(apiKey, `${apiSecret}-wrong`, { basePath });
  await assertRejected(wrongSecret.getApp(), 401, 43);
});

await test('getRateLimits returns the requested endpoints', async () => {
  const limits = await client.getRateLimits({
    server_side: true,
    endpoints: 'GetOrCreateCall,SendMessage',
  });
  assert.deepEqual(Object.keys(limits.server_side).sort(), ['GetOrCreateCall', 'SendMessage']);
});

await test('upsertUsers creates a user, and replaces it on a second call', async () => {
  const first = await client.upsertUsers([
    { id: alice, name: 'Alice', role: 'user', custom: { plan: 'pro' } },
    { id: bob },
  ]);
  assert.equal(first.users[alice].name, 'Alice');
  assert.equal(first.users[alice].custom.plan, 'pro');
  assert.ok(first.users[alice].created_at instanceof Date);
  const second = await client.upsertUsers([{ id: alice, image: 'https://example.com/a.png' }]);
  assert.equal(second.users[alice].name, undefined);
  assert.deepEqual(second.users[alice].custom, {});
  assert.deepEqual(second.users[alice].created_at, first.users[alice].created_at);
});

await test('upsertUsers rejects an invalid id', async () => {
  await assertRejected(client.upsertUsers([{ id: 'not an id' }]), 400, 4);
});

await test('updateUsersPartial sets and unsets fields', async () => {
  const set = { name: 'A2', plan: 'free' };
  await client.updateUsersPartial({ users: [{ id: alice, set }] });
  const { users } = await client.updateUsersPartial({ users: [{ id: alice, unset: ['plan'] }] });
  assert.equal(users[alice].name, 'A2');
  assert.deepEqual(users[alice].custom, {});
});

await test('updateUsersPartial sets and clears the token revocation', async () => {
  const at = new Date(Date.now() - 5000);
  const patch = (instant) =>
    client.updateUsersPartial({
      users: [{ id: alice, set: { revoke_tokens_issued_before: instant } }],
    });
  const revoked = await patch(at.toISOString());
  // The SDK parses nanoseconds into a double, so it may return the millisecond before.
  assert.ok(Math.abs(revoked.users[alice].revoke_tokens_issued_before - at) <= 1);
  const restored = await patch(null);
  assert.equal(restored.users[alice].revoke_tokens_issued_before, undefined);
});

await test('queryUsers finds users by id', async () => {
  const { users } = await client.queryUsers({
    payload: { filter_conditions: { id: { $in: [alice, unknownUser] } } },
  });
  assert.deepEqual(users.map((user) => user.id), [alice]);
});

await test('a user token is rejected for server operations', async () => {
  const getRolesWith = (token) =>
    fetch(`${basePath}/api/v2/roles?api_key=${apiKey}`, {
      headers: { Authorization: token, 'stream-auth-type': 'jwt' },
    });
  const token = client.generateUserToken({ user_id: alice, validity_in_seconds: 60 });
  const forbidden = await getRolesWith(token);
  assert.equal(forbidden.status, 403);
  assert.equal((await forbidden.json()).code, 17);
  const iat = Math.floor(Date.now() / 1000) - 120;
  const expired = await getRolesWith(client.generateUserToken({ user_id: alice, iat, exp: iat + 60 }));
  assert.equal(expired.status, 401);
  assert.equal((await expired.json()).code, 40);
  const notYetValid = await getRolesWith(client.generateUserToken({ user_id: alice, iat: iat + 720 }));
  assert.equal((await notYetValid.json()).code, 42);
});

await test('channel.get does not create a channel', async () => {
  await assertRejected(channel.get({ state: true }), 404, 16, new RegExp(`messaging:${channelId}`));
});

await test('channel.getOrCreate lists unknown members in the error', async () => {
  const data = { created_by_id: alice, members: [{ user_id: alice }, { user_id: unknownUser }] };
  await assertRejected(channel.getOrCreate({ data }), 400, 4, new RegExp(`don't exist.*${unknownUser}`));
  await assertRejected(channel.getOrCreate({ data: { members: [] } }), 400, 4, /created_by/);
});

await test('channel.getOrCreate is idempotent', async () => {
  const data = {
    created_by_id: alice,
    members: [{ user_id: alice }, { user_id: bob, channel_role: 'channel_moderator' }],
    custom: { call_id: run },
  };
  const first = await channel.getOrCreate({ data });
  assert.equal(first.channel.cid, `messaging:${channelId}`);
  assert.equal(first.channel.created_by.id, alice);
  assert.equal(first.channel.custom.call_id, run);
  assert.deepEqual(first.members.map((member) => member.user_id), [alice, bob]);
  assert.deepEqual(first.messages, []);
  const second = await channel.getOrCreate({ data: { ...data, custom: { call_id: 'other' } } });
  assert.equal(second.channel.custom.call_id, run);
  assert.deepEqual(second.channel.created_at, first.channel.created_at);
});

await test('queryChannels filters by fields', async () => {
  const find = async (filter_conditions) => {
    const sort = [{ field: 'created_at', direction: 1 }];
    const query = { filter_conditions, sort, limit: 30, offset: 0, state: false };
    const { channels } = await client.chat.queryChannels(query);
    return channels.map((found) => found.channel.cid);
  };
  const now = Date.now();
  const since = new Date(now - 3_600_000).toISOString();
  const later = new Date(now + 3_600_000).toISOString();
  const unknown = `messaging:none-${run}`;
  assert.deepEqual(await find({ cid: { $in: [channel.cid, unknown] } }), [channel.cid]);
  assert.deepEqual(await find({ type: 'messaging', call_id: run }), [channel.cid]);
  assert.deepEqual(await find({ id: channelId, call_id: { $exists: true } }), [channel.cid]);
  assert.deepEqual(await find({ created_by_id: alice, members: { $in: [bob] } }), [channel.cid]);
  const created_at = { $gte: since, $lt: later };
  assert.deepEqual(await find({ cid: channel.cid, created_at }), [channel.cid]);
  assert.deepEqual(await find({ cid: channel.cid, created_at: { $gte: later } }), []);
  await assertRejected(client.chat.queryChannels({ limit: 31 }), 400, 4);
  const { channels } = await client.chat.queryChannels({
    filter_conditions: { cid: channel.cid },
    message_limit: 1,
    member_limit: 100,
  });
  assert.equal(channels[0].channel.custom.call_id, run);
  assert.ok(channels[0].channel.created_at instanceof Date);
  assert.deepEqual(channels[0].members.map((member) => member.user_id), [alice, bob]);
});

await test('channel members are removed, added and listed', async () => {
  const afterRemoval = await channel.update({ remove_members: [bob] });
  assert.deepEqual(afterRemoval.members.map((member) => member.user_id), [alice]);
  await channel.update({ add_members: [{ user_id: bob }] });
  const { members } = await channel.queryMembers({
    payload: {
      filter_conditions: {},
      sort: [{ field: 'created_at', direction: 1 }],
      limit: 100,
      offset: 0,
    },
  });
  assert.deepEqual(members.map((member) => member.user_id).sort(), [alice, bob].sort());
});

await test('sendMessage rejects a duplicate id', async () => {
  const { message } = await send(1);
  assert.equal(message.id, messageId(1));
  assert.equal(message.user.id, alice);
  assert.ok(message.created_at instanceof Date);
  await assertRejected(send(1), 400, 4, /already exists/);
});

await test('sendMessage answers an unknown command with an error message', async () => {
  const { message } = await channel.sendMessage({ message: { text: '/shrug', user_id: alice } });
  assert.equal(message.type, 'error');
  assert.match(message.text, /command shrug doesn't exist/);
});

await test('sendMessage rejects a text that is too long', async () => {
  const message = { text: 'x'.repeat(5001), user_id: alice };
  await assertRejected(channel.sendMessage({ message }), 400, 20);
});

await test('messages are paged backwards, each page in ascending order', async () => {
  for (const number of [2, 3, 4, 5]) await send(number);
  const pages = [];
  let before;
  do {
    const messages = before ? { limit: 2, id_lt: before } : { limit: 2 };
    const page = ids((await channel.getOrCreate({ messages })).messages);
    pages.push(page);
    before = page[0];
  } while (pages.at(-1).length === 2);
  assert.deepEqual(pages, [[4, 5], [2, 3], [1]].map((page) => page.map(messageId)));
  const read = await channel.get({
    state: true,
    messages_limit: 2,
    messages_id_lt: messageId(4),
  });
  assert.deepEqual(ids(read.messages), [2, 3].map(messageId));
});

await test('getMessage returns the message with its channel', async () => {
  const { message } = await client.chat.getMessage({ id: messageId(3) });
  assert.equal(message.text, 'number 3');
  assert.equal(message.channel.cid, `messaging:${channelId}`);
  await assertRejected(client.chat.getMessage({ id: `none-${run}` }), 404, 16);
});

await test('webhooks are signed, with and without compression', { timeout: 20_000 }, async () => {
  const receiver = await startWebhookReceiver();
  const { app } = await client.getApp();
  const hook = {
    hook_type: 'webhook',
    enabled: true,
    webhook_url: receiver.url,
    event_types: ['message.new'],
    product: 'chat',
  };
  try {
    for (const [number, compressed] of [false, true].entries()) {
      const enable_hook_payload_compression = compressed;
      await client.updateApp({ event_hooks: [hook], enable_hook_payload_compression });
      assert.equal((await client.getApp()).app.event_hooks[0].webhook_url, receiver.url);
      await send(10 + number);
      const { headers, body } = await receiver.webhook(number);
      const signature = headers['x-signature'];
      const event = client.verifyAndParseWebhook(body, signature);
      assert.equal(event.type, 'message.new');
      assert.equal(event.cid, channel.cid);
      assert.equal(event.channel_id, channelId);
      assert.equal(event.message.id, messageId(10 + number));
      assert.equal(event.user.id, alice);
      assert.match(event.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      assert.match(event.message.created_at, /Z$/);
      // verifyWebhook does not decompress.
      assert.equal(client.verifyWebhook(body, signature), !compressed);
      assert.throws(() => client.verifyAndParseWebhook(body, signature.toUpperCase()));
      assert.equal(headers['x-api-key'], apiKey);
      assert.equal(headers['x-webhook-attempt'], '1');
      assert.match(headers['x-webhook-id'], /^[0-9a-f-]{36}$/);
      assert.equal(headers['content-encoding'], compressed ? 'gzip' : undefined);
    }
  } finally {
    const event_hooks = app.event_hooks;
    await client.updateApp({ event_hooks, enable_hook_payload_compression: false });
    receiver.close();
  }
});

await test('a call type is created, updated and deleted', async () => {
  const name = `type-${run}`;
  const created = await client.video.createCallType({
    name,
    grants: { user: [], call_member: ['read-call', 'join-call'] },
    settings: { session: { inactivity_timeout_seconds: 60 } },
  });
  assert.deepEqual(created.grants.user, []);
  assert.ok(created.grants.admin.includes('end-call'));
  assert.ok(created.created_at instanceof Date);
  assert.equal(created.settings.session.inactivity_timeout_seconds, 60);
  assert.equal(created.notification_settings.call_ring.enabled, true);
  await assertRejected(client.video.createCallType({ name }), 400, 4, /already exists/);
  const unknown = { name, grants: { call_member: ['start-record-call'] } };
  await assertRejected(client.video.updateCallType(unknown), 400, 4, /unknown permission/);
  await client.video.updateCallType({ name, grants: { call_member: ['end-call'] } });
  const read = await client.video.getCallType({ name });
  assert.deepEqual(read.grants.call_member, ['end-call']);
  assert.deepEqual(read.grants.user, []);
  const { call_types: callTypes } = await client.video.listCallTypes();
  assert.ok(callTypes[name].updated_at instanceof Date);
  assert.equal(callTypes.default.name, 'default');
  await client.video.deleteCallType({ name });
  await assertRejected(client.video.getCallType({ name }), 404, 16, /does not exist/);
});

await test('call.get returns 404 for an unknown call', async () => {
  await assertRejected(call.get(), 404, 16);
});

await test('call.getOrCreate lists unknown members in the error', async () => {
  const data = { created_by_id: alice, members: [{ user_id: unknownUser }] };
  await assertRejected(call.getOrCreate({ data }), 400, 4, new RegExp(unknownUser));
});

await test('call.getOrCreate creates once and overrides settings', async () => {
  const data = {
    created_by_id: alice,
    members: [{ user_id: alice, role: 'admin' }, { user_id: bob }],
    channel_cid: channel.cid,
    custom: { kind: 'video' },
    settings_override: {
      limits: { max_duration_seconds: 3600 },
      session: { inactivity_timeout_seconds: 300 },
    },
  };
  const first = await call.getOrCreate({ data, ring: true });
  assert.equal(first.created, true);
  assert.equal(first.call.cid, `default:${run}`);
  assert.equal(first.call.channel_cid, channel.cid);
  assert.equal(first.call.settings.limits.max_duration_seconds, 3600);
  assert.equal(first.call.settings.session.inactivity_timeout_seconds, 300);
  assert.equal(typeof first.call.settings.video.target_resolution.width, 'number');
  assert.equal(first.call.ended_at, undefined);
  // A ring opens a session, which starts with the first join.
  assert.equal(first.call.session.started_at, undefined);
  assert.equal(first.call.current_session_id, first.call.session.id);
  assert.deepEqual(first.members.map((member) => member.user_id), [alice, bob]);
  const second = await call.getOrCreate({ data });
  assert.equal(second.created, false);
  assert.deepEqual(second.call.created_at, first.call.created_at);
});

await test('an inactivity timeout out of range is rejected', async () => {
  const settings_override = { session: { inactivity_timeout_seconds: 901 } };
  await assertRejected(call.update({ settings_override }), 400, 4);
});

await test('call.get, call.update and queryCalls return the same call', async () => {
  await call.update({ custom: { kind: 'voice' } });
  const read = await call.get();
  assert.equal(read.call.custom.kind, 'voice');
  assert.equal(read.call.settings.limits.max_duration_seconds, 3600);
  const { calls } = await client.video.queryCalls({
    filter_conditions: { cid: { $in: [call.cid] } },
    sort: [{ field: 'created_at', direction: -1 }],
    limit: 25,
  });
  assert.deepEqual(calls.map((found) => found.call.cid), [call.cid]);
  assert.equal(calls[0].call.channel_cid, channel.cid);
  assert.equal(calls[0].call.created_by.id, alice);
  assert.ok(calls[0].call.created_at instanceof Date);
  const now = Date.now();
  const since = new Date(now - 3_600_000).toISOString();
  const later = new Date(now + 3_600_000).toISOString();
  assert.deepEqual(await findCall({ id: run }), [call.cid]);
  assert.deepEqual(await findCall({ ended_at: null }), [call.cid]);
  assert.deepEqual(await findCall({ ended_at: { $exists: false } }), [call.cid]);
  assert.deepEqual(await findCall({ created_at: { $gte: since, $lt: later } }), [call.cid]);
  assert.deepEqual(await findCall({ created_at: { $gte: later } }), []);
  assert.deepEqual(await findCall({ created_by_user_id: alice }), [call.cid]);
  assert.deepEqual(await findCall({ 'custom.kind': 'voice' }), [call.cid]);
  assert.deepEqual(await findCall({ ongoing: true }), []);
  await assertRejected(client.video.queryCalls({ limit: 101 }), 400, 4);
});

await test('queryCalls continues with the cursor', async () => {
  const others = [1, 2, 3].map((number) => client.video.call('default', `${run}-${number}`));
  for (const other of others) await other.getOrCreate({ data: { created_by_id: bob } });
  const found = [];
  let next;
  do {
    const page = await client.video.queryCalls({
      filter_conditions: { created_by_user_id: bob },
      sort: [{ field: 'created_at', direction: 1 }],
      limit: 2,
      next,
    });
    found.push(...page.calls.map((it) => it.call.cid));
    next = page.next;
  } while (next);
  assert.deepEqual(found, others.map((other) => other.cid));
  for (const other of others) await other.delete({ hard: false });
});

await test('joining starts a session, which ends with its call', async () => {
  // Media is not emulated, so the control API reports joins and rejections to the emulator.
  const control = async (action, body) => {
    const response = await fetch(`${basePath}/_emulator/${action}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200);
    return response.json();
  };
  const other = client.video.call('default', `${run}-session`);
  await other.getOrCreate({ data: { created_by_id: alice, members: [{ user_id: bob }] } });
  await control('reject', { call_cid: other.cid, user_id: bob });
  const unstarted = (await other.get()).call.session;
  assert.equal(unstarted.started_at, undefined);
  assert.ok(unstarted.rejected_by[bob] instanceof Date);
  await control('join', { call_cid: other.cid, user_id: alice });
  const started = (await other.get()).call.session;
  assert.equal(started.id, unstarted.id);
  assert.ok(started.started_at instanceof Date);
  assert.deepEqual(started.participants.map((participant) => participant.user.id), [alice]);
  await other.end();
  const ended = (await other.get()).call;
  assert.ok(ended.session.ended_at instanceof Date);
  assert.deepEqual(ended.session.participants, []);
  assert.equal(ended.current_session_id, '');
});

await test('a call without participants has no report and no statistics', async () => {
  await assertRejected(call.getCallReport(), 404, 16);
  await assertRejected(call.getCallReport({ session_id: 'none' }), 404, 16);
  const { reports } = await client.video.queryCallStats({
    filter_conditions: { call_cid: call.cid },
    sort: [{ field: 'first_stats', direction: -1 }],
    limit: 25,
  });
  assert.deepEqual(reports, []);
  const session = { call_type: 'default', call_id: run, session: 'none', limit: 25 };
  await assertRejected(client.video.queryCallSessionParticipantStats(session), 404, 16);
});

await test('a call with participants has a report and statistics', async () => {
  // Media is not emulated, so the control API supplies the report to the emulator.
  const sessions = [{ user_session_id: 'u1', cq_score: 81, jitter_ms: 12, latency_ms: 90 }];
  const report = {
    score: 87,
    duration_seconds: 60,
    ratings: [4, 5],
    participants: [{ user_id: alice, name: 'Alice', sessions }],
  };
  const response = await fetch(`${basePath}/_emulator/reports`, {
    method: 'POST',
    body: JSON.stringify({ call_cid: call.cid, report }),
  });
  assert.equal(response.status, 200);
  const found = await call.getCallReport();
  assert.equal(found.report.call.score, 87);
  assert.equal(found.report.user_ratings.average, 4.5);
  const session = { call_type: 'default', call_id: run, session: found.session_id, limit: 25 };
  const { participants } = await client.video.queryCallSessionParticipantStats(session);
  assert.equal(participants[0].user_id, alice);
  assert.equal(participants[0].sessions[0].latency_ms, 90);
  assert.equal(participants[0].sessions[0].jitter_ms, 12);
});

await test('call.end is idempotent', async () => {
  await call.end();
  const first = await call.get();
  assert.ok(first.call.ended_at instanceof Date);
  await call.end();
  const second = await call.get();
  assert.deepEqual(second.call.ended_at, first.call.ended_at);
  assert.deepEqual(await findCall({ ended_at: { $exists: true } }), [call.cid]);
  assert.deepEqual(await findCall({ ended_at: { $exists: false } }), []);
  const again = await call.getOrCreate({ data: { created_by_id: alice } });
  assert.equal(again.created, false);
  assert.deepEqual(again.call.ended_at, first.call.ended_at);
});

await test('a deleted call returns 404', async () => {
  await call.delete({ hard: false });
  await assertRejected(call.get(), 404, 16);
  await assertRejected(call.delete({ hard: false }), 404, 16);
});

await test('channel.delete returns 404 on a second call', async () => {
  const { channel: deleted } = await channel.delete();
  assert.equal(deleted.cid, channel.cid);
  await assertRejected(channel.delete(), 404, 16, /Can't find channel/);
  await assertRejected(send(6), 404, 16);
});

await test('a recreated channel is empty, and its message ids stay taken', async () => {
  const data = { created_by_id: alice, members: [{ user_id: alice }] };
  const again = await channel.getOrCreate({ data });
  assert.deepEqual(again.messages, []);
  await assertRejected(send(1), 400, 4, /already exists/);
});

await test('deleteChannels deletes a batch', async () => {
  const other = client.chat.channel('messaging', `${channelId}-2`);
  await other.getOrCreate({ data: { created_by_id: alice } });
  const cids = [channel.cid, other.cid];
  const unknown = client.chat.deleteChannels({ cids: [...cids, `messaging:none-${run}`] });
  await assertRejected(unknown, 404, 16, /channels not found/);
  const { task_id: taskId } = await client.chat.deleteChannels({ cids, hard_delete: true });
  await waitForTask(taskId);
  await assertRejected(channel.get(), 404, 16);
  await assertRejected(client.chat.deleteChannels({ cids }), 404, 16, /channels not found/);
});

await test('a user is banned and unbanned', async () => {
  const find = async () => {
    const { users } = await client.queryUsers({ payload: { filter_conditions: { id: bob } } });
    return users[0];
  };
  await client.moderation.ban({ target_user_id: bob, banned_by_id: alice, timeout: 60 });
  const banned = await find();
  assert.equal(banned.banned, true);
  assert.ok(banned.ban_expires instanceof Date);
  await client.moderation.unban({ target_user_id: bob });
  assert.equal((await find()).banned, false);
});

await test('a user is deactivated and reactivated', async () => {
  const { user } = await client.deactivateUser({ user_id: bob });
  assert.ok(user.deactivated_at instanceof Date);
  await client.reactivateUser({ user_id: bob });
  const { task_id: taskId } = await client.deactivateUsers({ user_ids: [bob] });
  await waitForTask(taskId);
  const { users } = await client.queryUsers({ payload: { filter_conditions: { id: bob } } });
  assert.deepEqual(users, []);
});

await test('a deleted user cannot be recreated', async () => {
  const user_ids = [alice, bob];
  const soft = { user_ids, user: 'hard', messages: 'soft', conversations: 'hard' };
  await assertRejected(client.deleteUsers(soft), 400, 4);
  const hard = { user: 'hard', messages: 'hard', conversations: 'hard', calls: 'hard' };
  const { task_id: taskId } = await client.deleteUsers({ user_ids, ...hard });
  await waitForTask(taskId);
  await assertRejected(client.upsertUsers([{ id: alice }]), 404, 16, /was deleted/);
});
