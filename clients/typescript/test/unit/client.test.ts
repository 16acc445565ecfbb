import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestError, unwrap } from '@stream-functions/client';
import { fakeApi, json, problem, success } from './fake-api.js';

test('request has path, query, body and session token', async () => {
  const { client, requests } = fakeApi([success({ calls: [] }), success(), success(), new Response('<svg/>')]);
  unwrap(await client.listCalls({ state: 'ended', limit: 10, cursor: 'a/b&c' }));
  unwrap(await client.extendCall('demo-1', { maxDurationSeconds: 600 }));
  unwrap(await client.deleteUser('alice@home'));
  assert.equal(unwrap(await client.getCallQualityChart('demo-1', { width: 360, theme: 'dark' })), '<svg/>');
  assert.deepEqual(
    requests.map(({ method, url, body }) => [method, url, body]),
    [
      ['GET', 'https://api.test/api/stream/call?state=ended&limit=10&cursor=a%2Fb%26c', undefined],
      ['POST', 'https://api.test/api/stream/call/demo-1/extend', { maxDurationSeconds: 600 }],
      ['DELETE', 'https://api.test/api/stream/user/alice%40home', undefined],
      ['GET', 'https://api.test/api/stream/call/quality/demo-1?width=360&theme=dark&format=svg', undefined],
    ],
  );
  assert.equal(requests[1]?.headers['Authorization'], 'Bearer session-1');
  assert.equal(requests[1]?.headers['Content-Type'], 'application/json');
  assert.equal(requests[0]?.headers['Content-Type'], undefined);
});

test('id names no other route', async () => {
  for (const id of ['', '.', '..', 'a/b', 'a?b']) {
    const { client, requests } = fakeApi([problem(400, 'invalid_id')]);
    await client.getCall(id);
    // As `fetch` normalizes it.
    const segments = new URL(requests[0]?.url ?? '').pathname.split('/');
    assert.deepEqual(segments.slice(0, 4), ['', 'api', 'stream', 'call']);
    assert.equal(segments.length, 5);
    assert.notEqual(segments[4], '');
  }
});

test('retries of a create share its key, and each create has its own', async () => {
  const created = () => success({ callId: 'demo-1' });
  const { client, requests } = fakeApi([new TypeError('offline'), problem(503, 'store_unavailable'), created(), created()]);
  unwrap(await client.createCall({ receiverId: 'bob' }));
  unwrap(await client.createCall({ receiverId: 'bob' }));
  const keys = requests.map(({ headers }) => headers['Idempotency-Key']);
  assert.match(keys[0] ?? '', /^[A-Za-z0-9_-]{22}$/);
  assert.equal(new Set(keys.slice(0, 3)).size, 1);
  assert.notEqual(keys[3], keys[0]);
});

test('key of the app is sent', async () => {
  const { client, requests } = fakeApi([success()]);
  await client.createCall({ receiverId: 'bob' }, { idempotencyKey: 'stored-key' });
  assert.equal(requests[0]?.headers['Idempotency-Key'], 'stored-key');
});

test('retries of a message and of a batch have the same id', async () => {
  const steps = [problem(500, 'internal'), success(), problem(503, 'stream_busy'), success()];
  const { client, requests } = fakeApi(steps, { generateId: () => `id-${requests.length}` });
  await client.sendMessage({ channelId: 'call-demo-1', message: 'Hello' });
  await client.reportQuality('demo-1', { samples: [{ timestamp: 1_767_268_825_000 }] });
  const bodies = requests.map(({ body }) => body as { messageId?: string; batchId?: string });
  assert.deepEqual(bodies.map((body) => body.messageId ?? body.batchId), ['id-0', 'id-0', 'id-2', 'id-2']);
});

