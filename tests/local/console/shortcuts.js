// Keys for people who look at many requests. They can be turned off, since a voice input may send them.

import { onAction } from './actions.js';
import { byId, h, render } from './dom.js';
import { requestKeys } from './requests_view.js';
import { followCall, store } from './store.js';

const KEYS = /** @type {const} */ ([
  ['J', 'next request', () => requestKeys.move(1)],
  ['K', 'previous request', () => requestKeys.move(-1)],
  ['Enter', 'open or close the request', null],
  ['R', 'send the request again', () => requestKeys.resend()],
  ['C', 'copy the request as curl', () => requestKeys.copy()],
  ['/', 'filter the requests; Enter goes to the first one', () => requestKeys.filter()],
  ['Esc', 'show all calls again', null],
  ['?', 'this help', () => openHelp()],
]);

const STORAGE_KEY = 'shortcuts';
const isEnabled = () => localStorage.getItem(STORAGE_KEY) !== 'off';

/** @returns {HTMLDialogElement} */
const dialog = () => /** @type {HTMLDialogElement} */ (byId('help'));

function openHelp() {
  render(
    dialog(),
    h('h2', { id: 'help-title' }, 'Keyboard'),
    h('dl', { class: 'keys' }, KEYS.map(([key, word]) => h('div', null, h('dt', null, h('kbd', null, key)), h('dd', null, word)))),
    h('label', { class: 'check' }, h('input', { type: 'checkbox', 'data-change': 'shortcuts', checked: isEnabled() }), 'Single keys are on'),
    h('button', { class: 'button', 'data-action': 'close-help' }, 'Close'),
  );
  if (!dialog().open) dialog().showModal();
}

/** @param {KeyboardEvent} event */
function press(event) {
  const { target } = event;
  if (event.key === 'Escape') {
    const menu = /** @type {HTMLDetailsElement} */ (byId('faults'));
    if (menu.open) {
      menu.open = false;
      menu.querySelector('summary')?.focus();
    } else if (target === byId('filter')) {
      byId('filter').blur();
    } else if (!dialog().open && store.followedCall) {
      followCall(null);
    }
    return;
  }
  const isTyping = target instanceof Element && target.matches('input:not([type=radio], [type=checkbox]), select, textarea');
  if (isTyping || dialog().open || event.ctrlKey || event.metaKey || event.altKey || !isEnabled()) return;
  const action = KEYS.find(([key]) => key.toLowerCase() === event.key.toLowerCase())?.[2];
  if (!action) return;
  event.preventDefault();
  action();
}

export function startShortcuts() {
  document.addEventListener('keydown', press);
  onAction('help', openHelp);
  onAction('close-help', () => dialog().close());
  onAction('shortcuts', (input) => {
    const isOn = /** @type {HTMLInputElement} */ (input).checked;
    if (isOn) localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, 'off');
  });
}
