// What the apps do with the chat SDK, and what its users see of the functions.

import assert from 'node:assert/strict';
import {
  advanceClock, apiKey, earlierSession, emulator, newUserId, register, request, stackNow, streamServer,
  streamToken, streamUrl, succeed, tokenProvider,
} from './stack.mjs';
import { eventually, nextEvent, within } from './wait.mjs';

const TOKEN_SECONDS = 60;

/** Whether an error of the SDK has this status and code of Stream. */
const isError = (status, code) => (error) => {
  assert.equal(error.status ?? error.response?.status, status, error.message);
  assert.equal(error.code, code, error.message);
  return true;
};

/** The code in the error of a refused connection, which the SDK throws as JSON text. */
const isRefusal = (code) => (error) => {
  const refusal = JSON.parse(error.message);
  assert.equal(Number(refusal.code), code, error.message);
  assert.equal(refusal.isWSFailure, false, error.message);
  return true;
};

export function chatOperations({ StreamChat }) {
  const newClient = (scope) => {
    const options = { baseURL: streamUrl, timeout: 10_000, allowServerSideConnect: true };
    const client = new StreamChat(apiKey, options);
    scope.defer(() => client.disconnectUser());
    return client;
  };

  const connect = async (scope, userId, provider = tokenProvider(userId)) => {
    const client = newClient(scope);
    await client.connectUser({ id: userId }, provider);
    return client;
  };

  /** Two connected users, and the channel of their call as each of them watches it. */
  const chatOfCall = async (scope) => {
    const [aliceId, bobId] = [newUserId('alice'), newUserId('bob')];
    const alice = await connect(scope, aliceId);
    const bob = await connect(scope, bobId);
    const call = await succeed('POST', '/call/create', { as: aliceId, body: { receiverId: bobId } });
    const aliceChannel = alice.channel('messaging', call.channelId);
    const bobChannel = bob.channel('messaging', call.channelId);
    await aliceChannel.watch();
    await bobChannel.watch();
    return { aliceId, bobId, alice, bob, aliceChannel, bobChannel, call };
  };

  const ownMessage = (text) => (event) => event.message?.text === text;

  return {
    'connect with the token of POST /token': async (scope) => {
      const userId = newUserId('alice');
      const provider = tokenProvider(userId);
      const client = newClient(scope);
      const connected = await client.connectUser({ id: userId }, provider);
      assert.equal(connected.me.id, userId);
      assert.equal(client.userID, userId);
      assert.equal(provider.requests, 1);
    },

    'connect: a token with a wrong signature is refused with code 43': async (scope) => {
      const userId = newUserId('alice');
      await register(userId);
      const iat = Math.floor(stackNow() / 1_000) - 5;
      const token = streamToken({ user_id: userId, iat, exp: iat + 600 }, 'not the secret of the app');
      await assert.rejects(newClient(scope).connectUser({ id: userId }, token), isRefusal(43));
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

    'a member watches the channel of the call': async (scope) => {
      const { aliceChannel, aliceId, bobId } = await chatOfCall(scope);
      assert.deepEqual(Object.keys(aliceChannel.state.members).sort(), [aliceId, bobId].sort());
      assert.ok(aliceChannel.state.watcher_count >= 1);
    },

    'another user is refused by the channel of the call': async (scope) => {
      const { call } = await chatOfCall(scope);
      const carol = await connect(scope, newUserId('carol'));
      await assert.rejects(carol.channel('messaging', call.channelId).watch(), isError(403, 17));
    },

    'messages reach the other member, both ways': async (scope) => {
      const { aliceChannel, bobChannel, aliceId, bobId } = await chatOfCall(scope);
      const atBob = nextEvent(bobChannel, 'message.new', ownMessage('hello'));
      await aliceChannel.sendMessage({ text: 'hello' });
      assert.equal((await atBob).user.id, aliceId);
      const atAlice = nextEvent(aliceChannel, 'message.new', ownMessage('hello yourself'));
      await bobChannel.sendMessage({ text: 'hello yourself', mood: 'good' });
      const { message } = await atAlice;
      assert.equal(message.user.id, bobId);
      assert.equal(message.mood, 'good');
      assert.deepEqual(aliceChannel.state.messages.map((it) => it.text), ['hello', 'hello yourself']);
      assert.ok(aliceChannel.state.messages[1].created_at.getTime() > 0);
    },

    'a message of POST /message/send arrives': async (scope) => {
      const { aliceChannel, bobChannel, aliceId, call } = await chatOfCall(scope);
      const events = [aliceChannel, bobChannel].map((it) => nextEvent(it, 'message.new'));
      const body = { channelId: call.channelId, message: 'from the function' };
      await succeed('POST', '/message/send', { as: aliceId, body });
      for (const event of await Promise.all(events)) {
        assert.equal(event.message.text, 'from the function');
        assert.equal(event.message.user.id, aliceId);
      }
      const { messages } = await succeed('GET', `/message/${call.channelId}`, { as: aliceId });
      assert.equal(messages.length, 1);
    },

    'a member who does not watch is notified of a message': async (scope) => {
      const { aliceChannel, bob, bobChannel, call } = await chatOfCall(scope);
      await bobChannel.stopWatching();
      const notified = nextEvent(bob, 'notification.message_new');
      await aliceChannel.sendMessage({ text: 'are you there?' });
      const event = await notified;
      assert.equal(event.cid, call.channelCid);
      assert.equal(event.total_unread_count, 1);
    },

    'typing is seen by the other member': async (scope) => {
      const { aliceChannel, bobChannel, aliceId } = await chatOfCall(scope);
      const started = nextEvent(bobChannel, 'typing.start');
      await aliceChannel.keystroke();
      assert.equal((await started).user.id, aliceId);
      assert.ok(bobChannel.state.typing[aliceId]);
      const stopped = nextEvent(bobChannel, 'typing.stop');
      await aliceChannel.stopTyping();
      await stopped;
    },

    'reading is seen by the other member': async (scope) => {
      const { aliceChannel, bobChannel, bobId } = await chatOfCall(scope);
      const arrived = nextEvent(bobChannel, 'message.new');
      await aliceChannel.sendMessage({ text: 'read me' });
      await arrived;
      assert.equal(bobChannel.countUnread(), 1);
      const read = nextEvent(aliceChannel, 'message.read', (event) => event.user.id === bobId);
      await bobChannel.markRead();
      await read;
      await eventually(() => bobChannel.countUnread(), (count) => count === 0, 'unread count 0');
      assert.ok(aliceChannel.state.read[bobId].last_read);
    },

    'reactions are added and removed': async (scope) => {
      const { aliceChannel, bobChannel, bobId } = await chatOfCall(scope);
      const { message } = await aliceChannel.sendMessage({ text: 'like me' });
      const added = nextEvent(aliceChannel, 'reaction.new');
      await bobChannel.sendReaction(message.id, { type: 'like' });
      const event = await added;
      assert.equal(event.reaction.user_id ?? event.reaction.user.id, bobId);
      assert.equal(event.message.reaction_counts.like, 1);
      const removed = nextEvent(aliceChannel, 'reaction.deleted');
      await bobChannel.deleteReaction(message.id, 'like');
      await removed;
    },

    'a message is changed and deleted': async (scope) => {
      const { alice, aliceChannel, bobChannel } = await chatOfCall(scope);
      const { message } = await aliceChannel.sendMessage({ text: 'tpyo' });
      const updated = nextEvent(bobChannel, 'message.updated');
      await alice.updateMessage({ id: message.id, text: 'typo' });
      assert.equal((await updated).message.text, 'typo');
      const deleted = nextEvent(bobChannel, 'message.deleted');
      await alice.deleteMessage(message.id);
      assert.equal((await deleted).message.id, message.id);
    },

    "another user's message cannot be changed": async (scope) => {
      const { aliceChannel, bob } = await chatOfCall(scope);
      const { message } = await aliceChannel.sendMessage({ text: 'mine' });
      await assert.rejects(bob.updateMessage({ id: message.id, text: 'yours' }), isError(403, 17));
    },

    'queryChannels lists the own channels only': async (scope) => {
      const { bob, bobId, call } = await chatOfCall(scope);
      const channels = await bob.queryChannels({ type: 'messaging', members: { $in: [bobId] } });
      assert.deepEqual(channels.map((it) => it.cid), [call.channelCid]);
      await assert.rejects(bob.queryChannels({ type: 'messaging' }), isError(403, 17));
    },

    'older messages are paged': async (scope) => {
      const { aliceChannel, bob, call } = await chatOfCall(scope);
      for (const text of ['1', '2', '3']) await aliceChannel.sendMessage({ text });
      const channel = bob.channel('messaging', call.channelId);
      const texts = (page) => page.messages.map((it) => it.text);
      const last = await channel.query({ messages: { limit: 2 } });
      assert.deepEqual(texts(last), ['2', '3']);
      const older = await channel.query({ messages: { limit: 2, id_lt: last.messages[0].id } });
      assert.deepEqual(texts(older), ['1']);
    },

    'POST /call/end deletes the channel': async (scope) => {
      const { alice, bob, aliceId, call } = await chatOfCall(scope);
      const deleted = nextEvent(bob, 'channel.deleted');
      await succeed('POST', '/call/end', { as: aliceId, body: { callId: call.callId } });
      assert.equal((await deleted).cid, call.channelCid);
      await assert.rejects(
        alice.channel('messaging', call.channelId).sendMessage({ text: 'too late' }),
        (error) => [403, 404].includes(error.status ?? error.response?.status),
      );
    },

    'expiry: a request gets code 40 and is repeated with a new token': async (scope) => {
      const userId = newUserId('alice');
      const provider = tokenProvider(userId, { ttlSeconds: TOKEN_SECONDS });
      const client = await connect(scope, userId, provider);
      await advanceClock(TOKEN_SECONDS + 1);
      const { devices } = await client.getDevices();
      assert.deepEqual(devices, []);
      assert.ok(provider.requests >= 2);
    },

    'expiry: the socket is closed, and connects again with a new token': async (scope) => {
      const userId = newUserId('alice');
      const provider = tokenProvider(userId, { ttlSeconds: TOKEN_SECONDS });
      const client = await connect(scope, userId, provider);
      const online = nextEvent(client, 'connection.changed', (event) => event.online, 30_000);
      await advanceClock(TOKEN_SECONDS + 1);
      await online;
      assert.equal(provider.requests, 2);
    },

    'expiry: the provider is asked until its token is valid': async (scope) => {
      const userId = newUserId('alice');
      const issue = tokenProvider(userId, { ttlSeconds: TOKEN_SECONDS });
      const stale = await issue();
      const client = newClient(scope);
      let requests = 0;
      await client.connectUser({ id: userId }, () => {
        requests += 1;
        return requests < 4 ? Promise.resolve(stale) : issue();
      });
      await advanceClock(TOKEN_SECONDS + 1);
      await client.getDevices();
      // The socket may have asked, too.
      assert.ok(requests >= 4);
    },

    'revocation: POST /token/revoke ends the connection, and a new session works': async (scope) => {
      const userId = newUserId('alice');
      const session = earlierSession(userId);
      const refused = [];
      const issue = tokenProvider(userId, { session });
      let signedIn;
      const client = await connect(scope, userId, async () => {
        if (signedIn) return signedIn();
        return issue().catch((error) => {
          refused.push(error.message);
          throw error;
        });
      });
      await client.addDevice('phone-1', 'firebase');
      const revoked = await succeed('POST', '/token/revoke', { as: userId, session });
      assert.equal(revoked.devicesRemoved, 1);
      // The old session gets no token any more, so the SDK hands on the error of the provider.
      await assert.rejects(client.getDevices(), /tokenProvider failed.*403 session_revoked/);
      assert.match(refused[0], /403 session_revoked/);
      await advanceClock(10);
      signedIn = tokenProvider(userId);
      await client.disconnectUser();
      await client.connectUser({ id: userId }, signedIn);
      assert.deepEqual((await client.getDevices()).devices, []);
    },

    'a deactivated user is disconnected and refused': async (scope) => {
      const userId = newUserId('alice');
      await connect(scope, userId);
      await streamServer('POST', `/users/${userId}/deactivate`, {});
      const sockets = () => emulator('sockets');
      await eventually(sockets, (all) => !all.some((it) => it.user_id === userId), 'closed socket');
      const iat = Math.floor(stackNow() / 1_000) - 5;
      const token = streamToken({ user_id: userId, iat, exp: iat + 600 });
      await assert.rejects(newClient(scope).connectUser({ id: userId }, token));
      const refused = () => request('POST', '/token', { as: userId, body: {} });
      const response = await eventually(refused, ({ status }) => status === 403, 'POST /token is 403');
      assert.equal(response.body.code, 'user_deactivated');
    },

    'a deleted user is refused for good': async (scope) => {
      const userId = newUserId('alice');
      await connect(scope, userId);
      const iat = Math.floor(stackNow() / 1_000) - 5;
      const token = streamToken({ user_id: userId, iat, exp: iat + 600 });
      await succeed('DELETE', `/user/${userId}`, { as: userId });
      const response = await request('POST', '/token', { as: userId, body: {} });
      assert.equal(response.body.code, 'user_deleted');
      const refused = async () => {
        const client = newClient(scope);
        return client.connectUser({ id: userId }, token).then(() => null, (error) => error);
      };
      await eventually(refused, (error) => error !== null, 'refused connection');
    },

    'a banned user reads, and cannot send': async (scope) => {
      const { bob, bobChannel, aliceId, bobId, call } = await chatOfCall(scope);
      const banned = nextEvent(bob, 'user.banned');
      const body = { target_user_id: bobId, banned_by_id: aliceId };
      await streamServer('POST', '/moderation/ban', body);
      await banned;
      await assert.rejects(bobChannel.sendMessage({ text: 'let me' }), isError(403, 17));
      await bob.channel('messaging', call.channelId).query({});
    },

    'socket drop: messages that were missed are in the channel after the reconnect': async (scope) => {
      const { alice, bobChannel, aliceChannel, aliceId } = await chatOfCall(scope);
      const recovered = nextEvent(alice, 'connection.recovered', () => true, 30_000);
      await emulator('sockets/drop', { user_id: aliceId, code: 1011 });
      await bobChannel.sendMessage({ text: 'while you were away' });
      await recovered;
      const texts = () => aliceChannel.state.messages.map((it) => it.text);
      await eventually(texts, (all) => all.includes('while you were away'), 'missed message');
      // The new socket watches again.
      const live = nextEvent(aliceChannel, 'message.new', ownMessage('welcome back'));
      await bobChannel.sendMessage({ text: 'welcome back' });
      await live;
    },

    'sync returns the events since a time': async (scope) => {
      const { alice, aliceChannel, bobChannel } = await chatOfCall(scope);
      const arrived = nextEvent(aliceChannel, 'message.new');
      const since = new Date(stackNow() - 1_000).toISOString();
      await bobChannel.sendMessage({ text: 'sync me' });
      await arrived;
      const { events } = await alice.sync([aliceChannel.cid], since);
      assert.ok(events.some((it) => it.type === 'message.new' && it.message.text === 'sync me'));
    },

    'devices are added, listed and removed': async (scope) => {
      const client = await connect(scope, newUserId('alice'));
      await client.addDevice('phone-1', 'firebase');
      await client.addDevice('phone-2', 'apn');
      const ids = async () => (await client.getDevices()).devices.map((it) => it.id).sort();
      assert.deepEqual(await ids(), ['phone-1', 'phone-2']);
      await client.removeDevice('phone-1');
      assert.deepEqual(await ids(), ['phone-2']);
    },

    'users are blocked, listed and unblocked': async (scope) => {
      const { alice, bobId } = await chatOfCall(scope);
      await alice.blockUser(bobId);
      const blocked = async () => (await alice.getBlockedUsers()).blocks.map((it) => it.blocked_user_id);
      assert.deepEqual(await blocked(), [bobId]);
      await alice.unBlockUser(bobId);
      assert.deepEqual(await blocked(), []);
    },

    'the profile of POST /user/upsert is seen, and the own one can be changed': async (scope) => {
      const { alice, aliceId, bobId } = await chatOfCall(scope);
      const body = { userData: { name: 'Bob', custom: { plan: 'pro' } } };
      await succeed('POST', '/user/upsert', { as: bobId, body });
      const found = async () => (await alice.queryUsers({ id: { $eq: bobId } })).users[0];
      const bob = await eventually(found, (user) => user?.name === 'Bob', 'profile of bob');
      assert.equal(bob.plan, 'pro');
      const { users } = await alice.partialUpdateUser({ id: aliceId, set: { color: 'green' } });
      assert.equal(users[aliceId].color, 'green');
      const other = alice.partialUpdateUser({ id: bobId, set: { color: 'red' } });
      await assert.rejects(other, isError(403, 17));
    },

    'the settings of the app have no secret': async (scope) => {
      const client = await connect(scope, newUserId('alice'));
      const { app } = await client.getAppSettings();
      assert.equal(typeof app.name, 'string');
      assert.equal(app.event_hooks, undefined);
    },

    'unread counts': async (scope) => {
      const { aliceChannel, bob, bobChannel, call } = await chatOfCall(scope);
      const arrived = nextEvent(bobChannel, 'message.new');
      await aliceChannel.sendMessage({ text: 'one' });
      await arrived;
      const unread = await bob.getUnreadCount();
      assert.equal(unread.total_unread_count, 1);
      assert.equal(unread.channels[0].channel_id, call.channelCid);
    },

    'disconnect and connect again': async (scope) => {
      const userId = newUserId('alice');
      const provider = tokenProvider(userId);
      const client = await connect(scope, userId, provider);
      await client.disconnectUser();
      await within(client.connectUser({ id: userId }, provider), 'second connect');
      assert.equal(provider.requests, 2);
    },
  };
}
