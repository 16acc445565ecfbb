// Short messages at the bottom of the page.

import { byId } from './dom.js';

const VISIBLE_MILLIS = 2_600;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * @param {string} text
 * @param {'info' | 'error'} [kind]
 */
export function notify(text, kind = 'info') {
  const toast = byId('toast');
  toast.textContent = text;
  toast.className = `toast visible ${kind}`;
  clearTimeout(timer);
  timer = setTimeout(() => toast.classList.remove('visible'), VISIBLE_MILLIS * (kind === 'error' ? 2 : 1));
}

/**
 * Copies a text, also on a page without TLS, where browsers have no clipboard.
 *
 * @param {string} text
 * @param {string} done
 */
export async function copyText(text, done) {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyBySelection(text);
    notify(done);
  } catch {
    notify('The browser does not allow copying. Select the text instead.', 'error');
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'unseen';
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}
