/** The forms in which platforms return the reports of the specification. */
import type { RawStat } from './scenario.js';

export interface PlatformShape {
  name: string;
  /** The result of `getStats()`. */
  report(stats: RawStat[]): unknown;
  /** The fields of the samples that the platform cannot have. */
  missing: { inbound: string[]; outbound: string[] };
}

const without = (stat: RawStat, names: string[]): RawStat =>
  Object.fromEntries(Object.entries(stat).filter(([name]) => !names.includes(name))) as RawStat;

const toMap = (stats: RawStat[]) => new Map(stats.map((stat) => [stat.id, stat]));

const NO_LOSS = { inbound: [], outbound: [] };

/** The ids of WebRTC before 2022, which React Native still has. */
const OLD_IDS: Record<string, string> = {
  IT01A1111: 'RTCInboundRTPAudioStream_1111',
  IT01V2222: 'RTCInboundRTPVideoStream_2222',
  OT01A3333: 'RTCOutboundRTPAudioStream_3333',
  OT01V4444: 'RTCOutboundRTPVideoStream_4444',
  OT01V5555: 'RTCOutboundRTPVideoStream_5555',
  RIA3333: 'RTCRemoteInboundRtpAudioStream_3333',
  RIV5555: 'RTCRemoteInboundRtpVideoStream_5555',
  CIT01_111: 'RTCCodec_0_Inbound_111',
  CIT01_98: 'RTCCodec_1_Inbound_98',
};

const withOldIds = (stat: RawStat): RawStat =>
  Object.fromEntries(
    Object.entries(stat).map(([name, value]) => [name, typeof value === 'string' ? (OLD_IDS[value] ?? value) : value]),
  ) as RawStat;

const mapValues = (stat: RawStat, change: (value: unknown, name: string) => unknown): RawStat =>
  Object.fromEntries(Object.entries(stat).map(([name, value]) => [name, change(value, name)])) as RawStat;

export const chrome: PlatformShape = { name: 'Chrome', report: toMap, missing: NO_LOSS };

/** Safari reports no freezes. */
export const safari: PlatformShape = {
  name: 'Safari',
  report: (stats) => toMap(stats.map(withOldIds).map((stat) => without(stat, ['freezeCount', 'totalFreezesDuration']))),
  missing: { inbound: ['freezeCount', 'totalFreezesDuration'], outbound: [] },
};

/** Firefox has no transport and no round-trip time of the pair, marks the pair as selected, and pauses no layer. */
export const firefox: PlatformShape = {
  name: 'Firefox',
  report: (stats) => {
    const reports = stats
      .filter((stat) => stat.type !== 'transport')
      .map((stat) => without(stat, ['currentRoundTripTime', 'active', 'freezeCount', 'totalFreezesDuration']))
      .map((stat) => (stat.type === 'candidate-pair' ? { ...stat, selected: stat.id === 'CP1' } : stat))
      .map((stat) => ({ ...stat, isRemote: false, mediaType: stat['kind'] }));
    // Its RTCStatsReport is a class with the methods of a Map.
    const map = toMap(reports);
    return { forEach: (each: (value: unknown, key: string) => void) => map.forEach(each) };
  },
  missing: { inbound: ['roundTripTime', 'freezeCount', 'totalFreezesDuration'], outbound: [] },
};

/** iOS writes booleans as numbers. */
export const reactNativeIos: PlatformShape = {
  name: 'React Native on iOS',
  report: (stats) =>
    toMap(stats.map(withOldIds).map((stat) => mapValues(stat, (it) => (typeof it === 'boolean' ? Number(it) : it)))),
  missing: NO_LOSS,
};

/** Android writes JSON with NaN, counters of 64 bits as text, and no kind. */
export const reactNativeAndroid: PlatformShape = {
  name: 'React Native on Android',
  report: (stats) => {
    const entries = stats
      .map(withOldIds)
      .map((stat) => without(stat, ['kind']))
      .map((stat) => mapValues(stat, (value, name) => (name.startsWith('bytes') ? String(value) : value)))
      .map((stat) => [stat.id, { ...stat, qpSum: 'not-a-number', note: 'a "NaN" in a text' }]);
    return JSON.stringify(entries).replaceAll('"not-a-number"', 'NaN');
  },
  missing: NO_LOSS,
};

export const PLATFORMS = [chrome, safari, firefox, reactNativeIos, reactNativeAndroid];
