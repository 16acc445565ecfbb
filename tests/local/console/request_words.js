// Words for a request: its kind, path, actor and result.

import { formatMillis, words } from './format.js';
import { nameOf } from './store.js';

/** @typedef {import('./types').StackRequest} StackRequest */

/** The groups of the list, with the kinds of requests that they contain. */
export const GROUPS = /** @type {const} */ ([
  { id: 'api', label: 'API', kinds: ['http'] },
  { id: 'stream', label: 'App → Stream', kinds: ['client'] },
  { id: 'webhooks', label: 'Webhooks', kinds: ['webhook'] },
  { id: 'runs', label: 'Sweeps', kinds: ['schedule'] },
  { id: 'changes', label: 'Change stream', kinds: ['tableStream'] },
  { id: 'page', label: 'This page', kinds: [] },
]);

/** The header of the requests with which the page itself reads, so that they do not hide those of the apps. */
export const PAGE_HEADER = 'x-console';

/** @typedef {(typeof GROUPS)[number]['id']} GroupId */

/** @param {StackRequest} request @returns {GroupId} */
export function groupOf({ kind, request }) {
  if (PAGE_HEADER in request.headers) return 'page';
  return GROUPS.find(({ kinds }) => /** @type {readonly string[]} */ (kinds).includes(kind))?.id ?? 'api';
}

/** The path without what all paths have in common, and without the call that stands beside it. @param {StackRequest} request */
export const pathOf = ({ path, callId, kind }) => shortPath(kind === 'client' ? path.replace(/^\/video(?=\/)/, '') : path, callId);

/**
 * @param {string} path
 * @param {string | null} [callId]
 */
export function shortPath(path, callId) {
  const short = path.replace(/^\/api\/(stream|v2)(?=\/)/, '');
  if (!callId) return short;
  return short.replace(`/default/${callId}`, '/…').replace(`/messaging/call-${callId}`, '/…').replace(`call-${callId}`, '…').replace(callId, '…');
}

/** The event of a webhook. @param {StackRequest} request */
export const eventOf = ({ kind, caller }) => (kind === 'webhook' ? caller : null);

/** Who sent it, and how that is shown. @param {StackRequest} request */
export function actorOf(request) {
  switch (request.kind) {
    case 'webhook':
      return { kind: 'stream', id: 'stream', name: 'Stream' };
    case 'schedule':
      return { kind: 'clock', id: 'timer', name: 'timer' };
    case 'tableStream':
      return { kind: 'table', id: 'table', name: 'table' };
    default: {
      const id = request.user ?? request.caller;
      return id ? { kind: 'user', id, name: nameOf(id) } : { kind: 'none', id: '', name: '–' };
    }
  }
}

/** The colour of the result. @param {StackRequest} request */
export function resultOf({ status, error, durationMs }) {
  if (durationMs === null && status === null) return 'pending';
  if (status === null) return error ? 'bad' : 'ok';
  if (status >= 400) return 'bad';
  return status === 202 ? 'warn' : 'ok';
}

/** A word beside the status, if the status alone does not say it. @param {StackRequest} request */
export function statusWord(request) {
  if (request.error?.code) return words(request.error.code);
  if (request.status === 202) return 'ending';
  if (resultOf(request) === 'pending') return 'running';
  return '';
}

/** Whether the emulator or the proxy made a step fail on request. @param {StackRequest} request */
export const hasFault = ({ steps }) => steps.some(({ isFault }) => isFault);

/** The row in words, for screen readers. @param {StackRequest} request */
export function describe(request) {
  const parts = [
    request.method,
    pathOf(request),
    eventOf(request),
    `by ${actorOf(request).name}`,
    `${request.status ?? ''} ${statusWord(request)}`.trim(),
    hasFault(request) ? 'with an injected fault' : '',
    formatMillis(request.durationMs),
  ];
  return parts.filter(Boolean).join(', ');
}

/** Milliseconds of a request by where they were spent. @param {StackRequest} request */
export function timeByService({ steps, durationMs, kind }) {
  const total = durationMs ?? 0;
  const sum = (/** @type {string} */ service) => unionOf(steps.filter((step) => step.service === service), total);
  const dynamodb = sum('dynamodb');
  const stream = kind === 'client' ? total : sum('stream');
  const own = kind === 'client' ? 0 : Math.max(0, total - unionOf(steps, total));
  return { own, dynamodb, stream };
}

/**
 * The time in which at least one of the steps runs: steps can be at the same time.
 *
 * @param {StackRequest['steps']} steps
 * @param {number} total
 */
function unionOf(steps, total) {
  const spans = steps
    .map(({ startMs, durationMs }) => [Math.max(0, startMs), Math.min(total, startMs + durationMs)])
    .sort(([a = 0], [b = 0]) => a - b);
  let end = 0;
  let sum = 0;
  for (const [from = 0, to = 0] of spans) {
    if (to > end) sum += to - Math.max(from, end);
    end = Math.max(end, to);
  }
  return sum;
}
