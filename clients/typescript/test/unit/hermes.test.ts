/** The package runs without the globals that Hermes and React Native lack. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const MISSING = [
  'crypto',
  'URL',
  'URLSearchParams',
  'DOMException',
  'structuredClone',
  'performance',
  'Buffer',
  'process',
  'TextEncoder',
  'TextDecoder',
  'setImmediate',
  'queueMicrotask',
];

const script = `
  for (const name of ${JSON.stringify(MISSING)}) delete globalThis[name];
  delete AbortSignal.any;
  delete AbortSignal.timeout;
  const { createClient, QualityReporter } = await import('@stream-functions/client');
  const sent = [];
  const response = { status: 200, headers: { get: () => null }, text: async () => '{"error":false,"message":"ok","calls":[]}' };
  const client = createClient({
    baseUrl: 'https://api.test',
    getSessionToken: () => 'session',
    fetch: async (url, init) => { sent.push([url, init]); return response; },
  });
  const { ok } = await client.createCall({ receiverId: 'bob' });
  await client.listCalls({ state: 'open' });
  const peer = { getStats: async () => new Map() };
  const reporter = new QualityReporter({
    client, callId: 'demo-1', call: { publisher: peer, subscriber: peer }, deviceId: 'd', platform: 'ios',
  }).start();
  await reporter.stop();
  const key = sent[0][1].headers['Idempotency-Key'];
  console.log(JSON.stringify({ ok, requests: sent.length, isRandom: /^[\\w-]{22}$/.test(key) }));
`;

test('package needs no global that React Native lacks', async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
  assert.deepEqual(JSON.parse(stdout), { ok: true, requests: 2, isRandom: true });
});
