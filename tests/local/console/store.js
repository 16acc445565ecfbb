// What the page knows, and which part of it is shown. Views read it and never change it.

import { capitalize } from './format.js';

/** @typedef {import('./types').StackState} StackState */
/** @typedef {import('./types').StackRequest} StackRequest */
/** @typedef {import('./types').StackCall} StackCall */
/** @typedef {import('./types').Webhooks} Webhooks */

/** How many requests are kept, as in the stack. */
const MAX_REQUESTS = 500;

export const store = {
  /** @type {StackState | null} */
  stack: null,
  /** `false` once the stack has stopped answering. */
  isReachable: true,
  /** @type {Map<string, StackRequest>} */
  requests: new Map(),
  /** @type {StackCall[]} */
  calls: [],
  /** @type {Webhooks} */
  webhooks: { deliveries: [], events: [] },
  /** The call that all panels follow. @type {string | null} */
  followedCall: null,
  /** The session token that is shown. */
  shownUser: 'alice',
};

/** @type {(() => void)[]} */
const views = [];
let isScheduled = false;

/** @param {() => void} view */
export function addView(view) {
  views.push(view);
}

/** Draws all views before the next frame. */
export function invalidate() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    for (const view of views) view();
  });
}

/** @param {StackRequest[]} requests */
export function addRequests(requests) {
  for (const request of requests) store.requests.set(request.id, request);
  const surplus = store.requests.size - MAX_REQUESTS;
  if (surplus > 0) {
    for (const id of [...store.requests.keys()].slice(0, surplus)) store.requests.delete(id);
  }
  if (requests.length) invalidate();
}

/** Forgets everything of an earlier start of the stack. */
export function reset() {
  store.requests.clear();
  store.calls = [];
  store.webhooks = { deliveries: [], events: [] };
  store.followedCall = null;
  invalidate();
}

/** @param {string | null} callId */
export function followCall(callId) {
  store.followedCall = callId;
  invalidate();
}

/**
 * Whether an object of this call is shown.
 *
 * @param {string | null | undefined} callId
 */
export const isFollowed = (callId) => store.followedCall === null || store.followedCall === callId;

/** @param {string} userId */
export const findUser = (userId) => store.stack?.users.find((user) => user.id === userId);

/** The name of a user. The stack names a user without a profile by the id. @param {string} userId */
export function nameOf(userId) {
  const name = findUser(userId)?.name ?? userId;
  return name === userId ? capitalize(name) : name;
}
