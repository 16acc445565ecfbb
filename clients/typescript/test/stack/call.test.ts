/** The life of a call, and every operation, against the local stack. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { QualityReporter, unwrap, type QualityReporterError } from '@stream-functions/client';
import { publisherStats, subscriberStats } from '../quality/scenario.js';
import { chrome } from '../quality/platforms.js';
import { clientOf, emulator, eventually, sessionToken } from './sessions.js';

// New users for each run, since the stack may be an old one.
const run = Date.now().toString(36);
const aliceId = `alice-${run}`;
const bobId = `bob-${run}`;
const alice = clientOf(aliceId);
const bob = clientOf(bobId);
const service = clientOf('client-test-service', 'service');

before(async () => {
  unwrap(await alice.createToken({ userData: { name: 'Alice' } }));
  unwrap(await bob.createToken());
});

test('token provider returns a token for Stream', async () => {
  const provide = alice.tokenProvider({ request: { ttlSeconds: 600 } });
  const [, claims] = (await provide()).split('.');
  const { user_id: userId } = JSON.parse(Buffer.from(claims ?? '', 'base64url').toString()) as { user_id: string };
  assert.equal(userId, aliceId);
});

test('call is created, answered, extended, measured, ended and listed', async () => {
  const idempotencyKey = `key-${run}`;
  const create = () => alice.createCall({ receiverId: bobId, ring: true, maxDurationSeconds: 600 }, { idempotencyKey });
  const created = unwrap(await create());
  assert.ok(created.created && created.rung);
  const repeated = unwrap(await create());
  assert.deepEqual([repeated.callId, repeated.created, repeated.rung], [created.callId, false, false]);
  const { callId, callCid, channelId } = created;

  await emulator('join', { call_cid: callCid, user_id: aliceId });
  await emulator('join', { call_cid: callCid, user_id: bobId });
  const answered = await eventually(async () => {
    const call = unwrap(await bob.getCall(callId));
    return call.answered ? call : undefined;
  });
  assert.equal(answered.status, 'active');

  const extended = unwrap(await service.extendCall(callId, { maxDurationSeconds: 1_200 }));
  assert.equal(Date.parse(extended.endsAt ?? '') - Date.parse(extended.startedAt ?? ''), 1_200_000);
  assert.equal((await alice.extendCall(callId, { maxDurationSeconds: 1_200 })).error?.code, 'user_mismatch');

  const message = { channelId, message: 'Hello', messageId: `message-${run}` };
  const sent = unwrap(await alice.sendMessage(message));
  assert.deepEqual(unwrap(await alice.sendMessage(message)).messageData, sent.messageData);
  unwrap(await bob.sendMessage({ channelId, message: 'Hi' }));
  const newest = unwrap(await bob.listMessages(channelId, { limit: 1 }));
  assert.ok(newest.hasMore);
  const older = unwrap(await bob.listMessages(channelId, { limit: 1, before: newest.next }));
  assert.deepEqual(older.messages.map(({ id }) => id), [message.messageId]);

  let reading: 0 | 1 = 0;
  let firstReadAt = Infinity;
  let isFirstReadingComplete = false;
  const call = {
    subscriber: {
      getStats: async () => {
        firstReadAt = Math.min(firstReadAt, Date.now());
        return chrome.report(subscriberStats(reading));
      },
    },
    publisher: {
      getStats: async () => {
        // The reporter has handled both reports then.
        setImmediate(() => {
          isFirstReadingComplete = true;
        });
        return chrome.report(publisherStats(reading));
      },
    },
  };
  const errors: QualityReporterError[] = [];
  const reporter = new QualityReporter({
    client: alice,
    callId,
    call,
    deviceId: 'device-1',
    platform: 'web',
    onError: (error) => errors.push(error),
  }).start();
  // The first reading is taken at the start, and the second one at the end.
  await eventually(async () => (isFirstReadingComplete && Date.now() > firstReadAt ? true : undefined));
  reading = 1;
  await reporter.stop();
  assert.deepEqual(errors, []);
  assert.deepEqual(reporter.unsent, []);
  const quality = await eventually(async () => {
    const { quality: current } = unwrap(await bob.getCallQuality(callId));
    return current.samples.count > 0 ? current : undefined;
  });
  assert.equal(quality.samples.count, 2);
  const participant = quality.participants.find(({ userId }) => userId === aliceId);
  assert.ok(participant?.platform === 'web' && participant.inbound !== null && participant.outbound !== null);
  assert.notEqual(participant.quality, 'unknown');
  const batch = { batchId: `batch-${run}`, samples: [{ timestamp: Date.now(), jitter: 0.01 }] };
  assert.equal(unwrap(await bob.reportQuality(callId, batch)).accepted, 1);
  assert.equal(unwrap(await bob.reportQuality(callId, batch)).accepted, 0);
  assert.match(unwrap(await alice.getCallQualityChart(callId, { width: 360 })), /^<svg/);

  const ended = unwrap(await bob.endCall({ callId, reason: 'hangup' }));
  assert.ok(ended.status === 'ended' || ended.status === 'ending');
  const over = unwrap(await alice.getCall(callId));
  assert.ok(over.status === 'ended' || over.status === 'ending');
  assert.deepEqual([over.endReason, over.endedBy], ['hangup', { kind: 'user', userId: bobId }]);
  assert.equal((await alice.sendMessage({ channelId, message: 'Late' })).error?.code, 'call_ended');
  assert.equal((await create()).error?.code, 'call_ended');
  const listed = await eventually(async () => {
    const page = unwrap(await alice.listCalls({ state: 'ended', limit: 10 }));
    return page.calls.find((item) => item.callId === callId);
  });
  assert.equal(listed.answered, true);
});

test('errors have their codes', async () => {
  assert.equal((await alice.getCall('missing')).error?.code, 'call_not_found');
  assert.equal((await alice.getCall('')).error?.code, 'invalid_id');
  for (const id of ['.', '..']) assert.equal((await alice.getCall(id)).error?.code, 'invalid_path');
  assert.equal((await alice.createCall({ receiverId: `nobody-${run}` })).error?.code, 'user_not_found');
  const { error } = await alice.createCall({ receiverId: bobId, maxDurationSeconds: 1 });
  assert.ok(error?.code === 'invalid_body');
  assert.deepEqual(error.errors.map(({ pointer }) => pointer), ['/maxDurationSeconds']);
  const refreshes: boolean[] = [];
  const stranger = clientOf('stranger', 'user', {
    getSessionToken: ({ refresh }) => {
      refreshes.push(refresh);
      return 'not-a-token';
    },
  });
  assert.equal((await stranger.listCalls()).error?.code, 'unauthenticated');
  assert.deepEqual(refreshes, [false, true]);
  const offline = clientOf(aliceId, 'user', { baseUrl: 'http://127.0.0.1:9', retry: { baseDelayMs: 1 } });
  const unreachable = await offline.getConfig();
  assert.deepEqual([unreachable.error?.code, unreachable.error?.attempts], ['network_error', 3]);
});

test('renewed session is used', async () => {
  const client = clientOf(aliceId, 'user', {
    getSessionToken: ({ refresh }) => (refresh ? sessionToken(aliceId) : 'expired'),
  });
  assert.ok((await client.listCalls({ state: 'open' })).ok);
});

test('profile is changed, sessions are revoked, and the user is erased', async () => {
  const carolId = `carol-${run}`;
  // A session of the second of the revocation counts as a later one.
  const session = sessionToken(carolId, 'user', 5);
  const carol = clientOf(carolId, 'user', { getSessionToken: () => session });
  const { user } = unwrap(await carol.upsertUser({ userData: { name: 'Carol', language: 'en' } }));
  assert.deepEqual([user.id, user.name], [carolId, 'Carol']);
  unwrap(await carol.revokeTokens());
  const signIns: string[] = [];
  const provide = carol.tokenProvider({ onSignInRequired: ({ code }) => signIns.push(code) });
  await assert.rejects(provide, { code: 'session_revoked' });
  assert.deepEqual(signIns, ['session_revoked']);
  const { status } = unwrap(await carol.deleteUser(carolId));
  assert.ok(status === 'deleted' || status === 'deleting');
  assert.equal((await carol.createToken()).error?.code, 'user_deleted');
});

test('configuration has its checks', async () => {
  const { config } = unwrap(await alice.getConfig({ deep: true }));
  assert.equal(config.isConfigured, true);
  assert.equal(config.checks?.dynamodb.ok, true);
});
