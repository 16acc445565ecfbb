// Light, dark, or as the system has it.

import { byId } from './dom.js';
import { invalidate } from './store.js';

const systemIsDark = matchMedia('(prefers-color-scheme: dark)');

/** @returns {'auto' | 'light' | 'dark'} */
function storedTheme() {
  const theme = document.documentElement.dataset.theme;
  return theme === 'light' || theme === 'dark' ? theme : 'auto';
}

/** The theme that is visible. */
export function visibleTheme() {
  const theme = storedTheme();
  if (theme !== 'auto') return theme;
  return systemIsDark.matches ? 'dark' : 'light';
}

function check() {
  for (const input of byId('theme').querySelectorAll('input')) input.checked = input.value === storedTheme();
}

export function startTheme() {
  check();
  byId('theme').addEventListener('change', (event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.target);
    if (value === 'auto') {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem('theme');
    } else {
      document.documentElement.dataset.theme = value;
      localStorage.setItem('theme', value);
    }
    invalidate();
  });
  systemIsDark.addEventListener('change', invalidate);
}
