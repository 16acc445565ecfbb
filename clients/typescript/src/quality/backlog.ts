/** Samples that wait to be sent, in batches that a repeat does not change. */
import { randomId } from '../ids.js';
import type { Schemas } from '../operations.js';
import type { Sample } from './sample.js';

/** A batch as it is sent. It can be stored as JSON. */
export type Batch = Schemas['QualityReportRequest'] & { batchId: string };

/** The limits of the API for a batch. */
const MAX_SAMPLES = 60;
const MAX_SPAN_MS = 3_600_000;
/** An hour without a network. */
const MAX_BATCHES = 60;

/** The fields that each batch of an app has. */
export type BatchContext = Pick<Schemas['QualityReportRequest'], 'platform' | 'deviceId'>;

export class Backlog {
  private open: Sample[] = [];
  private batches: Batch[];

  constructor(
    private readonly context: BatchContext,
    unsent: readonly Batch[] = [],
  ) {
    this.batches = unsent.slice(-MAX_BATCHES);
  }

  /** Adds a sample to the open batch. */
  add(sample: Sample): void {
    const times = this.open.map(({ timestamp }) => timestamp);
    const span = Math.max(sample.timestamp, ...times) - Math.min(sample.timestamp, ...times);
    // The app was suspended, or its clock was set.
    if (span > MAX_SPAN_MS || this.open.length >= MAX_SAMPLES) this.close();
    this.open.push(sample);
  }

  /** Closes the open batch. Returns the number of samples that were dropped, the oldest first. */
  close(): number {
    if (this.open.length > 0) {
      this.batches.push({ batchId: randomId(), ...this.context, samples: this.open });
      this.open = [];
    }
    const dropped = this.batches.splice(0, Math.max(0, this.batches.length - MAX_BATCHES));
    return dropped.reduce((count, batch) => count + batch.samples.length, 0);
  }

  /** The oldest batch. */
  next(): Batch | undefined {
    return this.batches[0];
  }

  remove(batch: Batch): void {
    this.batches = this.batches.filter((other) => other !== batch);
  }

  /** Removes everything. Returns the number of samples. */
  clear(): number {
    const count = this.batches.reduce((total, batch) => total + batch.samples.length, this.open.length);
    this.batches = [];
    this.open = [];
    return count;
  }

  /** The closed batches, the oldest first. */
  all(): readonly Batch[] {
    return this.batches;
  }
}
