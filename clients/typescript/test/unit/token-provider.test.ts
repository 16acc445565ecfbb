import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { TokenError } from '@stream-functions/client';
import { fakeApi, problem, success } from './fake-api.js';

const token = (text = 'a.b.c') => success({ token: text });

/** Lets a promise settle whose timers are mocked. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

const mockTime = (context: TestContext) =>
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_767_268_825_000 });

test('provider returns the bare token, a new one each time', async () => {
  const { client, requests } = fakeApi([token('a'), token('b')]);
  const provide = client.tokenProvider({ request: { userData: { name: 'Alice' } } });
  assert.equal(await provide(), 'a');
  assert.equal(await provide(), 'b');
  assert.deepEqual(requests[0]?.body, { userData: { name: 'Alice' } });
});

test('both SDKs share one request at the same time', async () => {
  const { client, requests } = fakeApi([token(), token()]);
  const provide = client.tokenProvider();
  assert.deepEqual(await Promise.all([provide(), provide()]), ['a.b.c', 'a.b.c']);
  assert.equal(requests.length, 1);
});

test('tokens that Stream rejects are issued at growing intervals', async (context) => {
  mockTime(context);
  const { client, requests } = fakeApi(Array.from({ length: 30 }, () => token()));
  const provide = client.tokenProvider();
  // The SDK calls the provider again as soon as Stream has rejected the last token with code 40.
  const times: number[] = [];
  const start = Date.now();
  void (async () => {
    for (;;) {
      await provide();
      times.push((Date.now() - start) / 1_000);
    }
  })();
  for (let second = 0; second < 120; second += 1) {
    await settle();
    context.mock.timers.tick(1_000);
    await settle();
  }
  assert.deepEqual(times.slice(0, 10), [0, 0, 0, 0, 2, 6, 14, 30, 60, 90]);
  assert.ok(requests.length <= 12, `${requests.length}`);
});

test('later token is not delayed', async (context) => {
  mockTime(context);
  const { client } = fakeApi(Array.from({ length: 6 }, () => token()));
  const provide = client.tokenProvider();
  for (let count = 0; count < 4; count += 1) await provide();
  context.mock.timers.tick(60_000);
  assert.equal(await provide(), 'a.b.c');
});

test('ended session is reported once, and repeated without requests', async () => {
  for (const code of ['unauthenticated', 'session_revoked'] as const) {
    const { client, requests } = fakeApi([problem(code === 'unauthenticated' ? 401 : 403, code)]);
    const signIns: TokenError[] = [];
    const errors: TokenError[] = [];
    const provide = client.tokenProvider({
      onSignInRequired: (error) => signIns.push(error),
      onError: (error) => errors.push(error),
    });
    for (let count = 0; count < 5; count += 1) await assert.rejects(provide, { code });
    assert.equal(requests.length, 1);
    assert.equal(signIns.length, 1);
    assert.equal(errors.length, 1);
  }
});

test('ended session is tried again after a minute', async (context) => {
  mockTime(context);
  const { client, requests } = fakeApi([problem(403, 'session_revoked'), problem(403, 'session_revoked'), token()]);
  const signIns: TokenError[] = [];
  const provide = client.tokenProvider({ onSignInRequired: (error) => signIns.push(error) });
  for (const count of [1, 2]) {
    await assert.rejects(provide, { code: 'session_revoked' });
    context.mock.timers.tick(59_999);
    await assert.rejects(provide, { code: 'session_revoked' });
    assert.deepEqual([requests.length, signIns.length], [count, count]);
    context.mock.timers.tick(1);
  }
  assert.equal(await provide(), 'a.b.c');
});

test('hanging getSessionToken does not delay the error, and blocks no later request', async (context) => {
  mockTime(context);
  let reads = 0;
  const getSessionToken = ({ refresh }: { refresh: boolean }) => {
    reads += refresh ? 0 : 1;
    return reads === 1 ? 'session-1' : new Promise<string>(() => undefined);
  };
  const { client } = fakeApi([problem(401, 'unauthenticated')], { getSessionToken });
  const errors: TokenError[] = [];
  const provide = client.tokenProvider({ onError: (error) => errors.push(error) });
  await assert.rejects(provide, { code: 'unauthenticated' });
  assert.equal(errors.length, 1);
  for (let count = 0; count < 2; count += 1) {
    const repeated = assert.rejects(provide, { code: 'unauthenticated' });
    await settle();
    context.mock.timers.tick(15_000);
    await repeated;
  }
});

test('session that the callback renews ends the block', async () => {
  let session = 'first';
  const { client } = fakeApi([problem(403, 'session_revoked'), token()], { getSessionToken: () => session });
  const provide = client.tokenProvider({
    onSignInRequired: () => {
      session = 'second';
    },
  });
  await assert.rejects(provide, { code: 'session_revoked' });
  assert.equal(await provide(), 'a.b.c');
});

test('exception of a callback does not replace the error', async () => {
  const { client } = fakeApi([problem(403, 'session_revoked')]);
  const errors: TokenError[] = [];
  const provide = client.tokenProvider({
    onSignInRequired: () => {
      throw new Error('the app is broken');
    },
    onError: (error) => errors.push(error),
  });
  await assert.rejects(provide, { code: 'session_revoked' });
  assert.equal(errors.length, 1);
});

test('new session ends the block', async () => {
  let session = 'first';
  const { client } = fakeApi([problem(403, 'session_revoked'), token()], { getSessionToken: () => session });
  const provide = client.tokenProvider();
  await assert.rejects(provide, { code: 'session_revoked' });
  session = 'second';
  assert.equal(await provide(), 'a.b.c');
});

test('limit of requests is obeyed', async (context) => {
  mockTime(context);
  const { client, requests } = fakeApi([problem(429, 'too_many_requests', { 'retry-after': '41' }), token()]);
  const provide = client.tokenProvider();
  await assert.rejects(provide, { code: 'too_many_requests' });
  context.mock.timers.tick(40_000);
  await assert.rejects(provide, { code: 'too_many_requests' });
  assert.equal(requests.length, 1);
  context.mock.timers.tick(1_000);
  assert.equal(await provide(), 'a.b.c');
});

test('missing network blocks nothing', async () => {
  const offline = () => Promise.reject(new TypeError('offline'));
  const { client } = fakeApi([offline, offline, offline, token()]);
  const provide = client.tokenProvider();
  await assert.rejects(provide, { code: 'network_error' });
  assert.equal(await provide(), 'a.b.c');
});
