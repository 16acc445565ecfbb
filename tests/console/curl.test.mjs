// The curl command of a request that a hostile client has sent.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

import { toCurl } from '../console/curl.js';

const HOSTILE = [
  '$(touch pwned)', '`touch pwned`', "'; touch pwned; '", '"; touch pwned; "', '@/etc/hostname', '\\', '$API_KEY', '[1-9]{a,b}',
  "\x1b[201~\ntouch 'pwned'\\\n",
];

/** The words that a shell passes to curl. */
function wordsOf(command) {
  const script = `curl() { printf '%s\\0' "$@"; }; API_KEY=key TOKEN=session STREAM_TOKEN=stream; ${command}`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

const addresses = { api: 'http://localhost:3000', stream: 'http://localhost:3300' };

test('a shell interprets no text of the request', () => {
  for (const kind of ['http', 'client']) {
    for (const text of HOSTILE) {
      const request = {
        kind,
        method: text,
        path: `/x/${text}`,
        request: { headers: { Authorization: 'redacted', 'X-Text': text }, body: text },
      };
      const [base, query, token] = kind === 'http' ? [addresses.api, '', 'Bearer session'] : [addresses.stream, '?api_key=key', 'stream'];
      assert.deepEqual(wordsOf(toCurl(request, addresses)), [
        '-sSg', '-X', text, `${base}/x/${text}${query}`, '-H', `Authorization: ${token}`, '-H', `X-Text: ${text}`, '--data-raw', text,
      ]);
    }
  }
});

test('a terminal gets no control character', () => {
  const request = { kind: 'http', method: 'POST', path: '/x', request: { headers: {}, body: HOSTILE.at(-1) } };
  assert.doesNotMatch(toCurl(request, addresses), /[\0-\x08\x0b-\x1f\x7f]/);
});
