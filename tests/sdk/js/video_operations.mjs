// What the apps do with the video SDK, up to the media server, which the emulator does not have.

import assert from 'node:assert/strict';
import {
  advanceClock, apiKey, earlierSession, emulator, newUserId, register, request, stackNow, streamServer,
  streamToken, streamUrl, succeed, tokenProvider,
} from './stack.mjs';
import { eventually, nextEvent, within } from './wait.mjs';

const TOKEN_SECONDS = 60;

const isError = (status, code) => (error) => {
  assert.equal(error.status ?? error.response?.status, status, error.message);
  assert.equal(Number(error.code), code, error.message);
  return true;
};

/**
 * Makes the emulator answer a join with credentials: the SDKs accept a call only after that. Without
 * a media server, the join then fails.
 */
export const pretendJoins = () => emulator('join_mode', { mode: 'pretend' });

export function videoOperations({ StreamVideoClient, CallingState, WebSocket }) {
  const newClient = (scope, options = {}) => {
    const client = new StreamVideoClient({
      apiKey,
      options: {
        baseURL: `${streamUrl}/video`,
        // Without it, a join asks a host of Stream for the nearest media server.
        locationHintUrl: `${streamUrl}/_emulator/counts`,
        // The SDK logs a failed request with its headers, and so with the token.
        logger: () => {},
        WebSocketImpl: WebSocket,
        timeout: 10_000,
        ...options,
      },
    });
    scope.defer(() => client.disconnectUser());
    return client;
  };

  const connect = async (scope, userId, { provider = tokenProvider(userId), ...options } = {}) => {
    const client = newClient(scope, options);
    await client.connectUser({ id: userId }, provider);
    return client;
  };

  /** Two connected users. */
  const connectPair = async (scope, options) => {
    const [aliceId, bobId] = [newUserId('alice'), newUserId('bob')];
    const alice = await connect(scope, aliceId);
    const bob = await connect(scope, bobId, options);
    return { aliceId, bobId, alice, bob };
  };

  const split = (cid) => cid.split(':');
  const callAt = (client, cid) => client.state.calls.find((it) => it.cid === cid);
  const isCall = (created) => (event) => event.call_cid === created.callCid;

  /** A call that the function creates and that rings at the callee. */
  const ring = async (from, { bob, bobId }, body = {}) => {
    const rung = nextEvent(bob, 'call.ring', (event) => event.call.created_by.id === from.aliceId);
    const created = await succeed('POST', '/call/create', {
      as: from.aliceId,
      body: { receiverId: bobId, ring: true, ...body },
    });
    assert.equal(created.rung, true);
    const event = await rung;
    assert.equal(event.call_cid, created.callCid);
    return created;
  };

  /** The call as both apps hold it while it rings. */
  const ringBoth = async (pair) => {
    const created = await ring(pair, pair);
    const outgoing = await pair.alice.onRingingCall(created.callCid);
    const incoming = await eventually(
      () => callAt(pair.bob, created.callCid),
      (call) => call?.state.callingState === CallingState.RINGING,
      'incoming call',
    );
    return { created, outgoing, incoming };
  };

  /**
   * Joins up to the media server. The SDK then fails or waits, since there is no media: neither is a
   * result here.
   */
  const joinWithoutMedia = (call) => {
    call.join({ maxJoinRetries: 1 }).catch(() => {});
  };

  /** The call that both have joined. */
  const answer = async (pair) => {
    const ringing = await ringBoth(pair);
    const accepted = nextEvent(pair.alice, 'call.accepted', isCall(ringing.created));
    joinWithoutMedia(ringing.incoming);
    assert.equal((await accepted).user.id, pair.bobId);
    await readUntil(pair.aliceId, ringing.created, (call) => call.answeredAt, 'answered call');
    return ringing;
  };

  const readUntil = (userId, created, matches, description) =>
    eventually(
      () => succeed('GET', `/call/${created.callId}`, { as: userId }),
      matches,
      description,
    );

  const endReason = async (userId, created, expected) => {
    const call = await readUntil(userId, created, (it) => it.endReason, `end ${expected}`);
    assert.equal(call.endReason, expected);
  };

  return {
    'connect with the token of POST /token': async (scope) => {
      const userId = newUserId('alice');
      const provider = tokenProvider(userId);
      const client = newClient(scope);
      await client.connectUser({ id: userId }, provider);
      assert.equal(client.state.connectedUser.id, userId);
      assert.equal(provider.requests, 1);
    },

    'connect: a token with a wrong signature is refused': async (scope) => {
      const userId = newUserId('alice');
      await register(userId);
      const iat = Math.floor(stackNow() / 1_000) - 5;
      const token = streamToken({ user_id: userId, iat, exp: iat + 600 }, 'not the secret of the app');
      const client = newClient(scope, { maxConnectUserRetries: 1 });
      await assert.rejects(client.connectUser({ id: userId }, token), /43|signature/);
    },

    'connect: an expired token is replaced through the provider': async (scope) => {
      const userId = newUserId('alice');
      await register(userId);
      const iat = Math.floor(stackNow() / 1_000) - 600;
      const expired = streamToken({ user_id: userId, iat, exp: iat + 60 });
      const issue = tokenProvider(userId);
      let requests = 0;
      const client = newClient(scope);
      await client.connectUser({ id: userId }, () => {
        requests += 1;
        return requests === 1 ? Promise.resolve(expired) : issue();
      });
      assert.equal(requests, 2);
    },

    'a call of POST /call/create rings at the callee': async (scope) => {
      const pair = await connectPair(scope);
      const { created, outgoing, incoming } = await ringBoth(pair);
      assert.equal(incoming.ringing, true);
      assert.equal(incoming.isCreatedByMe, false);
      assert.deepEqual(
        incoming.state.members.map((member) => member.user_id).sort(),
        [pair.aliceId, pair.bobId].sort(),
      );
      assert.equal(outgoing.state.callingState, CallingState.RINGING);
      assert.equal(outgoing.isCreatedByMe, true);
      assert.equal(incoming.cid, created.callCid);
    },

    'a call without ring rings at no phone': async (scope) => {
      const pair = await connectPair(scope);
      const seen = nextEvent(pair.bob, 'call.created');
      const body = { receiverId: pair.bobId };
      const created = await succeed('POST', '/call/create', { as: pair.aliceId, body });
      assert.equal((await seen).call.cid, created.callCid);
      assert.equal(created.rung, false);
      assert.notEqual(callAt(pair.bob, created.callCid)?.ringing, true);
    },

    'accept: the caller sees it, and the call is answered': async (scope) => {
      const pair = await connectPair(scope);
      const { created, outgoing } = await answer(pair);
      const session = outgoing.state.session;
      assert.ok(session.accepted_by[pair.bobId]);
      const call = await succeed('GET', `/call/${created.callId}`, { as: pair.bobId });
      assert.ok(call.answeredAt);
      assert.equal(call.status, 'active');
    },

    'early join: the caller joins before the callee accepts': async (scope) => {
      const pair = await connectPair(scope);
      const { created, outgoing, incoming } = await ringBoth(pair);
      const joined = nextEvent(pair.bob, 'call.session_participant_joined', isCall(created));
      joinWithoutMedia(outgoing);
      assert.equal((await joined).participant.user.id, pair.aliceId);
      assert.equal(incoming.state.callingState, CallingState.RINGING);
      const accepted = nextEvent(pair.alice, 'call.accepted', isCall(created));
      joinWithoutMedia(incoming);
      await accepted;
      await readUntil(pair.aliceId, created, (call) => call.answeredAt, 'answered call');
    },

    'reject: the caller sees it, and the call is declined': async (scope) => {
      const pair = await connectPair(scope);
      const { created, outgoing, incoming } = await ringBoth(pair);
      const rejected = nextEvent(
        pair.alice, 'call.rejected', (event) => event.user.id === pair.bobId,
      );
      await incoming.leave({ reject: true, reason: 'decline' });
      assert.equal((await rejected).reason, 'decline');
      await endReason(pair.aliceId, created, 'declined');
      await eventually(
        () => outgoing.state.callingState, (it) => it === CallingState.LEFT, 'the caller leaves',
      );
    },

    'cancel: the callee stops ringing, and the call is cancelled': async (scope) => {
      const pair = await connectPair(scope);
      const { created, outgoing, incoming } = await ringBoth(pair);
      const rejected = nextEvent(pair.bob, 'call.rejected', isCall(created));
      await outgoing.leave({ reject: true, reason: 'cancel' });
      assert.equal((await rejected).user.id, pair.aliceId);
      await eventually(
        () => incoming.state.callingState, (it) => it === CallingState.LEFT, 'the callee stops ringing',
      );
      await endReason(pair.bobId, created, 'cancelled');
    },

    "busy: the SDK of a ringing callee rejects a second call": async (scope) => {
      const pair = await connectPair(scope, { rejectCallWhenBusy: true });
      const carolId = newUserId('carol');
      const carol = await connect(scope, carolId);
      await ringBoth(pair);
      const rejected = nextEvent(carol, 'call.rejected', (event) => event.user.id === pair.bobId);
      const second = await ring({ aliceId: carolId }, pair);
      assert.equal((await rejected).reason, 'busy');
      assert.equal(callAt(pair.bob, second.callCid)?.ringing ?? false, false);
    },

    'busy: a reject before onRingingCall is in the session, and the call goes on': async (scope) => {
      const pair = await connectPair(scope, { rejectCallWhenBusy: true });
      const carolId = newUserId('carol');
      const carol = await connect(scope, carolId);
      await ringBoth(pair);
      const rejected = nextEvent(carol, 'call.rejected', (event) => event.user.id === pair.bobId);
      const created = await ring({ aliceId: carolId }, pair);
      await rejected;
      const outgoing = await carol.onRingingCall(created.callCid);
      assert.equal(outgoing.state.callingState, CallingState.RINGING);
      assert.ok(outgoing.state.session.rejected_by[pair.bobId]);
      await outgoing.leave({ reject: true, reason: 'cancel' });
      await endReason(carolId, created, 'not_answered');
    },

    'busy: a callee in an answered call is not called': async (scope) => {
      const pair = await connectPair(scope);
      const { created, outgoing } = await ringBoth(pair);
      await emulator('join', { call_cid: created.callCid, user_id: pair.aliceId });
      await emulator('join', { call_cid: created.callCid, user_id: pair.bobId });
      await readUntil(pair.aliceId, created, (call) => call.answeredAt, 'answered call');
      assert.ok(outgoing);
      const carolId = newUserId('carol');
      await register(carolId);
      const body = { receiverId: pair.bobId, ring: true };
      const { status, body: busy } = await request('POST', '/call/create', { as: carolId, body });
      assert.equal(status, 409);
      assert.equal(busy.code, 'user_busy');
    },

    'redial: after a reject another call rings': async (scope) => {
      const pair = await connectPair(scope);
      const first = await ringBoth(pair);
      await first.incoming.leave({ reject: true, reason: 'decline' });
      await endReason(pair.aliceId, first.created, 'declined');
      const second = await ringBoth(pair);
      assert.notEqual(second.created.callId, first.created.callId);
      assert.equal(second.created.created, true);
    },

    'timeout: the SDK of the callee rejects at the end of its ring timeout': async (scope) => {
      const setTimeouts = (milliseconds) =>
        streamServer('PUT', '/video/calltypes/default', {
          settings: {
            ring: {
              auto_cancel_timeout_ms: 15_000,
              incoming_call_timeout_ms: milliseconds,
              missed_call_timeout_ms: 15_000,
            },
          },
        });
      await setTimeouts(5_000);
      scope.defer(() => setTimeouts(15_000));
      const pair = await connectPair(scope);
      const { created } = await ringBoth(pair);
      const rejected = nextEvent(
        pair.alice, 'call.rejected', (event) => event.user.id === pair.bobId,
      );
      assert.equal((await rejected).reason, 'timeout');
      assert.ok(created.callId);
    },

    'end by the caller with POST /call/end': async (scope) => {
      const pair = await connectPair(scope);
      const { created, incoming } = await answer(pair);
      const ended = nextEvent(pair.bob, 'call.ended', isCall(created));
      await succeed('POST', '/call/end', { as: pair.aliceId, body: { callId: created.callId } });
      await ended;
      await eventually(
        () => incoming.state.callingState, (it) => it === CallingState.LEFT, 'the callee leaves',
      );
      await endReason(pair.bobId, created, 'ended');
    },

    'end by the callee with POST /call/end': async (scope) => {
      const pair = await connectPair(scope);
      const { created, outgoing } = await answer(pair);
      const ended = nextEvent(pair.alice, 'call.ended', isCall(created));
      await succeed('POST', '/call/end', { as: pair.bobId, body: { callId: created.callId } });
      await ended;
      await eventually(
        () => outgoing.state.callingState, (it) => it === CallingState.LEFT, 'the caller leaves',
      );
    },

    'end by the callee with endCall of the SDK': async (scope) => {
      const pair = await connectPair(scope);
      const { created, incoming } = await answer(pair);
      const ended = nextEvent(pair.alice, 'call.ended', isCall(created));
      await incoming.endCall();
      assert.equal((await ended).user?.id, pair.bobId);
      const call = await readUntil(pair.aliceId, created, (it) => it.endedAt, 'ended call');
      assert.deepEqual(call.endedBy, { kind: 'user', userId: pair.bobId });
    },

    'a second device of the callee stops ringing': async (scope) => {
      const pair = await connectPair(scope);
      const tablet = await connect(scope, pair.bobId);
      const ringing = await ringBoth(pair);
      const atTablet = await eventually(
        () => callAt(tablet, ringing.created.callCid),
        (call) => call?.state.callingState === CallingState.RINGING,
        'the tablet rings',
      );
      joinWithoutMedia(ringing.incoming);
      await eventually(
        () => atTablet.state.callingState, (it) => it === CallingState.LEFT, 'the tablet stops ringing',
      );
    },

    'join without media fails at once with an error that names the reason': async (scope) => {
      const pair = await connectPair(scope);
      const { incoming } = await ringBoth(pair);
      await emulator('join_mode', { mode: 'refuse' });
      scope.defer(pretendJoins);
      await assert.rejects(incoming.join(), (error) => {
        assert.match(error.message, /media is not emulated/);
        return true;
      });
    },

    'participants of the emulator are seen': async (scope) => {
      const pair = await connectPair(scope);
      const body = { receiverId: pair.bobId };
      const created = await succeed('POST', '/call/create', { as: pair.aliceId, body });
      const call = pair.alice.call(...split(created.callCid));
      await call.get();
      const joined = nextEvent(pair.alice, 'call.session_participant_joined', isCall(created));
      await emulator('join', { call_cid: created.callCid, user_id: pair.bobId });
      assert.equal((await joined).participant.user.id, pair.bobId);
      const left = nextEvent(pair.alice, 'call.session_participant_left', isCall(created));
      await emulator('leave', { call_cid: created.callCid, user_id: pair.bobId });
      assert.equal((await left).participant.user.id, pair.bobId);
    },

    'custom events and reactions reach the other member': async (scope) => {
      const pair = await connectPair(scope);
      const body = { receiverId: pair.bobId };
      const created = await succeed('POST', '/call/create', { as: pair.aliceId, body });
      const [alice, bob] = [pair.alice, pair.bob].map((it) => it.call(...split(created.callCid)));
      await alice.get();
      await bob.get();
      const custom = nextEvent(pair.bob, 'custom');
      await alice.sendCustomEvent({ kind: 'wave' });
      assert.equal((await custom).custom.kind, 'wave');
      const reaction = nextEvent(pair.bob, 'call.reaction_new');
      await alice.sendReaction({ type: 'raise-hand' });
      assert.equal((await reaction).reaction.type, 'raise-hand');
    },

    'calls and members are queried': async (scope) => {
      const pair = await connectPair(scope);
      const body = { receiverId: pair.bobId, custom: { topic: 'queries' } };
      const created = await succeed('POST', '/call/create', { as: pair.aliceId, body });
      const { calls } = await pair.bob.queryCalls({
        filter_conditions: { members: { $in: [pair.bobId] } },
        watch: true,
      });
      assert.deepEqual(calls.map((it) => it.cid), [created.callCid]);
      const { members } = await calls[0].queryMembers();
      assert.equal(members.length, 2);
      assert.ok(calls[0].state.createdAt.getTime() > 0);
    },

    'feedback is accepted': async (scope) => {
      const pair = await connectPair(scope);
      const { incoming } = await answer(pair);
      await incoming.submitFeedback(4, { reason: 'good' });
    },

    'devices are added, listed and removed': async (scope) => {
      const client = await connect(scope, newUserId('alice'));
      await client.addDevice('phone-1', 'firebase', 'firebase-production');
      await client.addVoipDevice('voip-1', 'apn', 'apn-production');
      const ids = async () => (await client.getDevices()).devices.map((it) => it.id).sort();
      assert.deepEqual(await ids(), ['phone-1', 'voip-1']);
      await client.removeDevice('voip-1');
      assert.deepEqual(await ids(), ['phone-1']);
    },

    'expiry: a request gets code 40 and is repeated with a new token': async (scope) => {
      const userId = newUserId('alice');
      const provider = tokenProvider(userId, { ttlSeconds: TOKEN_SECONDS });
      const client = await connect(scope, userId, { provider });
      await advanceClock(TOKEN_SECONDS + 1);
      await client.getDevices();
      assert.ok(provider.requests >= 2);
    },

    'expiry: the socket is closed, and connects again with a new token': async (scope) => {
      const userId = newUserId('alice');
      const provider = tokenProvider(userId, { ttlSeconds: TOKEN_SECONDS });
      const client = await connect(scope, userId, { provider });
      const online = nextEvent(client, 'connection.changed', (event) => event.online, 30_000);
      await advanceClock(TOKEN_SECONDS + 1);
      await online;
      assert.equal(provider.requests, 2);
    },

    'revocation: POST /token/revoke ends the access of the session': async (scope) => {
      const userId = newUserId('alice');
      const session = earlierSession(userId);
      const client = await connect(scope, userId, { provider: tokenProvider(userId, { session }) });
      await succeed('POST', '/token/revoke', { as: userId, session });
      await assert.rejects(client.getDevices(), /tokenProvider failed.*403 session_revoked/);
    },

    'a deactivated user is disconnected and refused': async (scope) => {
      const userId = newUserId('alice');
      await connect(scope, userId);
      await streamServer('POST', `/users/${userId}/deactivate`, {});
      const sockets = () => emulator('sockets');
      await eventually(sockets, (all) => !all.some((it) => it.user_id === userId), 'closed socket');
      const iat = Math.floor(stackNow() / 1_000) - 5;
      const token = streamToken({ user_id: userId, iat, exp: iat + 600 });
      const client = newClient(scope, { maxConnectUserRetries: 1 });
      await assert.rejects(client.connectUser({ id: userId }, token));
    },

    'socket drop: calls are watched again after the reconnect': async (scope) => {
      const pair = await connectPair(scope);
      const body = { receiverId: pair.bobId };
      const created = await succeed('POST', '/call/create', { as: pair.aliceId, body });
      await pair.alice.call(...split(created.callCid)).get();
      const watching = async () => {
        const sockets = await emulator('sockets');
        return sockets.some(
          (it) => it.user_id === pair.aliceId && it.watched_cids.includes(created.callCid),
        );
      };
      assert.ok(await watching());
      const online = nextEvent(pair.alice, 'connection.changed', (it) => it.online, 30_000);
      await emulator('sockets/drop', { user_id: pair.aliceId, code: 1011 });
      await online;
      await eventually(watching, (it) => it, 'watched again');
    },

    'socket drop: a call that rang meanwhile is missing, and GET /call lists it': async (scope) => {
      const pair = await connectPair(scope);
      await pair.bob.disconnectUser();
      const body = { receiverId: pair.bobId, ring: true };
      const created = await succeed('POST', '/call/create', { as: pair.aliceId, body });
      await pair.bob.connectUser({ id: pair.bobId }, tokenProvider(pair.bobId));
      assert.equal(callAt(pair.bob, created.callCid), undefined);
      const open = () => succeed('GET', '/call?state=open', { as: pair.bobId });
      const { calls } = await eventually(open, (it) => it.calls.length > 0, 'open call');
      assert.equal(calls[0].callId, created.callId);
      const incoming = await within(pair.bob.onRingingCall(created.callCid), 'onRingingCall');
      assert.equal(incoming.state.callingState, CallingState.RINGING);
    },
  };
}
