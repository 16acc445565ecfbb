import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backlog } from '../../dist/quality/backlog.js';

const START = 1_767_268_825_000;
const CONTEXT = { platform: 'ios', deviceId: 'device-1' } as const;

/** The timestamps of the batches that a backlog makes of samples at these times, in milliseconds. */
function batches(times: number[]): number[][] {
  const backlog = new Backlog(CONTEXT);
  for (const time of times) backlog.add({ timestamp: START + time, jitter: 0 });
  backlog.close();
  return backlog.all().map(({ samples }) => samples.map(({ timestamp }) => timestamp - START));
}

test('samples of a batch are an hour apart at most', () => {
  assert.deepEqual(batches([0, 3_600_000]), [[0, 3_600_000]]);
  assert.deepEqual(batches([0, 3_600_001]), [[0], [3_600_001]]);
  // The clock was set back.
  assert.deepEqual(batches([0, -3_600_001, 5]), [[0], [-3_600_001], [5]]);
});

test('batch has 60 samples at most', () => {
  const sizes = batches(Array.from({ length: 130 }, (_, index) => index)).map(({ length }) => length);
  assert.deepEqual(sizes, [60, 60, 10]);
});

test('oldest batches are dropped beyond sixty', () => {
  const backlog = new Backlog(CONTEXT);
  const dropped = Array.from({ length: 62 }, (_, index) => {
    backlog.add({ timestamp: START + index, jitter: 0 });
    return backlog.close();
  });
  assert.deepEqual(dropped.slice(-3), [0, 1, 1]);
  assert.equal(backlog.all().length, 60);
  assert.equal(backlog.next()?.samples[0]?.timestamp, START + 2);
});
