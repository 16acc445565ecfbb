// The head of the page: health, addresses, the clock, webhooks, faults, and what went wrong.

import { onAction } from './actions.js';
import { addFault, advanceClock, clearFaults, dropWebhooks, sweep } from './control_api.js';
import { byId, h, render } from './dom.js';
import { FAULT_PRESETS, describeFault } from './faults.js';
import { formatSpan, formatTime, plural } from './format.js';
import { refreshAll } from './live.js';
import { notify } from './notices.js';
import { callTag, icon } from './parts.js';
import { flushReporters } from './phone.js';
import { setStackTime, stackNow } from './stack_clock.js';
import { addView, followCall, store } from './store.js';

/** An offset below this is the delay of a response. */
const MIN_AHEAD_SECONDS = 5;

/** @param {string | null} url */
const port = (url) => (url ? new URL(url).port || '80' : '–');

function renderHealth() {
  const isUp = store.stack !== null && store.isReachable;
  const word = isUp ? 'Running' : store.stack || !store.isReachable ? 'Not running' : 'Connecting';
  const kind = isUp ? 'ok' : store.isReachable ? 'waiting' : 'bad';
  render(byId('health'), h('span', { class: `lamp ${kind}`, 'aria-hidden': 'true' }), h('b', null, word));
  const { stack } = store;
  const address = (/** @type {string} */ name, /** @type {string | null} */ url) =>
    h('span', { class: 'address', title: url ?? 'not part of this stack' }, `${name} `, h('code', null, `:${port(url)}`));
  render(
    byId('addresses'),
    stack && [
      address('API', stack.addresses.api),
      address('DynamoDB', stack.addresses.dynamodb),
      stack.streamIsEmulated
        ? address('Stream', stack.addresses.stream)
        : h('span', { class: 'address warn' }, 'a real Stream app'),
    ],
  );
}

function renderClock() {
  const ahead = store.stack ? Math.round((stackNow() - Date.now()) / 1_000) : 0;
  const isAhead = ahead >= MIN_AHEAD_SECONDS;
  render(
    byId('clock'),
    h('b', null, store.stack ? formatTime(stackNow()) : '––:––:––'),
    h('span', { class: isAhead ? 'warn' : 'quiet' }, isAhead ? `UTC, ${formatSpan(ahead)} ahead` : 'UTC'),
  );
}

function renderSwitch() {
  const isOn = !store.stack?.webhooks.dropAll;
  const element = byId('webhooks-switch');
  element.setAttribute('aria-checked', String(isOn));
  byId('webhooks-word').textContent = isOn ? 'on' : 'lost';
}

function renderFaults() {
  const faults = store.stack?.faults ?? [];
  render(byId('fault-count'), faults.length ? h('span', { class: 'count' }, faults.length, h('span', { class: 'unseen' }, ' active')) : null);
  render(
    byId('fault-menu'),
    h('h3', null, 'Make a service fail'),
    h('p', { class: 'quiet small-text' }, 'The next matching requests of the functions fail. Then all is as before.'),
    h(
      'ul',
      { class: 'fault-presets' },
      FAULT_PRESETS.map(({ title, detail }, index) =>
        h('li', null, h('button', { class: 'preset', 'data-action': 'fault', 'data-index': index }, icon('bolt'), h('span', null, h('b', null, title), h('span', { class: 'quiet small-text' }, detail)))),
      ),
    ),
    customFault(),
    h('h3', null, 'Active'),
    faults.length
      ? h('ul', { class: 'active-faults' }, faults.map((fault) => h('li', null, icon('bolt', 'warn'), h('span', null, describeFault(fault)))))
      : h('p', { class: 'quiet small-text' }, 'No fault is active.'),
    h('button', { class: 'button small', 'data-action': 'clear-faults', disabled: !faults.length }, 'Clear all faults'),
  );
}

const KINDS = [
  ['status 503', '503'],
  ['status 500', '500'],
  ['status 429', '429'],
  ['slow 2000', '2 s late'],
  ['refuse connection', 'no connection'],
  ['applied then lost', 'answer lost'],
];

