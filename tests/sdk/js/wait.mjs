// Waiting with a deadline, for events and for states.

import assert from 'node:assert/strict';

const DEADLINE_MS = 15_000;
const POLL_INTERVAL_MS = 50;

/** Rejects if the promise takes longer than the deadline. */
export function within(promise, description, deadline = DEADLINE_MS) {
  let timer;
  const expired = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${description}: not within ${deadline} ms`)), deadline);
  });
  return Promise.race([promise, expired]).finally(() => clearTimeout(timer));
}

/**
 * The next event of a client or a channel of Stream's SDKs that matches. Call it before the action
 * that causes the event, and await it after.
 */
export function nextEvent(emitter, type, matches = () => true, deadline = DEADLINE_MS) {
  let stop = () => {};
  const event = new Promise((resolve) => {
    const listener = (received) => {
      if (matches(received)) resolve(received);
    };
    const subscription = emitter.on(type, listener);
    stop = () => (subscription.unsubscribe ? subscription.unsubscribe() : subscription());
  });
  const awaited = within(event, `event ${type}`, deadline).finally(stop);
  // A failed action before the await must not end the process by an unhandled rejection.
  awaited.catch(() => {});
  return awaited;
}

/** Reads a state until it matches. An event can't be awaited for a state of another process. */
export async function eventually(read, matches, description, deadline = DEADLINE_MS) {
  const end = Date.now() + deadline;
  for (;;) {
    const state = await read();
    if (matches(state)) return state;
    if (Date.now() > end) {
      assert.fail(`${description}: not within ${deadline} ms, last state ${JSON.stringify(state)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}
