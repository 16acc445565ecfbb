// The list of requests: live, filtered, with one request open.

import { onAction } from './actions.js';
import { resend } from './control_api.js';
import { toCurl } from './curl.js';
import { byId, h, render } from './dom.js';
import { formatMillis, formatTime, shortId } from './format.js';
import { copyText, notify } from './notices.js';
import { avatar, callTag, emptyState, icon, stateChip } from './parts.js';
import { requestDetail } from './request_detail.js';
import { GROUPS, actorOf, describe, eventOf, groupOf, hasFault, pathOf, resultOf, statusWord, timeByService } from './request_words.js';
import { addView, invalidate, isFollowed, store } from './store.js';

/** @typedef {import('./types').StackRequest} StackRequest */
/** @typedef {import('./request_words.js').GroupId} GroupId */
/** @typedef {import('./request_detail.js').DetailTab} DetailTab */
/** @typedef {{ matches: (request: StackRequest) => boolean, isFresh: boolean, until: number }} Awaited */

/** How long a request may take to appear. */
const AWAIT_MILLIS = 5_000;

/** How many rows a page of the list has. */
const PAGE = 18;

/** @type {GroupId[]} */
const HIDDEN_AT_FIRST = ['changes', 'page'];

const list = {
  filter: '',
  /** @type {Set<GroupId>} */
  hidden: new Set(HIDDEN_AT_FIRST),
  /** The requests at the time of the pause. @type {StackRequest[] | null} */
  paused: null,
  rows: PAGE,
  /** @type {string | null} */
  openId: null,
  /** @type {DetailTab} */
  tab: 'steps',
  /** A request that appears soon: one that is sent again, or the last one of a phone. @type {Awaited | null} */
  awaited: null,
  /** @type {string | null} */
  highlighted: null,
};

/** All requests, newest first. */
const newestFirst = () =>
  [...store.requests.values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || b.seq - a.seq);

/** @param {StackRequest} request */
function matches(request) {
  if (!isFollowed(request.callId)) return false;
  const terms = list.filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (!terms.length) return true;
  const { method, path, status, callId, user, caller, error, function: name } = request;
  const text = [method, path, status, callId, callId && shortId(callId), user, caller, actorOf(request).name, error?.code, name, statusWord(request)]
    .join(' ')
    .toLowerCase();
  return terms.every((term) => text.includes(term));
}

function visibleRequests() {
  return (list.paused ?? newestFirst()).filter((request) => !list.hidden.has(groupOf(request)) && matches(request));
}

/** @param {StackRequest} request */
function rowActor(request) {
  const { kind, id, name } = actorOf(request);
  const sign =
    kind === 'user'
      ? avatar(id)
      : kind === 'stream'
        ? h('span', { class: 'avatar sign-stream', 'aria-hidden': 'true' }, 'S')
        : kind === 'none'
          ? null
          : h('span', { class: 'avatar hue-none', 'aria-hidden': 'true' }, icon(kind === 'clock' ? 'clock' : 'again'));
  return h('span', { class: 'cell-by row small-text' }, sign, h('span', { class: 'cut' }, name));
}

/** @param {StackRequest} request */
function minibar(request) {
  const { own, dynamodb, stream } = timeByService(request);
  const total = request.durationMs ?? 0;
  // The longest bar stands for a quarter of a second: most requests are shorter.
  const scale = Math.max(total, 250);
  const part = (/** @type {string} */ kind, /** @type {number} */ millis) => millis > 0 && h('i', { class: kind, vars: { '--length': `${(millis / scale) * 100}%` } });
  return h('span', { class: 'minibar', 'aria-hidden': 'true' }, part('function', own), part('dynamodb', dynamodb), part('stream', stream));
}

/** @param {StackRequest} request */
function row(request) {
  const isOpen = list.openId === request.id;
  const result = resultOf(request);
  return h(
    'li',
    { 'data-key': request.id, class: `request ${isOpen ? 'open' : ''} ${list.highlighted === request.id ? 'fresh' : ''}` },
    h(
      'div',
      { class: 'request-row' },
      icon('right', 'chevron'),
      h('span', { class: 'cell-time quiet small-text' }, formatTime(request.at)),
      h('span', { class: 'cell-method' }, request.kind === 'schedule' || request.kind === 'tableStream' ? 'RUN' : request.method),
      h(
        'button',
        { class: 'cell-path mono row-button', 'data-action': 'open-request', 'data-id': request.id, 'aria-expanded': String(isOpen), 'aria-label': describe(request), title: request.path },
        request.kind === 'client' && h('span', { class: 'to-stream' }, '→'),
        h('span', { class: 'cut' }, eventOf(request) ? [h('span', { class: 'event-prefix' }, 'webhook '), eventOf(request)] : pathOf(request)),
      ),
      h('span', { class: 'cell-call' }, callTag(request.callId)),
      rowActor(request),
      h(
        'span',
        { class: `cell-status small-text ${result}` },
        h('b', null, request.status ?? (result === 'pending' ? '…' : result === 'ok' ? 'ok' : '–')),
        h('span', { class: 'cut' }, statusWord(request)),
        hasFault(request) && h('span', { class: 'warn', title: 'a step failed by an injected fault' }, icon('bolt')),
      ),
      h('span', { class: 'cell-duration small-text' }, request.isColdStart && h('span', { class: 'cold', title: 'cold start' }, 'cold'), formatMillis(request.durationMs), minibar(request)),
    ),
    isOpen && requestDetail(request, list.tab),
  );
}

