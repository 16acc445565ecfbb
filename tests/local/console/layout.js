// On wide screens the picture of the quality moves to the third column, in the document as well as on
// the screen, so that the order of the keyboard is that of the eyes.

import { byId } from './dom.js';

const isWide = matchMedia('(min-width: 1840px)');

export function startLayout() {
  const place = () => document.querySelector(isWide.matches ? '.column-c' : '.column-a')?.append(byId('quality'));
  isWide.addEventListener('change', place);
  place();
}
