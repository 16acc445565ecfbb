// The steps of a request over time: the function, and its requests to DynamoDB and Stream.

import { h } from './dom.js';
import { formatMillis, words } from './format.js';
import { icon } from './parts.js';

/** @typedef {import('./types').StackRequest} StackRequest */
/** @typedef {import('./types').Step} Step */

const SERVICE_NAMES = { dynamodb: 'DynamoDB', stream: 'Stream' };

/** DynamoDB's error for a conditional write that it did not do. */
const CONDITION_NOT_MET = 'ConditionalCheckFailedException';

/** Steps of an axis, in milliseconds. */
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
const MAX_TICKS = 6;

/**
 * The end of the axis, and the distance of its marks.
 *
 * @param {number} millis
 */
function axisOf(millis) {
  const tick = TICKS.find((it) => millis / it <= MAX_TICKS) ?? Math.ceil(millis / MAX_TICKS);
  return { tick, end: Math.max(1, Math.ceil(millis / tick)) * tick };
}

/** @param {number} value */
const axisText = (value) => String(Math.round(value * 10) / 10);

/** @param {StackRequest} request */
export function waterfall(request) {
  const ends = request.steps.map(({ startMs, durationMs }) => startMs + durationMs);
  const { tick, end } = axisOf(Math.max(request.durationMs ?? 0, ...ends, 0.1));
  const marks = Array.from({ length: Math.round(end / tick) + 1 }, (_, index) => index * tick);
  const percent = (/** @type {number} */ millis) => `${Math.min(100, (millis / end) * 100).toFixed(3)}%`;
  const span = (/** @type {number} */ start, /** @type {number} */ duration) => ({ '--start': percent(start), '--length': percent(duration) });
  const grid = { '--tick': `${(tick / end) * 100}%` };

  // A request of an app to Stream is itself a step.
  const ownRow =
    request.kind !== 'client' &&
    row(
      'function',
      'Function',
      request.function ?? 'gateway',
      request.isColdStart ? 'cold start' : '',
      [bar('function whole', span(0, request.durationMs ?? 0)), request.isColdStart && request.initMs ? bar('function start', span(0, request.initMs)) : null],
      request.durationMs,
    );
  return h(
    'div',
    { class: 'waterfall', vars: grid, role: 'table', 'aria-label': 'Steps' },
    h(
      'div',
      { class: 'axis', 'aria-hidden': 'true' },
      h('span', null, 'Step'),
      h('div', { class: 'axis-marks' }, marks.map((mark, index) => h('span', { class: index === 0 ? 'first' : index === marks.length - 1 ? 'last' : '', vars: { '--start': percent(mark) } }, `${axisText(mark)}${index === marks.length - 1 ? ' ms' : ''}`))),
      h('span', null),
    ),
    ownRow,
    request.steps.map((step) => stepRow(step, span(step.startMs, step.durationMs))),
  );
}

/**
 * @param {string} kind
 * @param {Record<string, string>} vars
 */
const bar = (kind, vars) => h('i', { class: `bar ${kind}`, vars });

/**
 * @param {Step} step
 * @param {Record<string, string>} vars
 */
function stepRow(step, vars) {
  const { service, operation, purpose, status, error, isFault, durationMs } = step;
  // A condition that is not met is an answer, which the function expects.
  const isUnmet = error === CONDITION_NOT_MET;
  const isBad = !isUnmet && (Boolean(error) || (status !== null && status >= 400));
  const notes = [
    purpose && words(purpose),
    isUnmet && 'condition not met',
    isBad && h('span', { class: 'bad' }, error?.replace(/Exception$/, '') ?? String(status)),
    isFault && h('span', { class: 'warn fault-note' }, icon('bolt'), 'fault'),
  ].filter(Boolean);
  const note = notes.flatMap((part, index) => (index ? [' · ', part] : [part]));
  return row(service, SERVICE_NAMES[service], operation, note, [bar(`${service} ${isBad ? 'failed' : isUnmet ? 'unmet' : ''}`, vars)], durationMs);
}

/**
 * @param {string} kind
 * @param {string} service
 * @param {string} operation
 * @param {import('./types').Child} note
 * @param {import('./types').Child} bars
 * @param {number | null} millis
 */
const row = (kind, service, operation, note, bars, millis) =>
  h(
    'div',
    { class: 'step', role: 'row' },
    h(
      'span',
      { class: 'step-name', role: 'cell' },
      h('i', { class: `square ${kind}`, 'aria-hidden': 'true' }),
      h('span', { class: 'cut' }, h('span', { class: 'quiet' }, service), ' ', operation, ' ', h('span', { class: 'quiet small-text' }, note)),
    ),
    h('span', { class: 'lane', 'aria-hidden': 'true' }, bars),
    h('b', { role: 'cell' }, formatMillis(millis)),
  );