test('problem document becomes an error with its code', async () => {
  const errors = [{ pointer: '/callId', reason: 'must have 1 to 59 characters' }];
  const { client } = fakeApi([problem(400, 'invalid_body', {}, { errors }), problem(409, 'user_busy')]);
  const { error } = await client.createCall({ receiverId: 'bob', callId: '' });
  assert.ok(error instanceof RequestError);
  assert.equal(error.code, 'invalid_body');
  assert.deepEqual(error.errors, errors);
  assert.equal(error.message, 'detail of invalid_body');
  assert.equal(error.requestId, 'request-1');
  assert.equal(error.operation, 'call-create');
  const busy = await client.createCall({ receiverId: 'bob' });
  assert.throws(() => unwrap(busy), (thrown: unknown) => thrown === busy.error);
});

test('temporary failures are retried three times in total', async () => {
  for (const step of [
    problem(500, 'internal'),
    problem(503, 'stream_unavailable'),
    problem(409, 'call_not_active'),
    json(429, { message: 'Too Many Requests' }),
    json(503, { message: 'Service Unavailable' }),
  ]) {
    const { client, requests } = fakeApi([step.clone(), step.clone(), step.clone()]);
    const { error } = await client.createCall({ receiverId: 'bob' });
    assert.equal(requests.length, 3);
    assert.equal(error?.attempts, 3);
  }
});

test('permanent failures are not retried', async () => {
  for (const [status, code] of [
    [400, 'invalid_body'],
    [403, 'user_banned'],
    [404, 'call_not_found'],
    [409, 'call_ended'],
    [502, 'stream_refused'],
    [503, 'stream_not_configured'],
  ] as const) {
    const { client, requests } = fakeApi([problem(status, code)]);
    assert.equal((await client.createCall({ receiverId: 'bob' })).error?.code, code);
    assert.equal(requests.length, 1);
  }
});

test('Retry-After is waited for', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { client, requests } = fakeApi([problem(429, 'too_many_requests', { 'retry-after': '7' }), success()]);
  const result = client.createCall({ receiverId: 'bob' });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  await settle();
  context.mock.timers.tick(6_999);
  await settle();
  assert.equal(requests.length, 1);
  context.mock.timers.tick(1);
  assert.ok((await result).ok);
});

test('longer Retry-After is returned at once', async () => {
  const { client, requests } = fakeApi([problem(429, 'too_many_requests', { 'retry-after': '41' })]);
  const { error } = await client.createCall({ receiverId: 'bob' });
  assert.equal(error?.retryAfterSeconds, 41);
  assert.equal(requests.length, 1);
});

test('rejected session is renewed once', async () => {
  const refreshes: boolean[] = [];
  let tokens = 0;
  const getSessionToken = ({ refresh }: { refresh: boolean }) => {
    refreshes.push(refresh);
    if (refresh) tokens += 1;
    return `session-${tokens}`;
  };
  const { client, requests } = fakeApi(
    [problem(401, 'unauthenticated'), success(), problem(401, 'unauthenticated'), problem(401, 'unauthenticated')],
    { getSessionToken },
  );
  assert.ok((await client.getCall('demo-1')).ok);
  assert.equal((await client.getCall('demo-1')).error?.code, 'unauthenticated');
  assert.deepEqual(refreshes, [false, true, false, true]);
  assert.deepEqual(
    requests.map(({ headers }) => headers['Authorization']),
    ['Bearer session-0', 'Bearer session-1', 'Bearer session-1', 'Bearer session-2'],
  );
});

test('renewal of the session is no attempt of the policy', async () => {
  const busy = () => Promise.resolve(problem(503, 'stream_busy'));
  const { client, requests } = fakeApi([problem(401, 'unauthenticated'), busy, busy, success()], {
    getSessionToken: ({ refresh }) => (refresh ? 'new' : 'old'),
  });
  assert.ok((await client.getCall('demo-1')).ok);
  assert.equal(requests.length, 4);
});

test('same session token is not sent again', async () => {
  const { client, requests } = fakeApi([problem(403, 'session_revoked')]);
  assert.equal((await client.createToken()).error?.code, 'session_revoked');
  assert.equal(requests.length, 1);
});

