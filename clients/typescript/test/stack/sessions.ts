/** Sessions of the local stack, and the control API of its emulator. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createClient, type ClientOptions } from '@stream-functions/client';

/** The secret of the local stack, which is no secret: tests/local/src/options.rs. */
const JWT_SECRET = 'local-session-jwt-secret-never-deploy-this-one';

function required(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function sessionToken(userId: string, role: 'user' | 'service' = 'user', ageSeconds = 0): string {
  const now = Math.floor(Date.now() / 1_000) - ageSeconds;
  const claims = { sub: userId, role, iat: now, exp: now + 600 };
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${input}.${createHmac('sha256', JWT_SECRET).update(input).digest('base64url')}`;
}

export function clientOf(userId: string, role: 'user' | 'service' = 'user', options: Partial<ClientOptions> = {}) {
  const token = sessionToken(userId, role);
  return createClient({ baseUrl: required('API_URL'), getSessionToken: () => token, ...options });
}

/** Sends a request to the control API of the emulator (docs/TESTING.md). */
export async function emulator(action: string, body: object): Promise<void> {
  const response = await fetch(`${required('STREAM_URL')}/_emulator/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.ok(response.ok, `${action}: ${response.status}`);
}

/** Reads until the value has arrived: webhooks and the list of calls follow with a delay. */
export async function eventually<T>(read: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const value = await read();
    if (value !== undefined) return value;
    assert.ok(Date.now() < deadline, 'the value does not arrive');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
