// Webhooks with their attempts, and the events of the bus.

import { onAction } from './actions.js';
import { byId, h, render } from './dom.js';
import { formatMillis, formatSeconds, formatTime, plural } from './format.js';
import { callTag, emptyState, icon, tabButton } from './parts.js';
import { secondsUntil } from './stack_clock.js';
import { addView, invalidate, isFollowed, store } from './store.js';

/** @typedef {import('./types').Delivery} Delivery */
/** @typedef {import('./types').BusEvent} BusEvent */

const PAGE = 8;

/** @type {'deliveries' | 'events'} */
let tab = 'deliveries';
let rows = PAGE;
/** @type {string | null} */
let openEvent = null;

/** @param {Delivery} delivery */
function result({ attempts }) {
  const last = attempts[attempts.length - 1];
  if (!last) return { text: 'waiting', kind: 'quiet' };
  const count = attempts.filter(({ outcome }) => outcome !== 'pending').length;
  switch (last.outcome) {
    case 'delivered':
      return count > 1
        ? { text: `${last.status} at attempt ${count}`, kind: 'ok' }
        : { text: `${last.status} in ${formatMillis(last.durationMs)}`, kind: 'quiet' };
    case 'dropped':
      return { text: 'lost by the switch', kind: 'warn' };
    case 'pending':
      return { text: 'on its way', kind: 'quiet' };
    default: {
      const next = last.nextAt ? `, again in ${formatSeconds(secondsUntil(last.nextAt))}` : ', given up';
      return { text: `${last.status ?? 'no answer'}${next}`, kind: 'bad' };
    }
  }
}

const OUTCOME_WORDS = { delivered: 'delivered', failed: 'failed', dropped: 'lost', pending: 'to come' };

/** @param {Delivery} delivery */
function deliveryRow(delivery) {
  const { text, kind } = result(delivery);
  const next = delivery.attempts[delivery.attempts.length - 1]?.nextAt;
  const outcomes = [...delivery.attempts.map(({ outcome }) => outcome), ...(next ? /** @type {const} */ (['pending']) : [])];
  return h(
    'li',
    { class: 'delivery', 'data-key': delivery.id },
    h('span', { class: 'cell-time quiet small-text' }, formatTime(delivery.at)),
    h('span', { class: 'cell-type mono cut' }, delivery.type),
    h('span', { class: 'cell-call' }, callTag(delivery.callId)),
    h('span', { class: 'attempts', role: 'img', 'aria-label': `Attempts: ${outcomes.map((outcome) => OUTCOME_WORDS[outcome]).join(', ') || 'none yet'}` }, outcomes.slice(-6).map((outcome) => h('i', { class: outcome }))),
    h('span', { class: `cell-result small-text cut ${kind}` }, text),
  );
}

/** @param {BusEvent} event */
const eventKey = ({ at, type, callId }) => `${at} ${type} ${callId ?? ''}`;

/** @param {BusEvent} event */
function eventRow(event) {
  const key = eventKey(event);
  const isOpen = openEvent === key;
  return h(
    'li',
    { class: `bus-event ${isOpen ? 'open' : ''}`, 'data-key': key },
    h(
      'div',
      { class: 'bus-event-row' },
      icon('right', 'chevron'),
      h('span', { class: 'cell-time quiet small-text' }, formatTime(event.at)),
      h(
        'button',
        { class: 'cell-type mono row-button', 'data-action': 'open-event', 'data-value': key, 'aria-expanded': String(isOpen), 'aria-label': `Event ${event.type} at ${formatTime(event.at)}` },
        h('span', { class: 'cut' }, event.type),
      ),
      h('span', { class: 'cell-call' }, callTag(event.callId)),
    ),
    isOpen && h('pre', { class: 'body', tabindex: '0' }, JSON.stringify(event.detail, null, 2)),
  );
}

function view() {
  const deliveries = store.webhooks.deliveries.filter(({ callId }) => isFollowed(callId));
  const events = store.webhooks.events.filter(({ callId }) => isFollowed(callId));
  render(
    byId('webhook-tabs'),
    tabButton({ id: 'tab-deliveries', action: 'webhook-tab', value: 'deliveries', isSelected: tab === 'deliveries', controls: 'webhook-list' }, 'Deliveries'),
    tabButton({ id: 'tab-events', action: 'webhook-tab', value: 'events', isSelected: tab === 'events', controls: 'webhook-list' }, 'Our events'),
  );
  const undelivered = deliveries.filter(({ attempts }) => attempts[attempts.length - 1]?.outcome !== 'delivered').length;
  const isDropping = store.stack?.webhooks.dropAll;
  const note = byId('webhooks-note');
  note.classList.toggle('warn', Boolean(isDropping));
  note.textContent = isDropping ? 'Lost: no event reaches the functions' : tab === 'events' ? plural(events.length, 'event') : deliveries.length ? `${deliveries.length}${undelivered ? `, ${undelivered} not delivered` : ', all delivered'}` : '';
  const panel = byId('webhook-list');
  panel.setAttribute('aria-labelledby', `tab-${tab}`);
  const all = tab === 'events' ? events : deliveries;
  const newest = [...all].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, rows);
  render(
    panel,
    all.length === 0
      ? tab === 'events'
        ? emptyState('No event yet', 'The functions put an event on the bus when a call is created, answered, ended and settled.')
        : emptyState('No webhook yet', 'Stream reports each ring, join, leave and reject of a call here. Start a call on a phone.')
      : h('ol', { class: 'delivery-list', 'data-key': tab }, newest.map((item) => ('attempts' in item ? deliveryRow(item) : eventRow(item)))),
    all.length > rows && h('div', { class: 'more' }, h('button', { class: 'button small', 'data-action': 'older-webhooks' }, `Show ${Math.min(PAGE * 2, all.length - rows)} older`)),
  );
}

export function startWebhooks() {
  addView(view);
  onAction('webhook-tab', ({ dataset }) => {
    tab = dataset.value === 'events' ? 'events' : 'deliveries';
    rows = PAGE;
    invalidate();
  });
  onAction('open-event', ({ dataset }) => {
    openEvent = openEvent === dataset.value ? null : (dataset.value ?? null);
    invalidate();
  });
  onAction('older-webhooks', () => {
    rows += PAGE * 2;
    invalidate();
  });
}
