import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { kindOf } from '../../dist/quality/kind.js';
import { pairRoundTrip } from '../../dist/quality/round-trip.js';
import { MAXIMUM, toSample } from '../../dist/quality/sample.js';
import { Sampler } from '../../dist/quality/sampler.js';
import { parseStats } from '../../dist/quality/stats.js';
import { PLATFORMS, chrome, reactNativeIos, type PlatformShape } from './platforms.js';
import { EXPECTED, publisherStats, subscriberStats, type RawStat } from './scenario.js';

const START = 1_767_268_825_000;

type Change = (stat: RawStat) => RawStat | undefined;

/** The samples of the scenario on a platform, after a change of its reports. */
async function samplesOf(context: TestContext, platform: PlatformShape, change: Change = (stat) => stat) {
  context.mock.timers.enable({ apis: ['Date', 'setTimeout'], now: START });
  let reading: 0 | 1 = 0;
  const report = (stats: RawStat[]) => {
    const changed = stats.map(change).filter((stat): stat is RawStat => stat !== undefined);
    return Promise.resolve(platform.report(changed));
  };
  const call = {
    subscriber: { getStats: () => report(subscriberStats(reading)) },
    publisher: { getStats: () => report(publisherStats(reading)) },
  };
  const errors: unknown[] = [];
  const sampler = new Sampler(call, (_, error) => errors.push(error));
  assert.deepEqual(await sampler.take(), []);
  reading = 1;
  context.mock.timers.tick(5_000);
  const samples = await sampler.take();
  assert.deepEqual(errors, []);
  context.mock.timers.reset();
  return samples;
}

const omit = (fields: object, names: string[]) =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

for (const platform of PLATFORMS) {
  test(`${platform.name} gives the samples of the call`, async (context) => {
    const timestamp = START + 5_000;
    assert.deepEqual(await samplesOf(context, platform), [
      { timestamp, ...omit(EXPECTED.inbound, platform.missing.inbound) },
      { timestamp, ...omit(EXPECTED.outbound, platform.missing.outbound) },
    ]);
  });
}

const drop =
  (...names: string[]): Change =>
  (stat) =>
    omit(stat, names) as RawStat;

test('kind is known from the codec', async (context) => {
  const [inbound, outbound] = await samplesOf(context, chrome, drop('kind'));
  assert.deepEqual(omit(inbound ?? {}, ['timestamp']), EXPECTED.inbound);
  assert.deepEqual(omit(outbound ?? {}, ['timestamp']), EXPECTED.outbound);
});

test('kind is known from fields and from the other end', async (context) => {
  const change: Change = (stat) => (stat.type === 'codec' ? undefined : drop('kind', 'codecId')(stat));
  const codecFields = ['audioCodec', 'videoCodec', 'fecEnabled'];
  const [inbound, outbound] = await samplesOf(context, chrome, change);
  assert.deepEqual(omit(inbound ?? {}, ['timestamp']), omit(EXPECTED.inbound, codecFields));
  assert.deepEqual(omit(outbound ?? {}, ['timestamp']), omit(EXPECTED.outbound, codecFields));
});

test('kind is known from the id and from the SSRC', () => {
  const remote = { type: 'remote-inbound-rtp' };
  const byId = { ...remote, id: 'RTCRemoteInboundRtpAudioStream_1' };
  assert.equal(kindOf(parseStats([byId]), byId), 'audio');
  const bySsrc = { ...remote, id: 'R1', ssrc: 7 };
  const local = { id: 'O1', type: 'outbound-rtp', ssrc: 7, framesSent: 1 };
  assert.equal(kindOf(parseStats([bySsrc, local]), bySsrc), 'video');
  const unknown = { ...remote, id: 'R2' };
  assert.equal(kindOf(parseStats([unknown, local]), unknown), undefined);
});

test('round-trip time is that of the pair in use', () => {
  const pair = (id: string, fields: object) => ({ id, type: 'candidate-pair', state: 'succeeded', ...fields });
  const old = pair('old', { nominated: true, bytesReceived: 10, currentRoundTripTime: 0.5 });
  const busy = pair('busy', { nominated: 1, bytesReceived: 900, currentRoundTripTime: 0.1 });
  const selected = pair('selected', { selected: 'true', currentRoundTripTime: '0.2' });
  const transport = { id: 'T', type: 'transport', selectedCandidatePairId: 'old' };
  assert.equal(pairRoundTrip(parseStats([old, busy])), 0.1);
  assert.equal(pairRoundTrip(parseStats([old, busy, selected])), 0.2);
  assert.equal(pairRoundTrip(parseStats([old, busy, selected, transport])), 0.5);
  assert.equal(pairRoundTrip(parseStats([{ ...old, state: 'failed' }])), undefined);
});

