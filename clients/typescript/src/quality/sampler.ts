/** Takes a sample of each direction, as the difference to the previous reading. */
import { withDeadline } from '../attempt.js';
import { inboundMeasurement } from './inbound.js';
import { outboundMeasurement } from './outbound.js';
import { Interval, type Reading } from './reading.js';
import { toSample, type Measurement, type Sample } from './sample.js';
import { parseStats, type StatsSource } from './stats.js';

/** The call of Stream's SDK. It replaces both connections when it reconnects. */
export interface CallConnections {
  readonly publisher?: StatsSource | undefined;
  readonly subscriber?: StatsSource | undefined;
}

export type Direction = 'inbound' | 'outbound';

/** A `getStats()` that fails or does not respond loses its sample, and not the following ones. */
const READ_TIMEOUT_MS = 4_000;

const MEASURE: Readonly<Record<Direction, (interval: Interval) => Measurement | undefined>> = {
  inbound: inboundMeasurement,
  outbound: outboundMeasurement,
};

export class Sampler {
  private readonly previous = new Map<Direction, Reading>();
  /** The directions whose last reading failed. */
  private readonly failing = new Set<Direction>();

  constructor(
    private readonly call: CallConnections,
    /** Gets the first of a series of failures. */
    private readonly onError: (direction: Direction, error: unknown) => void,
  ) {}

  /** The samples since the previous time: none at first, and none for a direction without streams. */
  async take(): Promise<Sample[]> {
    const taken = await Promise.all([
      this.takeOne('inbound', () => this.call.subscriber),
      this.takeOne('outbound', () => this.call.publisher),
    ]);
    return taken.filter((sample): sample is Sample => sample !== undefined);
  }

  private async takeOne(
    direction: Direction,
    sourceOf: () => StatsSource | undefined,
  ): Promise<Sample | undefined> {
    try {
      const source = sourceOf();
      if (!source) return undefined;
      const sample = this.sampleOf(direction, await read(source));
      this.failing.delete(direction);
      return sample;
    } catch (error) {
      if (!this.failing.has(direction)) this.onError(direction, error);
      this.failing.add(direction);
      return undefined;
    }
  }

  /** The sample since the previous reading of the direction. */
  private sampleOf(direction: Direction, reading: Reading): Sample | undefined {
    const interval = Interval.between(this.previous.get(direction), reading);
    this.previous.set(direction, reading);
    const measurement = interval && MEASURE[direction](interval);
    return measurement && toSample(reading.at, measurement);
  }
}

async function read(source: StatsSource): Promise<Reading> {
  const outcome = await withDeadline(READ_TIMEOUT_MS, undefined, () => source.getStats());
  if (outcome.kind !== 'done') throw new Error('getStats did not respond in time');
  return { source, at: Date.now(), stats: parseStats(outcome.value) };
}
