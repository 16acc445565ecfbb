/** Measures the quality of a call, and sends it. docs/QUALITY.md describes the samples. */
import type { Client } from '../client.js';
import { notify } from '../callback.js';
import { RequestError, type OperationError } from '../errors.js';
import type { OperationResult } from '../result.js';
import { Backlog, type Batch } from './backlog.js';
import { Sampler, type CallConnections, type Direction } from './sampler.js';

/** A failure of the reporter. It goes on, except after `stopped`. */
export type QualityReporterError =
  /**
   * A batch was not stored. `retry`: it is sent again with the next batch. `dropped`: a repeat fails as well.
   * `stopped`: the API accepts no more samples of this call from this user.
   */
  | {
      readonly kind: 'send';
      readonly outcome: 'retry' | 'dropped' | 'stopped';
      readonly error: OperationError<'quality-report'>;
      /** The number of samples concerned. */
      readonly samples: number;
    }
  /** The connection or its `getStats()` failed, so the direction has no sample. The first of a series is reported. */
  | { readonly kind: 'stats'; readonly direction: Direction; readonly error: unknown }
  /** After an hour without a network the oldest samples are dropped. */
  | { readonly kind: 'backlog'; readonly samples: number };

/** Options of `QualityReporter`. */
export interface QualityReporterOptions {
  client: Pick<Client, 'reportQuality'>;
  /** The `callId` of the response of `createCall`. */
  callId: string;
  /** The call of Stream's SDK, after `join`. */
  call: CallConnections;
  /** A random id that the app generates once and stores: 1 to 64 of `A-Z a-z 0-9 _ -`. */
  deviceId: string;
  /** `Platform.OS` of React Native. Other texts than `ios`, `android` and `web` are sent as `other`. */
  platform: string;
  /** Each failure. Without it failures are not visible. An exception of the callback is ignored. */
  onError?: ((error: QualityReporterError) => void) | undefined;
  /** `unsent` of an earlier reporter of the same call. */
  unsent?: readonly Batch[] | undefined;
}

const SAMPLE_INTERVAL_MS = 5_000;
const BATCH_INTERVAL_MS = 60_000;

type Platform = 'ios' | 'android' | 'web' | 'other';

const platformOf = (name: string): Platform =>
  name === 'ios' || name === 'android' || name === 'web' ? name : 'other';

export class QualityReporter {
  private readonly sampler: Sampler;
  private readonly backlog: Backlog;
  private sampleTimer: ReturnType<typeof setInterval> | undefined;
  private batchTimer: ReturnType<typeof setInterval> | undefined;
  private sampling: Promise<void> | undefined;
  private sending: Promise<void> | undefined;
  private isStopped = false;

  /** @throws {TypeError} `deviceId` has other characters, or more than 64. */
  constructor(private readonly options: QualityReporterOptions) {
    const { call, deviceId, platform, unsent } = options;
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(deviceId)) {
      throw new TypeError('deviceId must have 1 to 64 of A-Z a-z 0-9 _ -');
    }
    this.backlog = new Backlog({ platform: platformOf(platform), deviceId }, unsent);
    this.sampler = new Sampler(call, (direction, error) => this.report({ kind: 'stats', direction, error }));
  }

  /** Takes a sample of each direction every 5 seconds, and sends a batch every minute. */
  start(): this {
    if (this.isStopped || this.batchTimer !== undefined) return this;
    this.sampleTimer = setInterval(() => void this.sample(), SAMPLE_INTERVAL_MS);
    this.batchTimer = setInterval(() => void this.send(), BATCH_INTERVAL_MS);
    // The first reading is the one that the first sample is compared with.
    void this.sample();
    return this;
  }

  /** Sends the samples of now. Call it when the app goes to the background, where timers stop. */
  async flush(): Promise<void> {
    if (this.sampleTimer !== undefined) await this.sample();
    await this.send();
  }

  /**
   * Takes the last sample, and sends it. Call it when the user hangs up, before the SDK leaves the call. Batches that
   * fail are sent again every minute, until they are stored or the app ends.
   */
  async stop(): Promise<void> {
    try {
      if (this.sampleTimer !== undefined) await this.sample();
    } finally {
      this.stopSampling();
    }
    await this.send();
  }

  /** The batches that are not stored yet. An app can keep them, and pass them to a reporter after a restart. */
  get unsent(): readonly Batch[] {
    this.closeBatch();
    return this.backlog.all();
  }

  private stopSampling(): void {
    this.isStopped = true;
    clearInterval(this.sampleTimer);
    this.sampleTimer = undefined;
  }

  private stopSending(): void {
    clearInterval(this.batchTimer);
    this.batchTimer = undefined;
  }

  private sample(): Promise<void> {
    this.sampling ??= this.takeSample().finally(() => {
      this.sampling = undefined;
    });
    return this.sampling;
  }

  private async takeSample(): Promise<void> {
    for (const sample of await this.sampler.take()) this.backlog.add(sample);
  }

  private closeBatch(): void {
    const samples = this.backlog.close();
    if (samples > 0) this.report({ kind: 'backlog', samples });
  }

  private async send(): Promise<void> {
    this.closeBatch();
    this.sending ??= this.sendBatches().finally(() => {
      this.sending = undefined;
    });
    await this.sending;
    if (this.isStopped && this.backlog.next() === undefined) this.stopSending();
  }

  /** Sends the batches, the oldest first, until one fails. */
  private async sendBatches(): Promise<void> {
    for (let batch = this.backlog.next(); batch; batch = this.backlog.next()) {
      const result = await this.sendBatch(batch);
      if (result.ok) {
        this.backlog.remove(batch);
        continue;
      }
      const { error } = result;
      const outcome = outcomeOf(error);
      let samples = batch.samples.length;
      if (outcome === 'dropped') this.backlog.remove(batch);
      if (outcome === 'stopped') {
        samples = this.backlog.clear();
        this.stopSampling();
        this.stopSending();
      }
      this.report({ kind: 'send', outcome, error, samples });
      if (outcome !== 'dropped') return;
    }
  }

  private async sendBatch(batch: Batch): Promise<OperationResult<'quality-report'>> {
    const { client, callId } = this.options;
    try {
      return await client.reportQuality(callId, batch);
    } catch (cause) {
      // Only a client of the app's own throws. Its batch is sent again.
      const info = { code: 'network_error' as const, operation: 'quality-report' as const, attempts: 0, cause };
      const error = new RequestError('reportQuality failed', info) as OperationError<'quality-report'>;
      return { ok: false, data: undefined, error };
    }
  }

  private report(error: QualityReporterError): void {
    notify(this.options.onError, error);
  }
}

/** What becomes of a batch that the API has not stored. */
function outcomeOf(error: OperationError<'quality-report'>): 'retry' | 'dropped' | 'stopped' {
  switch (error.code) {
    case 'call_not_found':
    case 'call_ended':
    case 'too_many_batches':
    case 'user_deleted':
      return 'stopped';
    case 'invalid_argument':
      return 'dropped';
    default:
      return error.status === 400 || error.status === 413 || error.status === 415 ? 'dropped' : 'retry';
  }
}