/** Opens a request as soon as it is known. */
function openAwaited() {
  const { awaited } = list;
  if (!awaited) return;
  const found = newestFirst().find(awaited.matches);
  if (found) {
    list.awaited = null;
    if (awaited.isFresh) list.highlighted = found.id;
    openRequest(found.id);
  } else if (performance.now() > awaited.until) {
    list.awaited = null;
    notify('This request is no longer kept.', 'error');
  }
}

function view() {
  openAwaited();
  const requests = visibleRequests();
  const total = store.requests.size;
  const shown = requests.slice(0, list.rows);
  // An open request stays, however many follow it.
  const open = requests.find(({ id }) => id === list.openId);
  if (open && !shown.includes(open)) shown.push(open);
  render(
    byId('requests-note'),
    list.paused ? stateChip('ending', 'paused') : stateChip(store.isReachable ? 'active' : 'ended', store.isReachable ? 'live' : 'stopped'),
    h('span', { class: 'quiet small-text' }, `${shown.length} of ${total}`),
  );
  const pausedIds = new Set(list.paused?.map(({ id }) => id));
  const arrived = list.paused ? [...store.requests.keys()].filter((id) => !pausedIds.has(id)).length : 0;
  const pause = byId('pause');
  pause.setAttribute('aria-pressed', String(list.paused !== null));
  render(pause, icon(list.paused ? 'play' : 'pause'), list.paused ? `Continue${arrived > 0 ? ` · ${arrived} new` : ''}` : 'Pause');
  renderKinds();
  render(
    byId('request-list'),
    shown.map(row),
    shown.length === 0 && h('li', { class: 'empty-row', 'data-key': 'empty' }, total ? noMatch() : firstSteps()),
    requests.length > shown.length && h('li', { class: 'older', 'data-key': 'older' }, h('button', { class: 'button small', 'data-action': 'older' }, `Show ${Math.min(PAGE * 2, requests.length - shown.length)} older`)),
  );
  render(
    byId('request-legend'),
    h('span', { class: 'legend-keys' }, ['function', 'dynamodb', 'stream'].map((kind) => h('span', { class: 'share' }, h('i', { class: `square ${kind}`, 'aria-hidden': 'true' }), { function: 'our function', dynamodb: 'DynamoDB', stream: 'Stream' }[kind]))),
    h('span', { class: 'spacer' }),
    h('span', { class: 'key-hints', 'aria-hidden': 'true' }, [['J K', 'move'], ['Enter', 'open'], ['R', 'send again'], ['C', 'copy'], ['?', 'all keys']].map(([keys = '', word = '']) => h('span', null, keys.split(' ').map((key) => h('kbd', null, key)), word))),
  );
}

function renderKinds() {
  const all = newestFirst().filter(({ callId }) => isFollowed(callId));
  render(
    byId('kinds'),
    GROUPS.map(({ id, label }) =>
      h(
        'button',
        { class: 'kind', type: 'button', 'aria-pressed': String(!list.hidden.has(id)), 'data-action': 'kind', 'data-value': id, 'data-key': id },
        label,
        h('span', { class: 'kind-count' }, all.filter((request) => groupOf(request) === id).length),
      ),
    ),
  );
}

const firstSteps = () =>
  emptyState('No request yet', 'Press ', h('b', null, 'Call'), ' on a phone, or copy a token and send a request with curl or your app. Each request appears here with its steps.');

const noMatch = () =>
  emptyState('No request matches', h('button', { class: 'link', 'data-action': 'clear-filter' }, 'Show all requests'), ' again.');

/** Opens a request and shows it. @param {string} id */
export function openRequest(id) {
  const request = store.requests.get(id);
  if (!request) {
    notify('This request is no longer kept.', 'error');
    return;
  }
  if (!isFollowed(request.callId)) store.followedCall = null;
  if (!matches(request)) {
    list.filter = '';
    /** @type {HTMLInputElement} */ (byId('filter')).value = '';
  }
  list.hidden.delete(groupOf(request));
  if (list.paused && !list.paused.includes(request)) list.paused = null;
  list.openId = id;
  list.tab = 'steps';
  invalidate();
  requestAnimationFrame(() => requestAnimationFrame(() => focusRequest(id)));
}

