// Two phones side by side.

import { onAction } from './actions.js';
import { byId, h, render } from './dom.js';
import { formatMillis, formatSeconds, formatTime } from './format.js';
import { NETWORKS } from './network.js';
import { avatar, callTag, hueOf, icon } from './parts.js';
import { otherPhone, phones } from './phone.js';
import { shortPath } from './request_words.js';
import { stackNow } from './stack_clock.js';
import { addView, invalidate, nameOf, store } from './store.js';

/** @typedef {import('./phone.js').Phone} Phone */
/** @typedef {import('./phone_call.js').PhoneCall} PhoneCall */
/** @typedef {import('./network.js').NetworkName} NetworkName */
/** @typedef {import('./types').Child} Child */

/** A silhouette in place of a camera: no media flows. @param {string} id */
const silhouette = (id) =>
  h(
    'svg',
    { class: 'camera', viewBox: '0 0 192 252', preserveAspectRatio: 'xMidYMid slice', 'aria-hidden': 'true' },
    h('defs', null, h('linearGradient', { id, x1: '0', y1: '0', x2: '.4', y2: '1' }, h('stop', { offset: '0', class: 'stop-light' }), h('stop', { offset: '1', class: 'stop-deep' }))),
    h('rect', { width: '192', height: '252', fill: `url(#${id})` }),
    h('circle', { cx: '150', cy: '40', r: '70', class: 'glow' }),
    h('circle', { cx: '20', cy: '214', r: '90', class: 'shade' }),
    h('g', { class: 'person' }, h('circle', { cx: '96', cy: '112', r: '36' }), h('path', { d: 'M22 262c2-66 32-98 74-98s72 32 74 98z' })),
  );

const BARS = /** @type {Record<NetworkName, number>} */ ({ good: 3, fair: 2, poor: 1, off: 0 });

/** @param {NetworkName} name */
function signal(name) {
  const bars = [1, 2, 3].map((bar) =>
    h('rect', { x: bar * 4 - 3, y: 10 - bar * 3, width: '3', height: bar * 3, rx: '.8', class: bar <= BARS[name] ? 'lit' : 'unlit' }),
  );
  return h('svg', { class: 'signal', viewBox: '0 0 14 11', 'aria-hidden': 'true' }, bars, name === 'off' && h('path', { d: 'm2 1 10 9', class: 'slash' }));
}

/** @param {Phone} phone */
function statusOf(phone) {
  const { call } = phone;
  if (phone.network === 'off') return 'no network';
  if (!store.isReachable) return 'no stack';
  if (phone.state !== 'online') return phone.state === 'offline' ? 'offline' : 'connecting';
  switch (call?.phase) {
    case 'dialing':
    case 'calling':
      return 'calling';
    case 'incoming':
      return 'ringing';
    case 'joining':
      return 'joining';
    case 'active':
      return call.isTalking ? 'in the call' : 'waiting';
    case 'ending':
      return 'hanging up';
    default:
      return 'online';
  }
}

/**
 * A round button of the call screen, with its word below.
 *
 * @param {object} button
 * @param {string} button.action
 * @param {string} button.kind
 * @param {string} button.symbol
 * @param {string} button.label
 * @param {string} button.name
 * @param {Phone} button.phone
 * @param {boolean} [button.isDisabled]
 */
const roundButton = ({ action, kind, symbol, label, name, phone, isDisabled = false }) =>
  h(
    'button',
    { class: `round ${kind}`, 'data-action': action, 'data-phone': phone.slot, 'data-key': action, 'aria-label': name, disabled: isDisabled },
    h('span', { class: 'round-face' }, icon(symbol)),
    h('span', { 'aria-hidden': 'true' }, label),
  );

/** @param {Phone} phone */
const statusBar = (phone) =>
  h('div', { class: 'status-bar' }, h('span', { 'aria-hidden': 'true' }, formatTime(stackNow()).slice(0, 5)), h('span', { class: 'status-signal' }, signal(phone.network)));

