// A body as text: JSON in lines and tinted, everything else as it is.

import { h } from './dom.js';

/** @typedef {import('./types').Child} Child */

/** Longer bodies are cut: a page with megabytes of nodes is slow. */
const MAX_CHARACTERS = 60_000;

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * @param {string | null} body
 * @param {string} nothing what an empty body is called
 */
export function bodyView(body, nothing) {
  if (!body) return h('p', { class: 'quiet small-text nothing' }, nothing);
  const { text, isJson } = prettify(body);
  const shown = text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}\n…` : text;
  return h('pre', { class: 'body', tabindex: '0' }, h('code', null, isJson ? tint(shown) : shown));
}

/** @param {string} body */
function prettify(body) {
  try {
    return { text: JSON.stringify(JSON.parse(body), null, 2), isJson: true };
  } catch {
    return { text: body, isJson: false };
  }
}

/** @param {string} text @returns {Child[]} */
function tint(text) {
  /** @type {Child[]} */
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(end, match.index));
    const [whole, string, colon] = match;
    if (string && colon) parts.push(h('span', { class: 'json-key' }, string), colon);
    else parts.push(h('span', { class: string ? 'json-string' : 'json-other' }, whole));
    end = match.index + whole.length;
  }
  parts.push(text.slice(end));
  return parts;
}
