// The clock of the stack, which runs with that of this machine until it is moved.

let offsetMillis = 0;
let newestMillis = 0;

/**
 * Sets the clock, unless a newer response was there first.
 *
 * @param {string} now the time of the stack in a response that has just arrived
 * @returns {boolean} whether this response is the newest one
 */
export function setStackTime(now) {
  const time = Date.parse(now);
  if (!(time >= newestMillis)) return false;
  newestMillis = time;
  offsetMillis = time - Date.now();
  return true;
}

/** Another start of the stack has another clock. */
export function resetStackTime() {
  newestMillis = 0;
}

/** The time of the stack, in milliseconds since the Unix epoch. */
export const stackNow = () => Date.now() + offsetMillis;

/**
 * Seconds from now until a time of the stack; negative if it has passed.
 *
 * @param {string} time
 */
export const secondsUntil = (time) => (Date.parse(time) - stackNow()) / 1_000;
