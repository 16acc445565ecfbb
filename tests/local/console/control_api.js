// The control API of the local stack, below /_local.

/** @typedef {import('./types').StackState} StackState */
/** @typedef {import('./types').StackRequest} StackRequest */
/** @typedef {import('./types').StackCall} StackCall */
/** @typedef {import('./types').Webhooks} Webhooks */
/** @typedef {import('./types').Fault} Fault */

/** A response with an error status. Its message is that of the stack. */
export class ControlError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {string} method
 * @param {string} path below /_local
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
async function send(method, path, body, signal) {
  const response = await fetch(`/_local/${path}`, {
    method,
    headers: body ? { 'Content-Type': 'application/json' } : {},
    ...(body ? { body: JSON.stringify(body) } : {}),
    ...(signal ? { signal } : {}),
    cache: 'no-store',
  });
  const text = await response.text();
  /** @type {any} */
  let value = {};
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    // Reported by its status.
  }
  if (!response.ok) throw new ControlError(response.status, value.message ?? `the stack answered ${response.status}`);
  return value;
}

/** @returns {Promise<StackState>} */
export const readState = () => send('GET', 'console/state');

/**
 * Waits for requests after a sequence number.
 *
 * @param {number} after
 * @param {AbortSignal} signal
 * @returns {Promise<{ next: number, requests: StackRequest[] }>}
 */
export const readRequests = (after, signal) =>
  send('GET', `console/requests?after=${after}&waitMs=${after ? 20_000 : 0}`, undefined, signal);

/** @returns {Promise<{ calls: StackCall[] }>} */
export const readCalls = () => send('GET', 'console/calls');

/** @returns {Promise<Webhooks>} */
export const readWebhooks = () => send('GET', 'console/webhooks');

/**
 * @param {string} id
 * @returns {Promise<{ id: string }>}
 */
export const resend = (id) => send('POST', `console/requests/${encodeURIComponent(id)}/resend`);

/**
 * @param {number} advanceSeconds
 * @returns {Promise<{ now: string }>}
 */
export const advanceClock = (advanceSeconds) => send('POST', 'clock', { advanceSeconds });

/** @param {boolean} dropAll */
export const dropWebhooks = (dropAll) => send('POST', 'console/webhooks', { dropAll });

/** @param {Fault} fault */
export const addFault = (fault) => send('POST', 'console/faults', fault);

export const clearFaults = () => send('DELETE', 'console/faults');

/** @returns {Promise<{ summary: unknown }>} */
export const sweep = () => send('POST', 'console/sweep');
