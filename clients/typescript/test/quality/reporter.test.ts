import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  QualityReporter,
  type QualityReporterError,
  type QualityReporterOptions,
} from '@stream-functions/client';
import { fakeApi, problem, success, type RecordedRequest } from '../unit/fake-api.js';

const START = 1_767_268_825_000;

/** A peer connection that receives packets, and loses one per second. */
class FakePeer {
  private createdAt = Date.now();
  failure: Error | undefined;

  constructor(private readonly packetsPerSecond = 50) {}

  /** Replaces the connection below the same object. */
  restart(): void {
    this.createdAt = Date.now();
  }

  getStats(): Promise<unknown> {
    if (this.failure) return Promise.reject(this.failure);
    const seconds = (Date.now() - this.createdAt) / 1_000;
    const inbound = {
      id: 'IT01A1',
      type: 'inbound-rtp',
      kind: 'audio',
      jitter: 0.006,
      packetsReceived: Math.round(this.packetsPerSecond * seconds),
      packetsLost: Math.round(seconds),
    };
    const packetsSent = Math.round(this.packetsPerSecond * seconds);
    const outbound = { id: 'OT01A1', type: 'outbound-rtp', kind: 'audio', packetsSent, bytesSent: 1 };
    return Promise.resolve([inbound, outbound]);
  }
}

const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

type Steps = Parameters<typeof fakeApi>[0];

function setUp(context: TestContext, steps: Steps, options: Partial<QualityReporterOptions> = {}) {
  context.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: START });
  const { client, requests, remaining } = fakeApi(steps, { retry: { attempts: 1 } });
  const errors: QualityReporterError[] = [];
  const call = { publisher: new FakePeer(), subscriber: new FakePeer() };
  const reporter = new QualityReporter({
    client,
    callId: 'demo-1',
    call,
    deviceId: 'device-1',
    platform: 'ios',
    onError: (error) => errors.push(error),
    ...options,
  });
  const advance = async (seconds: number) => {
    for (let second = 0; second < seconds; second += 1) {
      await settle();
      context.mock.timers.tick(1_000);
    }
    await settle();
  };
  return { reporter, call, requests, remaining, errors, advance };
}

interface SentBatch {
  batchId: string;
  samples: { timestamp: number; direction: string; packetsReceived?: number; packetsLost?: number }[];
}

const batchOf = (request: RecordedRequest | undefined) => request?.body as SentBatch;
const accepted = () => success({ accepted: 24 });

test('one batch a minute has a sample of each direction every five seconds', async (context) => {
  const { reporter, requests, errors, advance } = setUp(context, [accepted(), accepted()]);
  reporter.start();
  await advance(121);
  assert.equal(requests.length, 2);
  assert.equal(requests[0]?.url, 'https://api.test/api/stream/call/quality/demo-1');
  const { batchId, samples, ...fields } = batchOf(requests[0]);
  assert.deepEqual(fields, { platform: 'ios', deviceId: 'device-1' });
  assert.match(batchId, /^[A-Za-z0-9_-]{1,64}$/);
  const inbound = samples.filter(({ direction }) => direction === 'inbound');
  assert.ok(inbound.length >= 11 && inbound.length <= 12, `${inbound.length}`);
  assert.ok(samples.length <= 24);
  assert.deepEqual(
    inbound.slice(0, 2).map((sample) => [sample.timestamp, sample.packetsReceived, sample.packetsLost]),
    [
      [START + 5_000, 250, 5],
      [START + 10_000, 250, 5],
    ],
  );
  const times = [batchOf(requests[0]), batchOf(requests[1])].flatMap((batch) =>
    batch.samples.filter(({ direction }) => direction === 'outbound').map(({ timestamp }) => timestamp),
  );
  assert.equal(new Set(times).size, times.length);
  assert.deepEqual(errors, []);
});

test('failed batch is repeated with the same id and content', async (context) => {
  const { reporter, requests, errors, advance } = setUp(context, [new TypeError('offline'), accepted(), accepted()]);
  reporter.start();
  await advance(121);
  assert.equal(requests.length, 3);
  assert.deepEqual(requests[1]?.body, requests[0]?.body);
  assert.notEqual(batchOf(requests[2]).batchId, batchOf(requests[0]).batchId);
  const [error] = errors;
  assert.ok(error?.kind === 'send' && error.outcome === 'retry' && error.error.code === 'network_error');
});

