// The users of the stack, with session tokens to copy.

import { onAction } from './actions.js';
import { byId, h, render } from './dom.js';
import { formatSpan } from './format.js';
import { copyText } from './notices.js';
import { avatar, emptyState, icon, tabButton } from './parts.js';
import { secondsUntil } from './stack_clock.js';
import { addView, findUser, invalidate, nameOf, store } from './store.js';

function view() {
  const users = store.stack?.users ?? [];
  const shown = findUser(store.shownUser) ?? users[0];
  render(
    byId('user-tabs'),
    users.map((user) =>
      tabButton(
        { id: `user-${user.id}`, action: 'show-user', value: user.id, isSelected: user === shown, controls: 'user-token' },
        avatar(user.id),
        user.role === 'service' ? 'Service' : nameOf(user.id),
      ),
    ),
  );
  const panel = byId('user-token');
  if (!shown) {
    render(
      panel,
      store.stack && emptyState('No tokens', 'This stack takes the tokens of your own login: sign in there, and send a request with its token.'),
    );
    return;
  }
  panel.setAttribute('aria-labelledby', `user-${shown.id}`);
  const left = secondsUntil(shown.expiresAt);
  const validity = left > 0 ? `valid for ${formatSpan(left)}` : 'expired by the clock of the stack';
  const role = shown.role === 'service' ? 'a backend that may act for other users' : 'role user';
  render(
    panel,
    h(
      'div',
      { class: 'token' },
      h('code', { class: 'cut' }, shown.token),
      h('button', { class: 'button small', 'data-action': 'copy-token', 'data-user': shown.id }, icon('copy'), 'Copy token'),
    ),
    h('p', { class: 'quiet small-text' }, `Session token of ${shown.id}, ${role}, ${validity}`),
  );
}

export function startUsers() {
  addView(view);
  onAction('show-user', ({ dataset }) => {
    store.shownUser = dataset.value ?? '';
    invalidate();
  });
  onAction('copy-token', ({ dataset }) => {
    const user = findUser(dataset.user ?? '');
    if (user) void copyText(user.token, `Token of ${nameOf(user.id)} copied: use it as TOKEN.`);
  });
}
