// Reports simulated samples of a call, as `QualityReporter` of clients/typescript reports those of
// WebRTC: batches with an id, and the rest at the end. The intervals are shorter, so that a call of a
// minute has a picture.

import { randomId } from './format.js';
import { simulateSample } from './network.js';
import { stackNow } from './stack_clock.js';

const SAMPLE_MILLIS = 2_000;
const FIRST_BATCH_MILLIS = 6_000;
const BATCH_MILLIS = 20_000;

/** The samples of a batch may be an hour apart; a moved clock makes them so. */
const MAX_BATCH_SPAN_MILLIS = 3_000_000;
const MAX_BATCH_SAMPLES = 60;

export class QualityReporter {
  /** @type {{ timestamp: number }[]} */
  #samples = [];
  #sampledAt = stackNow();
  #sentAt = stackNow() + FIRST_BATCH_MILLIS - BATCH_MILLIS;

  /**
   * @param {object} options
   * @param {() => import('./network.js').NetworkName} options.network
   * @param {string} options.deviceId
   * @param {(body: object) => Promise<unknown>} options.send
   */
  constructor(options) {
    this.options = options;
    this.timer = setInterval(() => this.#tick(), SAMPLE_MILLIS);
  }

  #sample() {
    const now = stackNow();
    const seconds = (now - this.#sampledAt) / 1_000;
    const network = this.options.network();
    this.#sampledAt = now;
    if (network === 'off' || seconds < 0.3) return;
    // After the clock was moved, only the last interval was measured.
    const measured = Math.min(seconds, SAMPLE_MILLIS / 1_000);
    for (const direction of /** @type {const} */ (['inbound', 'outbound'])) {
      this.#samples.push(simulateSample(network, direction, now, measured));
    }
  }

  #tick() {
    this.#sample();
    if (stackNow() - this.#sentAt >= BATCH_MILLIS) void this.flush();
  }

  /** Takes a sample, and sends what is not sent yet. A failed batch is dropped: the picture then has a gap. */
  async flush() {
    this.#sample();
    this.#sentAt = stackNow();
    const samples = this.#samples;
    this.#samples = [];
    while (samples.length) {
      const first = samples[0]?.timestamp ?? 0;
      const within = samples.findIndex(({ timestamp }) => timestamp - first > MAX_BATCH_SPAN_MILLIS);
      const batch = samples.splice(0, Math.min(within === -1 ? samples.length : within, MAX_BATCH_SAMPLES));
      await this.options
        .send({ batchId: randomId(), platform: 'web', deviceId: this.options.deviceId, samples: batch })
        .catch(() => {});
    }
  }

  /** Takes the last sample and sends it. */
  async stop() {
    clearInterval(this.timer);
    await this.flush();
  }
}
