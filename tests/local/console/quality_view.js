// The quality picture of a call, as an app gets it from `GET /call/quality/{callId}`.

import { RequestError, sendAs } from './app_api.js';
import { byId, h, render } from './dom.js';
import { callTag, emptyState } from './parts.js';
import { PAGE_HEADER } from './request_words.js';
import { visibleTheme } from './theme.js';
import { addView, invalidate, store } from './store.js';

/** @typedef {import('./types').StackCall} StackCall */

/** A picture is read again at most this often: a user has 30 requests per minute. */
const MIN_INTERVAL_MILLIS = 6_000;
/** The function may return the same response for five seconds. */
const SETTLE_MILLIS = 1_200;
const MIN_WIDTH = 320;
const MAX_WIDTH = 1_600;

/**
 * @typedef {object} Picture
 * @property {string} key what it was made for: call, theme, width
 * @property {string} version of the data
 * @property {string} url
 * @property {string} text
 * @property {any} quality
 */

/** @type {Picture | null} */
let picture = null;
let problem = '';
let isLoading = false;
let loadedAt = -MIN_INTERVAL_MILLIS;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** The call whose picture is shown: the followed one, or the last one that has a session. */
function shownCall() {
  const { followedCall, calls } = store;
  if (followedCall) return calls.find(({ callId }) => callId === followedCall) ?? null;
  return calls.find(({ startedAt }) => startedAt) ?? null;
}

/** What the picture of a call depends on: its state, and the batches of samples so far. @param {StackCall} call */
function versionOf({ callId, status, endedAt }) {
  let batches = 0;
  for (const request of store.requests.values()) {
    if (request.callId === callId && request.function === 'quality-report' && request.status === 200) batches += 1;
  }
  return `${status === 'ending' ? 'ended' : status} ${endedAt ?? ''} ${batches}`;
}

/** A backend may read every call, and has no limit that a phone would miss. @param {StackCall} call */
function readerOf({ creator }) {
  return store.stack?.users.find(({ role }) => role === 'service')?.id ?? creator;
}

function width() {
  const available = Math.floor(byId('quality-picture').clientWidth);
  return Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, available - (available % 8)));
}

/**
 * @param {StackCall} call
 * @param {string} key
 * @param {string} version
 */
async function load(call, key, version) {
  isLoading = true;
  loadedAt = performance.now();
  const path = `/call/quality/${encodeURIComponent(call.callId)}`;
  const reader = readerOf(call);
  const headers = { [PAGE_HEADER]: 'picture' };
  try {
    const svg = await sendAs(reader, 'GET', `${path}?format=svg&width=${width()}&theme=${visibleTheme()}`, { headers });
    const { quality } = await sendAs(reader, 'GET', path, { headers });
    if (picture) URL.revokeObjectURL(picture.url);
    const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
    picture = { key, version, url, text: describe(svg), quality };
    problem = '';
  } catch (error) {
    problem = error instanceof RequestError ? error.message : 'The picture could not be read.';
    if (picture?.key !== key) picture = null;
    // Not again until something changes.
    failedFor = `${key} ${version}`;
  } finally {
    isLoading = false;
    invalidate();
  }
}

let failedFor = '';

/** The description that the picture has for screen readers. @param {string} svg */
function describe(svg) {
  const document = new DOMParser().parseFromString(svg, 'image/svg+xml');
  const title = document.querySelector('title')?.textContent ?? 'Quality of the call';
  const description = document.querySelector('desc')?.textContent ?? '';
  return `${title}. ${description}`.trim();
}

function view() {
  const call = shownCall();
  const panel = byId('quality-picture');
  render(byId('quality-call'), call && callTag(call.callId), scoreOf(call));
  if (!call) {
    render(panel, emptyState('No picture yet', store.followedCall ? 'No user has joined this call.' : 'Call, accept and talk: both phones report the samples of a simulated network, and the picture of the call appears.'));
    return;
  }
  const key = `${call.callId} ${visibleTheme()} ${width()}`;
  const version = versionOf(call);
  const isCurrent = picture?.key === key && picture.version === version;
  if (!isCurrent && !isLoading && failedFor !== `${key} ${version}`) {
    const wait = picture?.key === key || loadedAt < 0 ? loadedAt + MIN_INTERVAL_MILLIS - performance.now() : 0;
    clearTimeout(timer);
    timer = setTimeout(() => void load(call, key, version), Math.max(wait, SETTLE_MILLIS));
    // One timer for one version: the next view would start it again.
    isLoading = true;
  }
  const isShown = picture?.key.startsWith(`${call.callId} `);
  render(
    panel,
    isShown && picture
      ? h('img', { class: 'picture', src: picture.url, alt: picture.text })
      : problem
        ? h('p', { class: 'quiet small-text' }, problem)
        : h('p', { class: 'quiet small-text' }, 'The picture is being read…'),
  );
}

/** @param {StackCall | null} call */
function scoreOf(call) {
  const quality = picture?.quality;
  if (!call || !quality || quality.callId !== call.callId) return null;
  if (quality.score === null || quality.score === undefined) return h('span', { class: 'quiet small-text' }, 'no score yet: no samples');
  return h('span', { class: 'score', role: 'status' }, h('b', null, quality.score.toFixed(1)), ` ${quality.quality}`);
}

export function startQuality() {
  addView(view);
  addEventListener('resize', invalidate);
}
