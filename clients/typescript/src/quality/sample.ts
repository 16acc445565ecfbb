/** Samples within the bounds of the API, which rejects a whole batch for one invalid value. */
import type { Schemas } from '../operations.js';

/** A sample of the API. */
export type Sample = Schemas['Sample'];

/** The values that are measured for a sample. They can be missing or out of bounds. */
export type Measurement = { readonly direction: 'inbound' | 'outbound' } & {
  readonly [Name in NumberField]?: number | undefined;
} & {
  readonly audioCodec?: Sample['audioCodec'] | undefined;
  readonly videoCodec?: Sample['videoCodec'] | undefined;
  readonly fecEnabled?: boolean | undefined;
  readonly qualityLimitationReason?: string | undefined;
};

type OtherField = 'timestamp' | 'direction' | 'audioCodec' | 'videoCodec' | 'fecEnabled' | 'qualityLimitationReason';
type NumberField = Exclude<keyof Sample, OtherField>;

/** The lowest timestamp and the highest one, 2000 to 2100. */
const MIN_TIMESTAMP = 946_684_800_000;
const MAX_TIMESTAMP = 4_102_444_800_000;

/** The highest value of each field. A test compares them with docs/openapi.yaml. */
export const MAXIMUM: Readonly<Record<NumberField, number>> = {
  roundTripTime: 60,
  latency: 60,
  jitter: 60,
  packetsLost: 1e9,
  packetsReceived: 1e9,
  fractionLost: 1,
  freezeCount: 1e9,
  totalFreezesDuration: 60,
  frameWidth: 16_384,
  frameHeight: 16_384,
  framesPerSecond: 240,
  bitrate: 1e9,
  audioLevel: 1,
  concealedSamples: 1e9,
  totalSamplesReceived: 1e9,
  jitterBufferDelay: 60,
  audioPacketsLost: 1e9,
  audioPacketsReceived: 1e9,
  concealmentEvents: 1e9,
  videoBitrate: 1e9,
};

const LIMITATIONS = ['none', 'cpu', 'bandwidth', 'other'] as const;

/**
 * The sample of a measurement, without values out of bounds. `undefined` if no value remains, or if the clock of the
 * device is out of bounds.
 */
export function toSample(timestamp: number, measurement: Measurement): Sample | undefined {
  if (timestamp < MIN_TIMESTAMP || timestamp > MAX_TIMESTAMP) return undefined;
  const sample: Sample = { timestamp, direction: measurement.direction };
  for (const name of Object.keys(MAXIMUM) as NumberField[]) {
    let value = measurement[name];
    if (value === undefined || !Number.isFinite(value)) continue;
    // WebRTC counts a freeze when it ends, so it can be longer than the time since the previous sample.
    if (name === 'totalFreezesDuration') value = Math.min(value, MAXIMUM[name]);
    if (value >= 0 && value <= MAXIMUM[name]) sample[name] = roundToMillionth(value);
  }
  const { audioCodec, videoCodec, fecEnabled } = measurement;
  if (audioCodec) sample.audioCodec = audioCodec;
  if (videoCodec) sample.videoCodec = videoCodec;
  if (fecEnabled !== undefined) sample.fecEnabled = fecEnabled;
  const limitation = LIMITATIONS.find((reason) => reason === measurement.qualityLimitationReason);
  if (limitation) sample.qualityLimitationReason = limitation;
  const hasValues = Object.keys(sample).length > 2;
  return hasValues ? sample : undefined;
}

const roundToMillionth = (value: number): number => Math.round(value * 1e6) / 1e6;