test('stop sends the last samples, and ends the timers', async (context) => {
  const { reporter, requests, advance } = setUp(context, [accepted()]);
  reporter.start();
  await advance(12);
  await reporter.stop();
  assert.equal(requests.length, 1);
  const times = batchOf(requests[0]).samples.map(({ timestamp }) => (timestamp - START) / 1_000);
  assert.deepEqual(times, [5, 5, 10, 10, 12, 12]);
  await advance(180);
  assert.equal(requests.length, 1);
});

test('batch that fails at the end is repeated until it is stored', async (context) => {
  const { reporter, requests, advance } = setUp(context, [problem(503, 'store_unavailable'), accepted()]);
  reporter.start();
  await advance(12);
  await reporter.stop();
  await advance(180);
  assert.equal(requests.length, 2);
  assert.equal(batchOf(requests[1]).batchId, batchOf(requests[0]).batchId);
});

test('flush sends the samples of now, and goes on', async (context) => {
  const { reporter, requests, advance } = setUp(context, [accepted(), accepted()]);
  reporter.start();
  await advance(7);
  await reporter.flush();
  assert.equal(requests.length, 1);
  await advance(60);
  assert.equal(requests.length, 2);
});

test('replaced connection is counted from its start', async (context) => {
  const { reporter, call, requests, advance } = setUp(context, [accepted()]);
  reporter.start();
  await advance(12);
  // Its counters soon exceed those of the connection before.
  call.subscriber = new FakePeer(200);
  await advance(6);
  call.subscriber.restart();
  await advance(3);
  await reporter.stop();
  const inbound = batchOf(requests[0]).samples.filter(({ direction }) => direction === 'inbound');
  // The third sample has three seconds of the second connection, and the fourth one two seconds of the third one.
  assert.deepEqual(
    inbound.map(({ packetsReceived }) => packetsReceived),
    [250, 250, 600, 400, 200],
  );
});

test('suspension of the app gives no sample', async (context) => {
  const { reporter, requests, advance } = setUp(context, [accepted(), accepted()]);
  reporter.start();
  await advance(11);
  // Timers stop in the background, and the clock goes on.
  context.mock.timers.setTime(START + 7_200_000);
  await settle();
  await advance(61);
  const samples = requests.flatMap((request) => batchOf(request).samples);
  assert.ok(samples.every(({ packetsReceived = 250 }) => packetsReceived <= 250));
  for (const request of requests) {
    const times = batchOf(request).samples.map(({ timestamp }) => timestamp);
    assert.ok(Math.max(...times) - Math.min(...times) <= 3_600_000);
  }
});

test('end of the access stops the reporter', async (context) => {
  for (const [status, code] of [
    [404, 'call_not_found'],
    [409, 'call_ended'],
    [409, 'too_many_batches'],
    [409, 'user_deleted'],
  ] as const) {
    const { reporter, requests, errors, advance } = setUp(context, [problem(status, code)]);
    reporter.start();
    await advance(200);
    assert.equal(requests.length, 1);
    const [error] = errors;
    assert.ok(error?.kind === 'send' && error.outcome === 'stopped' && error.samples > 20);
    assert.deepEqual(reporter.unsent, []);
    context.mock.timers.reset();
  }
});

test('rejected batch is dropped, and the next one is sent', async (context) => {
  const { reporter, requests, errors, advance } = setUp(context, [problem(400, 'invalid_body'), accepted()]);
  reporter.start();
  await advance(121);
  assert.equal(requests.length, 2);
  assert.notEqual(batchOf(requests[1]).batchId, batchOf(requests[0]).batchId);
  assert.ok(errors[0]?.kind === 'send' && errors[0].outcome === 'dropped');
});

test('call that is not active yet keeps the batch', async (context) => {
  const { reporter, requests, advance } = setUp(context, [problem(409, 'call_not_active'), accepted(), accepted()]);
  reporter.start();
  await advance(121);
  assert.equal(requests.length, 3);
});

