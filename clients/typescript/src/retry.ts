/** The rules of docs/ERRORS.md for repeating a request. */
import type { RequestError } from './errors.js';

/** When a failed request is repeated. */
export interface RetryPolicy {
  /** The maximum number of requests, the first included. */
  attempts: number;
  /** The wait before the first repeat, in milliseconds. It doubles with each repeat. */
  baseDelayMs: number;
  /** The longest wait, in milliseconds. If `Retry-After` is longer, the error is returned at once. */
  maxDelayMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 3, baseDelayMs: 500, maxDelayMs: 10_000 };

/**
 * Whether the same request can succeed later. Every request of the client is idempotent: it has an id, or a repeat has
 * no further effect.
 */
export function isRetryable(error: RequestError): boolean {
  switch (error.code) {
    case 'network_error':
    case 'timeout':
    case 'call_not_active':
      return true;
    case 'stream_not_configured':
      return false;
    default:
      return error.status === 429 || error.status === 500 || error.status === 503;
  }
}

/** Whether another session token can help. */
export function needsNewSession(error: RequestError): boolean {
  return error.code === 'unauthenticated' || error.code === 'session_revoked';
}

/** The wait before the next attempt in milliseconds, or `undefined` if there is none. */
export function retryDelayMs(error: RequestError, attempts: number, policy: RetryPolicy): number | undefined {
  if (attempts >= policy.attempts || !isRetryable(error)) return undefined;
  const backoff = policy.baseDelayMs * 2 ** (attempts - 1);
  // The jitter keeps the apps apart that failed at the same moment.
  const jittered = backoff * (0.5 + Math.random() / 2);
  const required = (error.retryAfterSeconds ?? 0) * 1_000;
  if (required > policy.maxDelayMs) return undefined;
  return Math.min(policy.maxDelayMs, Math.max(required, jittered));
}