/** @param {Phone} phone */
function whyNotReady({ network, userId }) {
  const { stack } = store;
  if (network === 'off') return 'No network';
  if (stack && !stack.addresses.stream) return 'The phones need the emulator of Stream';
  if (stack && !stack.users.some(({ id }) => id === userId)) return 'No session token of a user';
  return 'Connecting…';
}

/** @param {Phone} phone */
function idleStage(phone) {
  const other = otherPhone(phone).userId;
  const { call } = phone;
  const isReady = phone.state === 'online' && store.isReachable && other !== phone.userId;
  const word = call?.result || (isReady ? `Ready to call ${nameOf(other)}` : whyNotReady(phone));
  return h(
    'div',
    { class: `stage calm ${hueOf(other)}`, 'data-key': 'calm' },
    statusBar(phone),
    avatar(other, 'large'),
    h('div', { class: 'who' }, nameOf(other)),
    h('div', { class: 'what', role: 'status' }, word),
    h('div', { class: 'round-row' }, roundButton({ action: 'dial', kind: 'go', symbol: 'video', label: 'Call', name: `Call ${nameOf(other)} as ${nameOf(phone.userId)}`, phone, isDisabled: !isReady })),
  );
}

/**
 * @param {Phone} phone
 * @param {PhoneCall} call
 */
function ringStage(phone, call) {
  const name = nameOf(phone.userId);
  const isIncoming = call.phase === 'incoming';
  const what = isIncoming ? 'Incoming video call' : call.phase === 'dialing' ? 'Calling…' : ['Ringing… ', h('span', { class: 'timer' }, formatSeconds(call.ringSeconds))];
  const buttons = isIncoming
    ? [
        roundButton({ action: 'decline', kind: 'stop', symbol: 'hang', label: 'Decline', name: `Decline as ${name}`, phone }),
        roundButton({ action: 'busy', kind: 'plain', symbol: 'busy', label: 'Busy', name: `Reject as busy as ${name}`, phone }),
        roundButton({ action: 'accept', kind: 'go', symbol: 'call', label: 'Accept', name: `Accept as ${name}`, phone }),
      ]
    : roundButton({ action: 'cancel', kind: 'stop', symbol: 'hang', label: 'Cancel', name: `Cancel the call as ${name}`, phone, isDisabled: call.phase === 'dialing' });
  return h(
    'div',
    { class: `stage ringing ${hueOf(call.other)}`, 'data-key': 'ringing' },
    statusBar(phone),
    avatar(call.other, 'large'),
    h('div', { class: 'who' }, nameOf(call.other)),
    h('div', { class: 'what' }, what),
    h('div', { class: `round-row ${isIncoming ? 'three' : ''}` }, buttons),
  );
}

/**
 * @param {Phone} phone
 * @param {PhoneCall} call
 */
function activeStage(phone, call) {
  const name = nameOf(phone.userId);
  const isBusy = call.phase === 'ending' || call.phase === 'joining';
  const hang = roundButton({ action: 'hang-up', kind: 'stop', symbol: 'hang', label: 'Hang up', name: `Hang up as ${name}`, phone, isDisabled: isBusy });
  if (call.phase === 'open') {
    return h(
      'div',
      { class: `stage calm ${hueOf(call.other)}`, 'data-key': 'open' },
      statusBar(phone),
      avatar(call.other, 'large'),
      h('div', { class: 'who' }, nameOf(call.other)),
      h('div', { class: 'what', role: 'status' }, 'The call goes on without you'),
      h('div', { class: 'round-row' }, hang, roundButton({ action: 'rejoin', kind: 'go', symbol: 'call', label: 'Join', name: `Join again as ${name}`, phone })),
    );
  }
  const isWeak = phone.network === 'poor';
  return h(
    'div',
    { class: `stage active ${hueOf(call.other)} ${isWeak ? 'weak' : ''}`, 'data-key': 'active' },
    silhouette(`other-${phone.slot}`),
    statusBar(phone),
    h(
      'div',
      { class: 'tag' },
      nameOf(call.other),
      h('small', call.isTalking ? { class: 'timer' } : { role: 'status' }, call.isTalking ? formatSeconds(call.talkSeconds) : call.phase === 'joining' ? 'joining…' : 'not in the call'),
    ),
    h('div', { class: `self ${hueOf(phone.userId)}`, 'data-key': 'self' }, silhouette(`own-${phone.slot}`)),
    isWeak && h('div', { class: 'weak-note' }, 'Weak connection'),
    h('div', { class: 'round-row' }, roundButton({ action: 'leave', kind: 'plain', symbol: 'leave', label: 'Leave', name: `Leave as ${name}, the call goes on`, phone, isDisabled: isBusy }), hang),
  );
}