function customFault() {
  const option = (/** @type {string[]} */ [value = '', label = value]) => h('option', { value }, label);
  return h(
    'form',
    { class: 'custom-fault', 'data-submit': 'custom-fault' },
    h('label', null, h('span', null, 'Service'), h('select', { class: 'field', name: 'service' }, [['stream', 'Stream'], ['dynamodb', 'DynamoDB']].map(option))),
    h('label', null, h('span', null, 'Operation'), h('input', { class: 'field', name: 'operation', placeholder: 'any', autocomplete: 'off', spellcheck: 'false' })),
    h('label', null, h('span', null, 'Fault'), h('select', { class: 'field', name: 'kind' }, KINDS.map(option))),
    h('label', null, h('span', null, 'Times'), h('input', { class: 'field', name: 'times', type: 'number', min: '1', max: '1000', value: '1' })),
    h('button', { class: 'button small' }, 'Add'),
  );
}

function renderBanner() {
  const { followedCall } = store;
  render(
    byId('banner'),
    !store.isReachable &&
      h('div', { class: 'banner bad', role: 'alert', 'data-key': 'down' }, icon('warn'), h('span', null, h('b', null, 'The stack is not running. '), 'Start it with ', h('code', null, 'cargo run -p local'), '. The page continues by itself.')),
    followedCall !== null &&
      h('div', { class: 'banner', 'data-key': 'follow' }, icon('why'), h('span', null, 'All panels show the call '), callTag(followedCall), h('button', { class: 'button small', 'data-action': 'unfollow' }, 'Show all calls')),
  );
  document.documentElement.classList.toggle('is-down', !store.isReachable);
}

/**
 * @param {() => Promise<string>} action returns what to say
 */
async function perform(action) {
  try {
    notify(await action());
  } catch (error) {
    notify(error instanceof TypeError ? 'The stack is not running.' : /** @type {Error} */ (error).message, 'error');
  }
  await refreshAll();
}

/** Words for what a sweep did. @param {Record<string, unknown>} summary */
function describeSweep(summary) {
  const count = (/** @type {string} */ name) => {
    const value = summary[name];
    // Ended calls are counted by their reason.
    const values = value && typeof value === 'object' ? Object.values(value) : [value];
    return values.reduce((sum, it) => sum + (typeof it === 'number' ? it : 0), 0);
  };
  const parts = ['ended', 'cleaned', 'settled'].filter((name) => count(name)).map((name) => `${plural(count(name), 'call')} ${name}`);
  return `Swept: ${parts.join(', ') || 'nothing was due'}.`;
}

export function startHeader() {
  for (const view of [renderHealth, renderClock, renderSwitch, renderFaults, renderBanner]) addView(view);
  onAction('clock', ({ dataset }) =>
    perform(async () => {
      await flushReporters();
      const { now } = await advanceClock(Number(dataset.seconds));
      setStackTime(now);
      return `The clock is ${formatSpan(Number(dataset.seconds))} ahead of before. All that was due has happened.`;
    }),
  );
  onAction('webhooks', () =>
    perform(async () => {
      const dropAll = !store.stack?.webhooks.dropAll;
      await dropWebhooks(dropAll);
      return dropAll ? 'Webhooks are lost from now on: only the sweeper learns what happens.' : 'Webhooks arrive again.';
    }),
  );
  onAction('fault', ({ dataset }) =>
    perform(async () => {
      const preset = FAULT_PRESETS[Number(dataset.index)];
      if (!preset) return '';
      await addFault(preset.fault);
      return `Fault added: ${describeFault(preset.fault)}`;
    }),
  );
  onAction('custom-fault', (form) =>
    perform(async () => {
      const data = new FormData(/** @type {HTMLFormElement} */ (form));
      const text = (/** @type {string} */ name) => String(data.get(name) ?? '').trim();
      const fault = { service: text('service'), operation: text('operation'), kind: text('kind'), times: Number(text('times')) };
      await addFault(fault);
      return `Fault added: ${describeFault(fault)}`;
    }),
  );
  onAction('clear-faults', () =>
    perform(async () => {
      await clearFaults();
      return 'All faults are cleared.';
    }),
  );
  onAction('sweep', () =>
    perform(async () => {
      const { summary } = await sweep();
      return describeSweep(/** @type {Record<string, unknown>} */ (summary ?? {}));
    }),
  );
  onAction('follow', ({ dataset }) => followCall(dataset.call === store.followedCall ? null : (dataset.call ?? null)));
  onAction('unfollow', () => followCall(null));
  // A menu closes by a press elsewhere, and by Escape.
  document.addEventListener('click', ({ target }) => {
    const menu = /** @type {HTMLDetailsElement} */ (byId('faults'));
    if (menu.open && target instanceof Node && !menu.contains(target)) menu.open = false;
  });
}

