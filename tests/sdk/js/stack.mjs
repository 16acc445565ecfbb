// The local stack as an app and its login see it: session tokens, the functions, the control API of
// the emulator, and the stack's clock.

import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';

export const apiUrl = variable('API_URL');
export const streamUrl = variable('STREAM_URL');
export const apiKey = variable('STREAM_API_KEY');
export const apiSecret = variable('STREAM_API_SECRET');
const sessionSecret = variable('JWT_SECRET');

const SESSION_SECONDS = 3_600;

/** How far the stack's clock is ahead of this machine's. */
let aheadMillis = 0;

function variable(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

/** A user id that no other operation uses. */
export const newUserId = (name) => `${name}-${randomUUID().slice(0, 8)}`;

/** The time of the stack's clock. */
export const stackNow = () => Date.now() + aheadMillis;

const readClock = async (response) => {
  assert.equal(response.status, 200);
  const { now } = await response.json();
  aheadMillis = Date.parse(now) - Date.now();
};

/** Reads the clock, which an earlier process may have moved. */
export async function syncClock() {
  await readClock(await fetch(`${apiUrl}/_local/clock`));
}

export async function advanceClock(seconds) {
  const body = JSON.stringify({ advanceSeconds: seconds });
  await readClock(await fetch(`${apiUrl}/_local/clock`, { method: 'POST', body }));
  await emulator('tick', {});
}

const base64Url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function signJwt(claims, secret) {
  const signed = `${base64Url({ alg: 'HS256', typ: 'JWT' })}.${base64Url(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** The session JWT that the app's login would issue now. */
export function sessionToken(userId, claims = {}) {
  const iat = Math.floor(stackNow() / 1_000);
  return signJwt({ sub: userId, iat, exp: iat + SESSION_SECONDS, ...claims }, sessionSecret);
}

/**
 * A session of a minute ago. A session of the same second as a revocation is not revoked, since `iat`
 * has whole seconds.
 */
export function earlierSession(userId) {
  return sessionToken(userId, { iat: Math.floor(stackNow() / 1_000) - 60 });
}

/** A Stream token that the functions did not issue. */
export function streamToken(claims, secret = apiSecret) {
  return signJwt(claims, secret);
}

/** A response of the functions: status and body. */
export async function request(method, path, { as, body, session } = {}) {
  const headers = { Authorization: `Bearer ${session ?? sessionToken(as)}` };
  if (body) headers['Content-Type'] = 'application/json';
  const response = await fetch(`${apiUrl}/api/stream${path}`, {
    method,
    headers,
    body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

/** The body of a successful response of the functions. */
export async function succeed(method, path, options) {
  const { status, body } = await request(method, path, options);
  assert.ok(status === 200 || status === 202, `${method} ${path}: ${status} ${JSON.stringify(body)}`);
  return body;
}

/** The token provider of an app, after docs/MIGRATION.md. It counts its requests. */
export function tokenProvider(userId, { ttlSeconds, session } = {}) {
  const provider = async () => {
    provider.requests += 1;
    const { status, body } = await request('POST', '/token', {
      as: userId,
      session,
      body: ttlSeconds ? { ttlSeconds } : {},
    });
    if (status !== 200) throw new Error(`token: ${status} ${body.code}`);
    return body.token;
  };
  provider.requests = 0;
  return provider;
}

/** Makes users known to the functions, as their apps' first token request does. */
export async function register(...userIds) {
  for (const userId of userIds) await tokenProvider(userId)();
}

/** A response of the emulator's control API. */
export async function emulator(action, body) {
  const response = await fetch(`${streamUrl}/_emulator/${action}`, {
    method: body ? 'POST' : 'GET',
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.equal(response.status, 200, `_emulator/${action}: ${text}`);
  return JSON.parse(text);
}

/** A request of the app's backend to Stream's v2 API. */
export async function streamServer(method, path, body) {
  const iat = Math.floor(stackNow() / 1_000) - 5;
  const response = await fetch(`${streamUrl}/api/v2${path}?api_key=${apiKey}`, {
    method,
    headers: {
      Authorization: streamToken({ server: true, iat }),
      'stream-auth-type': 'jwt',
      'Content-Type': 'application/json',
    },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}
