/** Two readings of one peer connection, and the increase of counters between them. */
import { numberOf, type Stat, type Stats, type StatsSource } from './stats.js';

/** The reports of a peer connection at one time. */
export interface Reading {
  readonly source: StatsSource;
  /** Milliseconds since the Unix epoch, by the clock of the device. */
  readonly at: number;
  readonly stats: Stats;
}

/** Differences over longer times cover a suspension of the app, in milliseconds. */
const MAX_INTERVAL_MS = 60_000;

/** Counters that never decrease on one peer connection. */
const MONOTONIC = ['packetsReceived', 'packetsSent', 'bytesReceived', 'bytesSent'];

/** The time between two readings. */
export class Interval {
  private constructor(
    readonly stats: Stats,
    private readonly previous: Stats,
    readonly seconds: number,
  ) {}

  /** `undefined` if the time cannot be measured: no earlier reading, a clock that was set back, or a suspension. */
  static between(previous: Reading | undefined, current: Reading): Interval | undefined {
    if (!previous) return undefined;
    const elapsedMs = current.at - previous.at;
    if (elapsedMs <= 0 || elapsedMs > MAX_INTERVAL_MS) return undefined;
    // The SDK replaces the peer connection when it reconnects. The counters of the new one began at 0 since then.
    const isReplaced = previous.source !== current.source || hasRestarted(previous.stats, current.stats);
    return new Interval(current.stats, isReplaced ? new Map() : previous.stats, elapsedMs / 1_000);
  }

  /** The increase of a counter, at least 0: `packetsLost` decreases when a late packet arrives. */
  increase(stat: Stat | undefined, name: string): number | undefined {
    const now = numberOf(stat, name);
    if (stat === undefined || now === undefined) return undefined;
    return Math.max(0, now - (numberOf(this.previous.get(stat.id), name) ?? 0));
  }

  increases(stats: readonly Stat[], name: string): (number | undefined)[] {
    return stats.map((stat) => this.increase(stat, name));
  }

  /** The bit rate of a number of bytes, in bits per second. */
  bitrate(bytes: number | undefined): number | undefined {
    return bytes === undefined ? undefined : Math.round((bytes * 8) / this.seconds);
  }
}

function hasRestarted(previous: Stats, current: Stats): boolean {
  return [...current.values()].some((stat) =>
    MONOTONIC.some((name) => {
      const before = numberOf(previous.get(stat.id), name);
      const now = numberOf(stat, name);
      return before !== undefined && now !== undefined && now < before;
    }),
  );
}
