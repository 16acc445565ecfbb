// Small parts that every panel shows in the same way: icons, people, calls, states.

import { h } from './dom.js';
import { shortId } from './format.js';
import { nameOf, store } from './store.js';

/** @typedef {import('./types').Child} Child */

/**
 * @param {string} name of a symbol of index.html, without its prefix
 * @param {string} [className]
 */
export const icon = (name, className = '') =>
  h('svg', { class: `icon ${className}`, 'aria-hidden': 'true' }, h('use', { href: `#i-${name}` }));

/** The users who have a colour of their own. The other ones share the rest. */
const HUES = 6;
const FIXED_HUES = /** @type {Record<string, number>} */ ({ alice: 0, bob: 1, carol: 2, dave: 3, erin: 4 });

/** The class of a user's colour. @param {string} userId */
export function hueOf(userId) {
  const fixed = FIXED_HUES[userId];
  if (fixed !== undefined) return `hue-${fixed}`;
  let hash = 7;
  for (const character of userId) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 9_973;
  return `hue-${hash % HUES}`;
}

/**
 * The first letter of a user in the user's colour. The name stands beside it.
 *
 * @param {string} userId
 * @param {string} [className]
 */
export function avatar(userId, className = '') {
  const isService = store.stack?.users.some((user) => user.id === userId && user.role === 'service');
  const letter = isService ? 'S' : ([...nameOf(userId)][0] ?? '?').toUpperCase();
  return h('span', { class: `avatar ${isService ? 'hue-none' : hueOf(userId)} ${className}`, 'aria-hidden': 'true' }, letter);
}

/**
 * A call's id: the same in every panel. A press follows the call through all of them.
 *
 * @param {string | null | undefined} callId
 * @returns {Child}
 */
export function callTag(callId) {
  if (!callId) return null;
  const isFollowed = store.followedCall === callId;
  return h(
    'button',
    {
      class: 'call-tag',
      'data-action': 'follow',
      'data-call': callId,
      'aria-pressed': String(isFollowed),
      'aria-label': `Call ${shortId(callId)}: show only this call`,
      title: callId,
    },
    shortId(callId),
  );
}

/**
 * @param {string} name of a state's symbol
 * @param {...Child} children
 */
export const stateChip = (name, ...children) =>
  h('span', { class: `chip ${name}` }, h('svg', { class: 'dot', 'aria-hidden': 'true' }, h('use', { href: `#s-${name}` })), children);

/**
 * What a panel shows before it has anything.
 *
 * @param {string} title
 * @param {...Child} children
 */
export const emptyState = (title, ...children) =>
  h('div', { class: 'empty' }, h('p', { class: 'empty-title' }, title), h('p', null, children));

/**
 * A tab of a tab list.
 *
 * @param {object} tab
 * @param {string} tab.id
 * @param {string} tab.action
 * @param {string} tab.value
 * @param {boolean} tab.isSelected
 * @param {string} tab.controls
 * @param {...Child} children
 */
export const tabButton = ({ id, action, value, isSelected, controls }, ...children) =>
  h(
    'button',
    {
      role: 'tab',
      id,
      type: 'button',
      'aria-selected': String(isSelected),
      'aria-controls': controls,
      tabindex: isSelected ? '0' : '-1',
      'data-action': action,
      'data-value': value,
    },
    children,
  );
