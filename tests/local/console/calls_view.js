// The calls of the table: state, presence, and when the sweeper is due.

import { onAction } from './actions.js';
import { byId, h, render } from './dom.js';
import { formatSeconds, formatTime, words } from './format.js';
import { avatar, callTag, emptyState, hueOf, icon, stateChip } from './parts.js';
import { secondsUntil, stackNow } from './stack_clock.js';
import { addView, invalidate, isFollowed, nameOf, store } from './store.js';

/** @typedef {import('./types').StackCall} StackCall */

/** A due time that is closer than this is marked. */
const SOON_SECONDS = 60;
const PAGE = 8;

let rows = PAGE;

/** @param {StackCall} call */
function answered(call) {
  if (call.answeredAt) {
    const seconds = (Date.parse(call.answeredAt) - Date.parse(call.createdAt)) / 1_000;
    return `after ${formatSeconds(seconds)}`;
  }
  if (call.status === 'ended' || call.status === 'ending') return 'no';
  return call.ringing ? 'ringing' : '–';
}

/** The talk time, which runs while two are in. @param {StackCall} call */
function talkSeconds(call) {
  if (call.talkSeconds !== null && call.talkSeconds !== undefined) return call.talkSeconds;
  return call.answeredAt ? overlap(call) : null;
}

/** Seconds in which at least two users are in, by the presence so far. @param {StackCall} call */
function overlap({ presence }) {
  const now = stackNow();
  const changes = presence.flatMap(({ user, from, to }) => [
    { at: Date.parse(from), user, change: 1 },
    { at: to ? Date.parse(to) : now, user, change: -1 },
  ]);
  changes.sort((a, b) => a.at - b.at || b.change - a.change);
  /** @type {Map<string, number>} */
  const inside = new Map();
  let since = 0;
  let sum = 0;
  for (const { at, user, change } of changes) {
    if (inside.size > 1) sum += at - since;
    const count = (inside.get(user) ?? 0) + change;
    if (count > 0) inside.set(user, count);
    else inside.delete(user);
    since = at;
  }
  return sum / 1_000;
}

/** @param {StackCall} call */
function state(call) {
  const isOver = call.status === 'ended' || call.status === 'ending';
  const reason = isOver ? call.endReason : call.ringing && !call.answeredAt ? 'ringing' : '';
  // `ended` is the reason of a request without one.
  const note = reason === 'ended' ? '' : reason;
  return h('span', { class: 'state' }, stateChip(call.status, call.status), note && h('span', { class: 'quiet small-text' }, words(note)));
}

/** @param {StackCall} call */
function due({ due: next }) {
  if (!next) return h('span', { class: 'quiet' }, '–');
  const seconds = secondsUntil(next.at);
  return h('span', { class: 'due', title: `due at ${formatTime(next.at)} UTC` }, h('b', { class: seconds < SOON_SECONDS ? 'warn' : '' }, seconds > 0 ? formatSeconds(seconds) : 'now'), ' ', h('span', { class: 'quiet' }, next.reason));
}

/** Who was in when: a line for each member, from the creation to the end. @param {StackCall} call */
function presence(call) {
  if (!call.presence.length) return null;
  const start = Date.parse(call.createdAt);
  const ends = call.presence.map(({ to }) => (to ? Date.parse(to) : stackNow()));
  const end = Math.max(...ends, call.endedAt ? Date.parse(call.endedAt) : stackNow(), start + 1_000);
  const percent = (/** @type {number} */ at) => `${(((at - start) / (end - start)) * 100).toFixed(2)}%`;
  const text = call.members
    .map((member) => {
      const spans = call.presence.filter(({ user }) => user === member).map(({ from, to }) => `${formatTime(from)} to ${to ? formatTime(to) : 'now'}`);
      return `${nameOf(member)} ${spans.length ? `in from ${spans.join(', ')}` : 'was not in'}`;
    })
    .join('; ');
  return h(
    'span',
    { class: 'presence', role: 'img', 'aria-label': text, title: text },
    call.members.map((member) =>
      h(
        'span',
        { class: `presence-line ${hueOf(member)}` },
        call.presence
          .filter(({ user }) => user === member)
          .map(({ from, to }) => h('i', { class: to ? '' : 'now', vars: { '--start': percent(Date.parse(from)), '--end': percent(to ? Date.parse(to) : end) } })),
      ),
    ),
  );
}

/** @param {StackCall} call */
function row(call) {
  const talk = talkSeconds(call);
  return h(
    'tr',
    { 'data-key': call.callId, class: store.followedCall === call.callId ? 'followed' : '' },
    h('td', { class: 'cell-id' }, callTag(call.callId)),
    h('td', { class: 'cell-state' }, state(call)),
    h(
      'td',
      { class: 'cell-members' },
      h('span', { class: 'row' }, h('span', { class: 'avatars' }, call.members.slice(0, 4).map((member) => avatar(member))), h('span', { class: 'small-text' }, call.members.map(nameOf).join(', '))),
    ),
    h('td', { class: 'cell-presence' }, presence(call)),
    h('td', { class: 'small-text', 'data-label': 'Answered' }, answered(call)),
    h('td', { class: 'cell-talk', 'data-label': 'Talk time' }, talk === null ? h('span', { class: 'quiet' }, '–') : formatSeconds(talk), call.settled && h('span', { class: 'settled', title: 'settled: the figures are final' }, icon('check'), h('span', { class: 'unseen' }, ' settled'))),
    h('td', { class: 'small-text', 'data-label': 'Due in' }, due(call)),
  );
}

function view() {
  const calls = store.calls.filter(({ callId }) => isFollowed(callId));
  const open = store.calls.filter(({ status }) => status !== 'ended').length;
  byId('calls-note').textContent = store.calls.length ? `${open} open of ${store.calls.length}` : '';
  const table = byId('call-table');
  if (!calls.length) {
    render(table, emptyState('No call yet', store.followedCall ? 'This call is no longer in the table.' : ['Press ', h('b', null, 'Call'), ' on a phone. The row shows who was in, and when the sweeper looks at the call.']));
    return;
  }
  const heads = ['Call', 'State', 'Members', 'In the call', 'Answered', 'Talk time', 'Due in'];
  render(
    table,
    h(
      'table',
      { class: 'calls' },
      h('thead', null, h('tr', null, heads.map((head) => h('th', { scope: 'col', class: head === 'Talk time' ? 'right' : head === 'In the call' ? 'cell-presence' : '' }, head)))),
      h('tbody', null, calls.slice(0, rows).map(row)),
    ),
    calls.length > rows && h('div', { class: 'more' }, h('button', { class: 'button small', 'data-action': 'older-calls' }, `Show ${Math.min(PAGE * 2, calls.length - rows)} older`)),
  );
}

export function startCalls() {
  addView(view);
  onAction('older-calls', () => {
    rows += PAGE * 2;
    invalidate();
  });
}