/** @param {Phone} phone */
function stage(phone) {
  const { call } = phone;
  switch (call?.phase) {
    case 'dialing':
    case 'calling':
    case 'incoming':
      return ringStage(phone, call);
    case 'joining':
    case 'active':
    case 'ending':
    case 'open':
      return activeStage(phone, call);
    default:
      return idleStage(phone);
  }
}

/** @param {Phone} phone */
function chat(phone) {
  const name = nameOf(phone.userId);
  const isOpen = Boolean(phone.call && !phone.call.isOver && phone.call.channelId);
  const note = isOpen ? 'The chat of the call is open' : 'The chat opens with a call';
  return h(
    'div',
    { class: 'chat', 'data-key': 'chat' },
    h(
      'ol',
      { class: 'messages', role: 'log', 'aria-label': `Chat of ${name}` },
      phone.messages.length === 0 && h('li', { class: 'note', 'data-key': 'note' }, note),
      phone.messages.map((message) =>
        h(
          'li',
          { class: message.userId === phone.userId ? `own ${hueOf(phone.userId)}` : '', 'data-key': message.id },
          h('span', { class: 'unseen' }, `${nameOf(message.userId)}: `),
          message.text,
        ),
      ),
    ),
    h(
      'form',
      { class: 'say', 'data-submit': 'say', 'data-phone': phone.slot },
      h('input', { 'aria-label': `Message as ${name}`, placeholder: 'Message', autocomplete: 'off', name: 'text', disabled: !isOpen }),
      h('button', { 'aria-label': `Send as ${name}`, disabled: !isOpen }, icon('send')),
    ),
  );
}

/** @param {Phone} phone */
function networkChoice(phone) {
  const names = /** @type {NetworkName[]} */ (['good', 'fair', 'poor', 'off']);
  return h(
    'fieldset',
    { class: 'segments network', 'data-key': 'network' },
    h('legend', { class: 'unseen' }, `Network of ${nameOf(phone.userId)}, simulated`),
    names.map((name) => {
      const label = name === 'off' ? 'Off' : NETWORKS[name].label;
      const title = name === 'off' ? 'no network' : NETWORKS[name].describes;
      return h(
        'label',
        { title },
        h('input', { type: 'radio', class: 'unseen', name: `network-${phone.slot}`, value: name, checked: phone.network === name, 'data-change': 'network', 'data-phone': phone.slot }),
        label,
      );
    }),
  );
}

/** The last request of a phone. A press shows it in the list. @param {Phone} phone */
function lastRequest(phone) {
  const { lastRequest: last } = phone;
  if (!last) return h('div', { class: 'trace empty-trace', 'data-key': 'trace' }, 'no request yet');
  const isBad = last.status === null || last.status >= 400;
  return h(
    'button',
    {
      class: 'trace',
      'data-key': 'trace',
      'data-action': 'show-trace',
      'data-phone': phone.slot,
      'aria-label': `Last request of ${nameOf(phone.userId)}: ${last.method} ${last.path}, ${last.status ?? last.error}, ${formatMillis(last.millis)}. Show it.`,
    },
    icon('why'),
    h('span', { class: 'mono cut grow' }, shortPath(last.path, phone.call?.callId).replace(/\?.*$/, '')),
    h('span', { class: isBad ? 'bad' : '' }, last.status === null ? 'failed' : isBad ? last.status : formatMillis(last.millis)),
  );
}