test('missing session token sends no request', async () => {
  const failure = new Error('keychain is locked');
  for (const [getSessionToken, cause] of [
    [() => Promise.reject(failure), failure],
    [() => '', undefined],
    [() => undefined as unknown as string, undefined],
  ] as const) {
    const { client, requests } = fakeApi([], { getSessionToken });
    const { error } = await client.getCall('demo-1');
    assert.equal(error?.code, 'session_token_unavailable');
    assert.equal(error?.cause, cause);
    assert.equal(requests.length, 0);
  }
});

test('arguments that give no request are an error, and are not sent', async () => {
  const failure = new Error('no entropy');
  const generateId = () => {
    throw failure;
  };
  const halfPair = 'demo-\ud83d';
  const { client, requests } = fakeApi([], { generateId });
  const results = [
    client.createCall({ receiverId: 'bob' }),
    client.sendMessage({ channelId: 'call-demo-1', message: 'Hello' }),
    client.reportQuality('demo-1', { samples: [{ timestamp: 1_767_268_825_000 }] }),
    client.getCall(halfPair),
    client.deleteUser(halfPair),
    client.listCalls({ cursor: halfPair }),
    client.endCall({ callId: 1n as unknown as string }),
  ];
  const errors = (await Promise.all(results)).map(({ error }) => error);
  assert.deepEqual(new Set(errors.map((error) => error?.code)), new Set(['invalid_argument']));
  assert.equal(errors[0]?.cause, failure);
  assert.equal(errors[0]?.attempts, 0);
  assert.ok(errors[3]?.cause instanceof URIError);
  assert.equal(requests.length, 0);
});

test('responses of others than the functions have codes of the client', async () => {
  for (const [step, code] of [
    [json(404, { message: 'Not Found' }), 'gateway_error'],
    [new Response('<html>Sign in to the hotel</html>'), 'invalid_response'],
    [new Response('[]'), 'invalid_response'],
    [json(200, { token: 'x' }), 'invalid_response'],
    [new Response('Bad Gateway', { status: 502 }), 'invalid_response'],
  ] as const) {
    const { client } = fakeApi([step]);
    assert.equal((await client.createToken()).error?.code, code);
  }
});

/** A server that accepts the connection and sends nothing. It ignores the signal. */
const silent = () => new Promise<Response>(() => undefined);

test('silent server is a timeout, and the request is aborted', async () => {
  const { client, requests } = fakeApi([silent, silent, success()], { timeoutMs: 20 });
  assert.ok((await client.createCall({ receiverId: 'bob' })).ok);
  assert.equal(requests[0]?.signal.aborted, true);
  const { client: other } = fakeApi([silent], { timeoutMs: 20 });
  assert.equal((await other.getConfig({}, { attempts: 1 })).error?.code, 'timeout');
});

test('signal aborts the request and the wait before a retry', async () => {
  for (const step of [silent, problem(503, 'stream_busy', { 'retry-after': '5' })]) {
    const { client, requests } = fakeApi([step]);
    const controller = new AbortController();
    const result = client.getCall('demo-1', { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    assert.equal((await result).error?.code, 'aborted');
    assert.equal(requests.length, 1);
  }
  const { client, requests } = fakeApi([]);
  assert.equal((await client.getCall('demo-1', { signal: AbortSignal.abort() })).error?.code, 'aborted');
  assert.equal(requests.length, 0);
});

test('error contains no session token', async () => {
  const getSessionToken = () => 'secret-session';
  for (const step of [problem(403, 'user_banned'), new TypeError('offline')]) {
    const { client } = fakeApi([step], { getSessionToken });
    const { error } = await client.getConfig({}, { attempts: 1 });
    const text = `${JSON.stringify(error)} ${error?.stack} ${String(error)}`;
    assert.doesNotMatch(text, /secret-session/);
  }
});