/** @param {string} id */
function focusRequest(id) {
  const button = byId('request-list').querySelector(`[data-action=open-request][data-id="${CSS.escape(id)}"]`);
  if (!(button instanceof HTMLElement)) return;
  button.focus({ preventScroll: true });
  button.closest('.request')?.scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
}

/**
 * Shows the last request of a phone. One to Stream has no id in its response, so it is found by its path.
 *
 * @param {import('./phone.js').Phone} phone
 */
export function showLastRequest({ lastRequest, userId }) {
  if (!lastRequest) return;
  const { id, method, path } = lastRequest;
  const bare = path.split('?')[0];
  openWhenKnown(
    (it) => (id ? it.id === id : it.kind === 'client' && it.caller === userId && it.method === method && it.path.split('?')[0] === bare),
    false,
  );
}

/**
 * @param {Awaited['matches']} matches
 * @param {boolean} isFresh
 */
function openWhenKnown(matches, isFresh) {
  list.awaited = { matches, isFresh, until: performance.now() + AWAIT_MILLIS };
  invalidate();
}

/** @param {string} id */
async function sendAgain(id) {
  const request = store.requests.get(id);
  if (!request?.canResend) {
    notify('This request cannot be sent again.', 'error');
    return;
  }
  try {
    const sent = await resend(id);
    openWhenKnown((it) => it.id === sent.id, true);
    notify(`Sent again: ${request.method} ${pathOf(request)}`);
  } catch (error) {
    notify(/** @type {Error} */ (error).message, 'error');
  }
}

/** @param {string} id */
function copyCurl(id) {
  const request = store.requests.get(id);
  if (!request || !store.stack) return;
  void copyText(toCurl(request, store.stack.addresses), 'curl command copied. Set TOKEN to a token of the users first.');
}

/** The request that keys act on: the focused one, or the open one. */
function currentRequest() {
  const focused = document.activeElement?.closest('.request')?.getAttribute('data-key');
  return focused ?? list.openId;
}

/** What the keys do. */
export const requestKeys = {
  move(/** @type {1 | -1} */ step) {
    const buttons = /** @type {HTMLElement[]} */ ([...byId('request-list').querySelectorAll('.row-button')]);
    const current = document.activeElement?.closest('.request')?.querySelector('.row-button') ?? null;
    const index = buttons.indexOf(/** @type {HTMLElement} */ (current));
    const next = buttons[index === -1 ? 0 : Math.max(0, Math.min(buttons.length - 1, index + step))];
    next?.focus();
  },
  resend() {
    const id = currentRequest();
    if (id) void sendAgain(id);
    else notify('Choose a request first: J and K move to one.', 'error');
  },
  copy() {
    const id = currentRequest();
    if (id) copyCurl(id);
    else notify('Choose a request first: J and K move to one.', 'error');
  },
  filter() {
    byId('filter').focus();
  },
};

export function startRequests() {
  addView(view);
  onAction('open-request', ({ dataset }) => {
    list.openId = list.openId === dataset.id ? null : (dataset.id ?? null);
    list.highlighted = null;
    invalidate();
  });
  onAction('show-request', ({ dataset }) => openRequest(dataset.id ?? ''));
  onAction('detail-tab', ({ dataset }) => {
    list.tab = /** @type {DetailTab} */ (dataset.value);
    invalidate();
  });
  onAction('resend', ({ dataset }) => void sendAgain(dataset.id ?? ''));
  onAction('copy-curl', ({ dataset }) => copyCurl(dataset.id ?? ''));
  onAction('kind', ({ dataset }) => {
    const id = /** @type {GroupId} */ (dataset.value);
    if (!list.hidden.delete(id)) list.hidden.add(id);
    list.rows = PAGE;
    invalidate();
  });
  onAction('filter', () => {
    list.filter = /** @type {HTMLInputElement} */ (byId('filter')).value;
    list.rows = PAGE;
    invalidate();
  });
  onAction('filter-done', () => requestKeys.move(1));
  onAction('clear-filter', () => {
    list.filter = '';
    list.hidden = new Set(HIDDEN_AT_FIRST);
    store.followedCall = null;
    /** @type {HTMLInputElement} */ (byId('filter')).value = '';
    invalidate();
  });
  onAction('pause', () => {
    list.paused = list.paused ? null : newestFirst();
    invalidate();
  });
  onAction('older', () => {
    list.rows += PAGE * 2;
    invalidate();
  });
}