/** @param {Phone} phone */
function phoneView(phone) {
  const users = (store.stack?.users ?? []).filter(({ role }) => role !== 'service');
  const status = statusOf(phone);
  return h(
    'section',
    { class: 'phone', 'data-key': phone.slot, 'aria-label': `Phone of ${nameOf(phone.userId)}` },
    h(
      'div',
      { class: 'phone-head' },
      avatar(phone.userId),
      h(
        'label',
        { class: 'user-choice' },
        h('span', { class: 'unseen' }, `User of the ${phone.slot} phone`),
        h(
          'select',
          { 'data-change': 'phone-user', 'data-phone': phone.slot },
          users.map((user) => h('option', { value: user.id, 'data-key': user.id, selected: user.id === phone.userId, disabled: user.id === otherPhone(phone).userId }, nameOf(user.id))),
        ),
        icon('down'),
      ),
      h('span', { class: `phone-status small-text ${status === 'online' || status === 'in the call' ? 'ok' : 'quiet'}`, role: 'status' }, status),
    ),
    h('div', { class: 'frame' }, stage(phone), chat(phone)),
    networkChoice(phone),
    lastRequest(phone),
    phone.problem && h('p', { class: 'problem', role: 'alert', 'data-key': 'problem' }, icon('warn'), h('span', null, phone.problem)),
  );
}

/** The number of messages and the height that each list had, so that the last one stays visible. @type {WeakMap<Element, string>} */
const shownMessages = new WeakMap();

function view() {
  const call = phones.map((phone) => phone.call).find((it) => it?.callId);
  render(byId('phones-note'), call ? ['call ', callTag(call.callId)] : 'each press sends real requests');
  render(byId('phone-pair'), phones.map(phoneView));
  for (const phone of phones) {
    const root = document.querySelector(`[data-key=${phone.slot}]`);
    const select = root?.querySelector('select');
    if (select && select !== document.activeElement) select.value = phone.userId;
    const radio = root?.querySelector(`input[value=${phone.network}]`);
    if (radio instanceof HTMLInputElement) radio.checked = true;
  }
  for (const list of byId('phone-pair').querySelectorAll('.messages')) {
    const shown = `${list.childElementCount} ${list.clientHeight}`;
    if (shownMessages.get(list) !== shown) list.scrollTop = list.scrollHeight;
    shownMessages.set(list, shown);
  }
}

/** @param {HTMLElement} element */
const phoneOf = ({ dataset }) => /** @type {Phone} */ (phones.find(({ slot }) => slot === dataset.phone));

/** @param {(phone: Phone) => void} showTrace */
export function startPhoneViews(showTrace) {
  addView(view);
  onAction('dial', (element) => void phoneOf(element).dial(otherPhone(phoneOf(element)).userId));
  /** @type {[string, (call: PhoneCall) => Promise<unknown>][]} */
  const callActions = [
    ['accept', (call) => call.accept()],
    ['decline', (call) => call.reject('decline')],
    ['busy', (call) => call.reject('busy')],
    ['cancel', (call) => call.cancel()],
    ['hang-up', (call) => call.hangUp()],
    ['leave', (call) => call.leave()],
    ['rejoin', (call) => call.rejoin()],
  ];
  for (const [name, act] of callActions) {
    onAction(name, (element) => {
      const phone = phoneOf(element);
      phone.problem = '';
      if (phone.call) void act(phone.call);
    });
  }
  onAction('say', (form) => {
    const input = form.querySelector('input');
    const text = input?.value.trim();
    if (!input || !text) return;
    input.value = '';
    void phoneOf(form)
      .say(text)
      .then((isSent) => {
        if (!isSent && !input.value) input.value = text;
      });
  });
  onAction('network', (input) => phoneOf(input).setNetwork(/** @type {NetworkName} */ (/** @type {HTMLInputElement} */ (input).value)));
  onAction('phone-user', (select) => {
    phoneOf(select).setUser(/** @type {HTMLSelectElement} */ (select).value);
    invalidate();
  });
  onAction('show-trace', (element) => showTrace(phoneOf(element)));
}
