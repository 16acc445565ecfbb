/**
 * Reads `getStats()` as browsers and React Native return it. React Native passes the values through JSON: iOS writes
 * booleans as 0 and 1, Android writes NaN, and some versions write counters as text or leave out `kind`.
 */

/** One report of `getStats()`. Its values are untrusted. */
export interface Stat {
  readonly id: string;
  readonly type: string;
  readonly [name: string]: unknown;
}

/** The reports of one peer connection by id. */
export type Stats = ReadonlyMap<string, Stat>;

/** A publisher or subscriber of Stream's SDK, or an `RTCPeerConnection`. */
export interface StatsSource {
  getStats(): Promise<unknown>;
}

/** The types of reports that the reporter reads, by the start of WebRTC's older ids. */
const TYPES_BY_ID: readonly (readonly [RegExp, string])[] = [
  [/^RTCRemoteInboundRtp/i, 'remote-inbound-rtp'],
  [/^RTCRemoteOutboundRtp/i, 'remote-outbound-rtp'],
  [/^RTCInboundRtp/i, 'inbound-rtp'],
  [/^RTCOutboundRtp/i, 'outbound-rtp'],
  [/^RTCIceCandidatePair_/i, 'candidate-pair'],
  [/^RTCTransport_/i, 'transport'],
  [/^RTCCodec_/i, 'codec'],
];

/**
 * Parses a report: a `Map`, a list of reports or of pairs, an object by id, or one of these as JSON text.
 *
 * @throws {TypeError} The value is no report.
 */
export function parseStats(report: unknown): Stats {
  const stats = new Map<string, Stat>();
  for (const [key, value] of entriesOf(typeof report === 'string' ? parseLenientJson(report) : report)) {
    if (typeof value !== 'object' || value === null) continue;
    const fields = value as { readonly [name: string]: unknown };
    const id = typeof fields.id === 'string' ? fields.id : key;
    if (id === undefined) continue;
    const type = typeof fields.type === 'string' ? fields.type : TYPES_BY_ID.find(([start]) => start.test(id))?.[1];
    if (type !== undefined) stats.set(id, { ...fields, id, type });
  }
  return stats;
}

/** Parses JSON in which NaN and infinite numbers occur, as null. */
function parseLenientJson(text: string): unknown {
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (token) => (token.startsWith('"') ? token : 'null')));
}

function entriesOf(report: unknown): [string | undefined, unknown][] {
  if (typeof report !== 'object' || report === null) throw new TypeError('getStats returned no report');
  if (Array.isArray(report)) {
    return report.map((item: unknown) => (Array.isArray(item) ? [String(item[0]), item[1]] : [undefined, item]));
  }
  const entries: [string | undefined, unknown][] = [];
  const { forEach } = report as { forEach?: unknown };
  if (typeof forEach === 'function') {
    (report as Map<string, unknown>).forEach((value, key) => entries.push([key, value]));
    return entries;
  }
  return Object.entries(report);
}

/** A finite number, also as text. */
export function numberOf(stat: Stat | undefined, name: string): number | undefined {
  const value = stat?.[name];
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : undefined;
}

/** A boolean, also as a number or as text. */
export function flagOf(stat: Stat | undefined, name: string): boolean | undefined {
  const value = stat?.[name];
  if (value === true || value === 1 || value === 'true' || value === '1') return true;
  if (value === false || value === 0 || value === 'false' || value === '0') return false;
  return undefined;
}

export function textOf(stat: Stat | undefined, name: string): string | undefined {
  const value = stat?.[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The reports of a type, without the remote ones that old versions of Firefox marked by a flag. */
export function ofType(stats: Stats, type: string): Stat[] {
  return [...stats.values()].filter((stat) => stat.type === type && flagOf(stat, 'isRemote') !== true);
}
