// An opened request: what decided it, its steps, its logs, and its bodies.

import { h } from './dom.js';
import { formatMillis, formatTime, plural, shortId, words } from './format.js';
import { bodyView } from './json_view.js';
import { avatar, icon, tabButton } from './parts.js';
import { actorOf, pathOf, timeByService } from './request_words.js';
import { store } from './store.js';
import { waterfall } from './waterfall.js';

/** @typedef {import('./types').StackRequest} StackRequest */
/** @typedef {'steps' | 'logs' | 'body' | 'answer'} DetailTab */

/** How long after a request its effects are looked for. */
const EFFECT_MILLIS = 1_500;
const MAX_EFFECTS = 8;

/**
 * @param {StackRequest} request
 * @param {DetailTab} tab
 */
export function requestDetail(request, tab) {
  const panel = `panel-${request.id}`;
  /** @type {[DetailTab, string][]} */
  const tabs = [
    ['steps', 'Steps'],
    ['logs', request.logs.length ? `Logs ${request.logs.length}` : 'Logs'],
    ['body', 'Body'],
    ['answer', 'Answer'],
  ];
  return h(
    'div',
    { class: 'detail', 'data-key': 'detail' },
    h(
      'div',
      { class: 'detail-head' },
      h(
        'div',
        { class: 'segments', role: 'tablist', 'aria-label': 'Details' },
        tabs.map(([value, label]) => tabButton({ id: `tab-${value}-${request.id}`, action: 'detail-tab', value, isSelected: tab === value, controls: panel }, label)),
      ),
      h('span', { class: 'quiet small-text cut grow' }, summary(request), h('code', { title: request.id }, request.id)),
      h('button', { class: 'button small', 'data-action': 'copy-curl', 'data-id': request.id }, icon('copy'), 'Copy as curl'),
      h(
        'button',
        { class: 'button small primary', 'data-action': 'resend', 'data-id': request.id, disabled: !request.canResend, title: request.canResend ? '' : 'This request cannot be sent again' },
        icon('again'),
        'Send again',
      ),
    ),
    h('div', { class: 'detail-panel', role: 'tabpanel', id: panel, 'aria-labelledby': `tab-${tab}-${request.id}`, 'data-key': tab }, panelOf(request, tab)),
  );
}

/** @param {StackRequest} request */
function summary({ function: name, isColdStart, initMs, kind }) {
  if (kind === 'client') return 'the app’s own request to Stream · ';
  const start = isColdStart ? `cold start${initMs && initMs >= 1 ? ` ${formatMillis(initMs)}` : ''}` : 'warm';
  return name ? `${name} · ${start} · ` : 'no function · ';
}

/**
 * @param {StackRequest} request
 * @param {DetailTab} tab
 */
function panelOf(request, tab) {
  switch (tab) {
    case 'steps':
      return [decision(request), waterfall(request), shares(request), effects(request)];
    case 'logs':
      return logs(request);
    case 'body':
      return bodyView(request.request.body, 'The request had no body.');
    default:
      return [h('p', { class: 'quiet small-text answer-line' }, answerLine(request)), bodyView(request.response.body, 'The answer had no body.')];
  }
}

/** @param {StackRequest} request */
function answerLine({ status, response }) {
  const type = Object.entries(response.headers).find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  return [status === null ? 'No status' : `Status ${status}`, type].filter(Boolean).join(' · ');
}

/** @param {StackRequest} request */
function decision({ decision: text, error, resentFrom }) {
  const cause = error?.cause ?? error?.message;
  return [
    text && h('p', { class: 'decision' }, icon('why'), h('span', null, h('b', null, 'Decided: '), text)),
    !text && cause && h('p', { class: 'decision bad' }, icon('warn'), h('span', null, cause)),
    resentFrom && h('p', { class: 'decision quiet' }, icon('again'), h('span', null, 'Sent again from ', h('button', { class: 'link', 'data-action': 'show-request', 'data-id': resentFrom }, shortId(resentFrom)), '.')),
  ];
}

/** Where the time went. @param {StackRequest} request */
function shares(request) {
  const { own, dynamodb, stream } = timeByService(request);
  const total = own + dynamodb + stream;
  if (!total || request.kind === 'client') return null;
  const part = (/** @type {string} */ kind, /** @type {string} */ name, /** @type {number} */ millis) =>
    millis > 0 && h('span', { class: 'share' }, h('i', { class: `square ${kind}`, 'aria-hidden': 'true' }), `${name} ${formatMillis(millis)}`);
  return h(
    'p',
    { class: 'shares quiet small-text' },
    part('function', 'Function', own),
    part('dynamodb', 'DynamoDB', dynamodb),
    part('stream', 'Stream', stream),
    h('span', null, `${plural(request.steps.length, 'step')}`),
  );
}

/**
 * What followed in the same call within moments: webhooks, the other phone's requests, our events.
 *
 * @param {StackRequest} request
 */
function effects(request) {
  if (!request.callId || request.kind === 'webhook') return null;
  const from = Date.parse(request.at);
  const to = from + (request.durationMs ?? 0) + EFFECT_MILLIS;
  const isAfter = (/** @type {string} */ at) => Date.parse(at) >= from && Date.parse(at) <= to;
  const requests = [...store.requests.values()].filter((it) => it.id !== request.id && it.callId === request.callId && isAfter(it.at) && it.kind !== 'tableStream');
  const events = store.webhooks.events.filter((event) => event.callId === request.callId && isAfter(event.at));
  if (!requests.length && !events.length) return null;
  const items = [
    ...requests.map((it) => ({
      at: it.at,
      node: h(
        'button',
        { class: 'effect', 'data-action': 'show-request', 'data-id': it.id },
        effectIcon(it),
        it.kind === 'webhook' ? (it.caller ?? 'webhook') : `${it.method} ${pathOf(it)}`,
      ),
    })),
    ...events.map((event) => ({ at: event.at, node: h('span', { class: 'effect' }, h('i', { class: 'square function', 'aria-hidden': 'true' }), `event ${event.type}`) })),
  ].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  return h(
    'div',
    { class: 'effects' },
    h('h4', null, 'Next in this call'),
    h('ol', null, items.slice(0, MAX_EFFECTS).map(({ at, node }) => h('li', null, h('span', { class: 'quiet small-text' }, `+${formatMillis(Date.parse(at) - from)}`), node))),
  );
}

/** @param {StackRequest} request */
function effectIcon(request) {
  const { kind, id } = actorOf(request);
  return kind === 'user' ? avatar(id, 'tiny') : h('i', { class: `square ${kind === 'stream' ? 'stream' : 'function'}`, 'aria-hidden': 'true' });
}

/** @param {StackRequest} request */
function logs({ logs: lines, at }) {
  if (!lines.length) return h('p', { class: 'quiet small-text nothing' }, 'The function logged nothing.');
  return h(
    'ol',
    { class: 'logs' },
    lines.map(({ level, message, code, subject, cause }) =>
      h(
        'li',
        { class: `log ${level.toLowerCase()}` },
        h('span', { class: 'log-level' }, level),
        h('span', null, message, [code && words(code), subject].filter(Boolean).map((part) => h('span', { class: 'quiet' }, ` · ${part}`)), cause && h('span', { class: 'log-cause' }, cause)),
      ),
    ),
    h('li', { class: 'quiet small-text' }, `Request of ${formatTime(at)} UTC`),
  );
}
