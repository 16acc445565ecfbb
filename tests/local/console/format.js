// Texts of times, durations, ids and people.

/** @param {number} value */
const twoDigits = (value) => String(value).padStart(2, '0');

/**
 * A duration in seconds: `0:42`, `12:08` or `3 h 59 min`.
 *
 * @param {number} seconds
 */
export function formatSeconds(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole >= 3_600) return `${Math.floor(whole / 3_600)} h ${twoDigits(Math.floor((whole % 3_600) / 60))} min`;
  return `${Math.floor(whole / 60)}:${twoDigits(whole % 60)}`;
}

/**
 * A duration in words, for what stays a while: `11 h 58 min`.
 *
 * @param {number} seconds
 */
export function formatSpan(seconds) {
  const minutes = Math.max(0, Math.floor(seconds / 60));
  if (minutes < 1) return `${Math.max(0, Math.round(seconds))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/**
 * @param {number | null | undefined} millis
 */
export function formatMillis(millis) {
  if (millis === null || millis === undefined) return '…';
  if (millis >= 10_000) return `${Math.round(millis / 1_000)} s`;
  if (millis >= 1_000) return `${(millis / 1_000).toFixed(1)} s`;
  return millis >= 10 ? `${Math.round(millis)} ms` : `${millis.toFixed(1).replace('.0', '')} ms`;
}

/**
 * The time of day in UTC, as in the logs: `22:46:29`.
 *
 * @param {string | number} time
 */
export function formatTime(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? '–' : date.toISOString().slice(11, 19);
}

/**
 * An id in the same short form in every panel.
 *
 * @param {string} id
 */
export function shortId(id) {
  if (id.length <= 14) return id;
  if (/^[0-9a-f-]{16,}$/i.test(id)) return id.slice(0, 8);
  return `${id.slice(0, 7)}…${id.slice(-5)}`;
}

/** @param {string} text */
export const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/**
 * @param {string} value
 */
export const words = (value) => value.replaceAll('_', ' ');

/**
 * Some characters for an id. `crypto.randomUUID` is missing on pages of a device's address without TLS.
 */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