test('jitter of streams of an unknown kind is used', async (context) => {
  const change: Change = (stat) =>
    stat.type === 'inbound-rtp'
      ? ({ id: stat.id, type: stat.type, packetsReceived: stat['packetsReceived'], jitter: stat['jitter'] } as RawStat)
      : undefined;
  const [inbound] = await samplesOf(context, chrome, change);
  assert.equal(inbound?.jitter, 0.013);
  assert.equal(inbound?.packetsReceived, 750);
});

test('concealed silence has no gap', async (context) => {
  // The sender is muted, so that all concealed samples are silent.
  const silent: Change = (stat) =>
    stat.id === 'IT01A1111' ? { ...stat, silentConcealedSamples: stat['concealedSamples'] } : stat;
  const [inbound] = await samplesOf(context, chrome, silent);
  assert.deepEqual([inbound?.concealedSamples, inbound?.concealmentEvents], [0, 0]);
  const [unknown] = await samplesOf(context, chrome, (stat) => drop('concealmentEvents')(silent(stat) ?? stat));
  assert.deepEqual([unknown?.concealedSamples, unknown?.concealmentEvents], [0, undefined]);
});

test('silent stream has no gap beside an audible one', async (context) => {
  const change: Change = (stat) => {
    if (stat.id !== 'IT01V2222') return stat;
    const { id, type, packetsReceived, packetsLost } = stat;
    const counters = { concealedSamples: packetsReceived, silentConcealedSamples: packetsReceived, concealmentEvents: packetsLost };
    return { id, type, kind: 'audio', packetsReceived, ...counters };
  };
  const [inbound] = await samplesOf(context, chrome, change);
  assert.deepEqual([inbound?.concealedSamples, inbound?.concealmentEvents], [1_920, 2]);
});

test('paused layer is left out, also if it has sent packets before', async (context) => {
  let packetsSent = 0;
  const change: Change = (stat) => {
    if (stat.id !== 'OT01V4444') return stat;
    packetsSent += 10;
    return { ...stat, packetsSent };
  };
  const [, outbound] = await samplesOf(context, reactNativeIos, change);
  assert.equal(outbound?.frameHeight, 360);
});

test('lost share is used if no lost packets are counted', async (context) => {
  const change: Change = (stat) =>
    stat.type === 'remote-inbound-rtp' ? { ...omit(stat, ['packetsLost']), id: stat.id, type: stat.type, fractionLost: 0.02 } : stat;
  const [, outbound] = await samplesOf(context, chrome, change);
  assert.equal(outbound?.fractionLost, 0.02);
  assert.equal(outbound?.packetsLost, undefined);
});

test('values out of bounds are left out', () => {
  const values = { roundTripTime: 61, jitter: -1, audioLevel: Number.NaN, totalFreezesDuration: 90, bitrate: 1 };
  assert.deepEqual(toSample(START, { direction: 'inbound', ...values }), {
    timestamp: START,
    direction: 'inbound',
    totalFreezesDuration: 60,
    bitrate: 1,
  });
  assert.equal(toSample(START, { direction: 'inbound' }), undefined);
  assert.equal(toSample(0, { direction: 'inbound', bitrate: 1 }), undefined);
});

test('bounds and fields are those of the API', async () => {
  const text = await readFile(new URL('../../../../docs/openapi.yaml', import.meta.url), 'utf8');
  const description = parse(text) as {
    components: { schemas: { Sample: { properties: Record<string, { type?: unknown; maximum?: number }> } } };
  };
  const { timestamp, ...fields } = description.components.schemas.Sample.properties;
  assert.equal(timestamp?.maximum, 4_102_444_800_000);
  const bounded = Object.entries(fields).filter(([, field]) => field.maximum !== undefined);
  assert.deepEqual(Object.fromEntries(bounded.map(([name, field]) => [name, field.maximum])), MAXIMUM);
});
