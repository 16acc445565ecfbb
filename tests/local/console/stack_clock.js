// The clock of the stack, which runs with that of this machine until it is moved.

let offsetMillis = 0;

/** @param {string} now the time of the stack in a response that has just arrived */
export function setStackTime(now) {
  const time = Date.parse(now);
  if (!Number.isNaN(time)) offsetMillis = time - Date.now();
}

/** The time of the stack, in milliseconds since the Unix epoch. */
export const stackNow = () => Date.now() + offsetMillis;

/**
 * Seconds from now until a time of the stack; negative if it has passed.
 *
 * @param {string} time
 */
export const secondsUntil = (time) => (Date.parse(time) - stackNow()) / 1_000;
