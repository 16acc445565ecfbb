// The API as an app uses it: the session token of its user, JSON, errors as problem documents.

import { refreshState } from './live.js';
import { findUser } from './store.js';

/** @typedef {{ method: string, path: string, status: number | null, millis: number, id: string | null, error: string | null }} LastRequest */

/** A request that failed, in words for people. */
export class RequestError extends Error {
  /**
   * @param {string} message
   * @param {number | null} status
   * @param {string | null} code
   */
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const PREFIX = '/api/stream';

/** Sentences for the errors that a person at a phone meets. The other ones have the API's own. */
const SENTENCES = /** @type {Record<string, (other: string) => string>} */ ({
  user_busy: (other) => `${other} is in another call.`,
  user_not_found: (other) => `${other} has never used the app: put ${other} on a phone first.`,
  too_many_requests: () => 'Too many requests of this user: wait a minute.',
  call_ended: () => 'The call has already ended.',
  stream_unavailable: () => 'Stream does not answer. Try again.',
  stream_busy: () => 'Stream has too many requests. Try again in a moment.',
  store_unavailable: () => 'The table does not answer. Try again.',
});

/**
 * @param {any} body
 * @param {number} status
 * @param {string} other
 */
function sentence(body, status, other) {
  const code = typeof body?.code === 'string' ? body.code : '';
  return SENTENCES[code]?.(other) ?? body?.detail ?? body?.message ?? `The API answered ${status}.`;
}

/**
 * Sends a request for a user. `onDone` gets its outcome, also that of a failure.
 *
 * @param {string} userId
 * @param {string} method
 * @param {string} path below /api/stream
 * @param {{ body?: object, headers?: Record<string, string>, other?: string, onDone?: (last: LastRequest) => void }} [options]
 * @returns {Promise<any>}
 */
export async function sendAs(userId, method, path, options = {}) {
  let response = await attempt(userId, method, path, options);
  if (response.status === 401 || response.body?.code === 'session_revoked') {
    // The session has expired by the stack's clock, or was revoked: the stack signs new ones.
    await refreshState().catch(() => {});
    response = await attempt(userId, method, path, options);
  }
  const { body, status } = response;
  if (status < 200 || status > 299) {
    throw new RequestError(sentence(body, status, options.other ?? 'the other user'), status, body?.code ?? null);
  }
  return body;
}

/**
 * @param {string} userId
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object, headers?: Record<string, string>, onDone?: (last: LastRequest) => void }} options
 */
async function attempt(userId, method, path, { body, headers, onDone }) {
  const user = findUser(userId);
  if (!user) throw new RequestError(`The stack has no session token of ${userId}.`, null, null);
  const startedAt = performance.now();
  const done = (/** @type {Partial<LastRequest>} */ outcome) =>
    onDone?.({ method, path, status: null, id: null, error: null, ...outcome, millis: performance.now() - startedAt });
  try {
    const response = await fetch(`${PREFIX}${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${user.token}`,
        ...(body ? { 'Content-Type': 'application/json' } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      cache: 'no-store',
    });
    const text = await response.text();
    /** @type {any} */
    let value = text;
    try {
      value = JSON.parse(text);
    } catch {
      // A picture, or an error of the gateway.
    }
    const id = response.headers.get('apigw-requestid');
    done({ status: response.status, id, error: response.ok ? null : (value?.code ?? null) });
    return { status: response.status, body: value };
  } catch {
    done({ error: 'no answer' });
    throw new RequestError('No answer: the stack is not running.', null, 'network_error');
  }
}