test('hour without a network is kept, and older samples are dropped', async (context) => {
  const offline = () => Promise.reject(new TypeError('offline'));
  const { reporter, errors, advance } = setUp(context, Array.from({ length: 62 }, () => offline));
  reporter.start();
  await advance(60 * 62 + 1);
  assert.equal(reporter.unsent.length, 60);
  const dropped = errors.filter(({ kind }) => kind === 'backlog');
  assert.ok(dropped.length >= 2);
});

test('unsent batches are sent by another reporter', async (context) => {
  const unsent = [{ batchId: 'stored', platform: 'ios' as const, deviceId: 'device-1', samples: [{ timestamp: START }] }];
  const { reporter, requests } = setUp(context, [accepted()], { unsent });
  await reporter.flush();
  assert.equal(batchOf(requests[0]).batchId, 'stored');
});

test('failing getStats is reported once, and the samples go on after it', async (context) => {
  const { reporter, call, requests, errors, advance } = setUp(context, [accepted()]);
  reporter.start();
  await advance(6);
  const failure = new SyntaxError('JSON Parse error: Unexpected token: N');
  call.subscriber.failure = failure;
  await advance(10);
  call.subscriber.failure = undefined;
  await advance(5);
  await reporter.stop();
  assert.deepEqual(errors, [{ kind: 'stats', direction: 'inbound', error: failure }]);
  const inbound = batchOf(requests[0]).samples.filter(({ direction }) => direction === 'inbound');
  assert.deepEqual(inbound.map(({ packetsReceived }) => packetsReceived), [250, 750, 50]);
});

const throwing = () => {
  throw new Error('the app is broken');
};

test('exception of onError ends neither the samples nor the batches', async (context) => {
  const steps = [new TypeError('offline'), accepted(), accepted(), accepted()];
  const { reporter, call, requests, advance } = setUp(context, steps, { onError: throwing });
  reporter.start();
  await advance(121);
  assert.equal(requests.length, 3);
  call.subscriber.failure = new Error('closed');
  await advance(6);
  await reporter.stop();
  assert.equal(requests.length, 4);
  await advance(180);
  assert.equal(requests.length, 4);
});

test('connection that cannot be read is reported, and the other direction has samples', async (context) => {
  const failure = new Error('the call was left');
  const call = {
    get subscriber(): never {
      throw failure;
    },
    publisher: new FakePeer(),
  };
  const { reporter, requests, errors, advance } = setUp(context, [accepted()], { call });
  reporter.start();
  await advance(12);
  await reporter.stop();
  assert.deepEqual(errors, [{ kind: 'stats', direction: 'inbound', error: failure }]);
  assert.ok(batchOf(requests[0]).samples.every(({ direction }) => direction === 'outbound'));
  await advance(180);
  assert.equal(requests.length, 1);
});

test('batch is sent again after an exception of the client', async (context) => {
  const { client, requests } = fakeApi([accepted()]);
  let calls = 0;
  const reportQuality: typeof client.reportQuality = (...parameters) => {
    calls += 1;
    return calls === 1 ? throwing() : client.reportQuality(...parameters);
  };
  const { reporter, errors, advance } = setUp(context, [], { client: { reportQuality } });
  reporter.start();
  await advance(12);
  await reporter.stop();
  await advance(61);
  assert.equal(requests.length, 1);
  assert.deepEqual(errors.map((error) => error.kind === 'send' && error.outcome), ['retry']);
  await advance(180);
  assert.equal(calls, 2);
});

test('batch of an invalid call id is dropped', async (context) => {
  const { reporter, requests, errors, advance } = setUp(context, [], { callId: 'demo-\ud83d' });
  reporter.start();
  await advance(12);
  await reporter.stop();
  assert.deepEqual(errors.map((error) => error.kind === 'send' && error.outcome), ['dropped']);
  assert.deepEqual(reporter.unsent, []);
  assert.equal(requests.length, 0);
});

test('invalid device id is rejected', (context) => {
  assert.throws(() => setUp(context, [], { deviceId: 'not valid' }), TypeError);
});

test('other platform is sent as such', async (context) => {
  const { reporter, requests, advance } = setUp(context, [accepted()], { platform: 'windows' });
  reporter.start();
  await advance(6);
  await reporter.stop();
  assert.equal((requests[0]?.body as { platform: string }).platform, 'other');
});
