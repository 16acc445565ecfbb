/** Arithmetic on values that can be missing. The result is missing if every value is. */

type Values = readonly (number | undefined)[];

const known = (values: Values): number[] => values.filter((value): value is number => value !== undefined);

export function sum(values: Values): number | undefined {
  const numbers = known(values);
  return numbers.length > 0 ? numbers.reduce((a, b) => a + b) : undefined;
}

export function mean(values: Values): number | undefined {
  const total = sum(values);
  return total === undefined ? undefined : total / known(values).length;
}

export function max(values: Values): number | undefined {
  const numbers = known(values);
  return numbers.length > 0 ? Math.max(...numbers) : undefined;
}

/** The total without a part of it, at least 0. A missing part counts as 0. */
export function without(total: number | undefined, part: number | undefined): number | undefined {
  return total === undefined ? undefined : Math.max(0, total - (part ?? 0));
}

/** The quotient; missing if the divisor is missing or 0. */
export function quotient(dividend: number | undefined, divisor: number | undefined): number | undefined {
  return dividend === undefined || !divisor ? undefined : dividend / divisor;
}
