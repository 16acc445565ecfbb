// Keeps the store up to date: one long poll for requests, and the rest whenever a request arrives.

import { ControlError, readCalls, readRequests, readState, readWebhooks } from './control_api.js';
import { resetStackTime, setStackTime } from './stack_clock.js';
import { addRequests, invalidate, reset, store } from './store.js';

/** How long the page waits before it asks a stack that does not answer again. */
const RETRY_MILLIS = 1_500;

/** How often calls and webhooks are read if no request arrives. */
const IDLE_MILLIS = 5_000;

/** A read of the calls is a scan of the table: how long the next one waits. */
const TABLES_MILLIS = 1_000;

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

/** Waits until the page is visible: a hidden page reads nothing, and holds no connection. */
async function visible() {
  while (document.hidden) await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
}

/** The number of the newest request that is known. */
let after = 0;

/** Ends the read of requests that waits. */
let waiting = new AbortController();

/** Reads the state of the stack. Of answers that overtake each other, the newest counts. */
export async function refreshState() {
  const state = await readState();
  const isEarlierStart = store.stack !== null && Date.parse(state.startedAt) < Date.parse(store.stack.startedAt);
  if (isEarlierStart) return;
  const isNewStart = state.startedAt !== store.stack?.startedAt;
  if (isNewStart) {
    if (store.stack) reset();
    resetStackTime();
    after = 0;
    waiting.abort();
  }
  if (!setStackTime(state.now)) return;
  store.stack = state;
  store.isReachable = true;
  if (isNewStart) for (const listener of startListeners) listener(state.startedAt);
  invalidate();
}

let isRefreshing = false;
let isStale = false;
let tablesReadAt = -TABLES_MILLIS;

/** Reads calls and webhooks, at most once a second, and once more if something has changed meanwhile. */
export async function refreshTables() {
  isStale = true;
  if (isRefreshing) return;
  isRefreshing = true;
  try {
    while (isStale) {
      await sleep(tablesReadAt + TABLES_MILLIS - performance.now());
      await visible();
      isStale = false;
      tablesReadAt = performance.now();
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
  for (;;) {
    await visible();
    waiting = new AbortController();
    try {
      if (!store.stack || !store.isReachable) await refreshState();
      const signal = AbortSignal.any([waiting.signal, AbortSignal.timeout(30_000)]);
      const { next, requests } = await readRequests(after, signal);
      after = next;
      addRequests(requests);
      if (requests.length) void refreshTables();
      // Several requests come at once: one answer has them all.
      await sleep(120);
    } catch (error) {
      if (waiting.signal.aborted) continue;
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
    await visible();
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
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) waiting.abort();
  });
  // Countdowns and timers.
  setInterval(invalidate, 1_000);
}
