// Keeps the store up to date: one long poll for requests, and the rest whenever a request arrives.

import { ControlError, readCalls, readRequests, readState, readWebhooks } from './control_api.js';
import { setStackTime } from './stack_clock.js';
import { addRequests, invalidate, reset, store } from './store.js';

/** How long the page waits before it asks a stack that does not answer again. */
const RETRY_MILLIS = 1_500;

/** How often calls and webhooks are read if no request arrives. */
const IDLE_MILLIS = 5_000;

/** @param {number} millis */
const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** @type {Set<(startedAt: string) => void>} */
const startListeners = new Set();

/**
 * Calls the listener with each start of the stack, also a later one.
 *
 * @param {(startedAt: string) => void} listener
 */
export function onStackStart(listener) {
  startListeners.add(listener);
}

/** Reads the state of the stack. */
export async function refreshState() {
  const state = await readState();
  const isNewStart = state.startedAt !== store.stack?.startedAt;
  if (isNewStart && store.stack) reset();
  setStackTime(state.now);
  store.stack = state;
  store.isReachable = true;
  if (isNewStart) for (const listener of startListeners) listener(state.startedAt);
  invalidate();
  return isNewStart;
}

let isRefreshing = false;
let isStale = false;

/** Reads calls and webhooks, once at a time. */
export async function refreshTables() {
  isStale = true;
  if (isRefreshing) return;
  isRefreshing = true;
  try {
    while (isStale) {
      isStale = false;
      const [{ calls }, webhooks] = await Promise.all([readCalls(), readWebhooks()]);
      store.calls = calls;
      store.webhooks = webhooks;
      invalidate();
    }
  } catch {
    // The loop below notices a stack that has stopped.
  } finally {
    isRefreshing = false;
  }
}

/** Reads all of it after an action of the page. */
export async function refreshAll() {
  await refreshState().catch(() => {});
  await refreshTables();
}

async function followRequests() {
  let after = 0;
  for (;;) {
    try {
      if (!store.stack || !store.isReachable) {
        if (await refreshState()) after = 0;
      }
      const { next, requests } = await readRequests(after, AbortSignal.timeout(30_000));
      after = next;
      addRequests(requests);
      if (requests.length) void refreshTables();
      // Several requests come at once: one answer has them all.
      await sleep(120);
    } catch (error) {
      const isRefused = error instanceof ControlError;
      if (!isRefused && store.isReachable && !(error instanceof DOMException)) {
        store.isReachable = false;
        invalidate();
      }
      if (isRefused) after = 0;
      await sleep(RETRY_MILLIS);
    }
  }
}

async function followTables() {
  for (;;) {
    if (store.isReachable && store.stack) {
      await refreshState().catch(() => {});
      await refreshTables();
    }
    await sleep(IDLE_MILLIS);
  }
}

export function startLive() {
  void followRequests();
  void followTables();
  // Countdowns and timers.
  setInterval(invalidate, 1_000);
}
