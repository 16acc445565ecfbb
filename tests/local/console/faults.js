// The faults that the menu offers, and their words.

/** @typedef {import('./types').Fault} Fault */

/** @type {{ title: string, detail: string, fault: Fault }[]} */
export const FAULT_PRESETS = [
  {
    title: 'EndCall answers 503, three times',
    detail: 'Hang up: all attempts fail, the call is ending, and the sweeper ends it.',
    fault: { service: 'stream', operation: 'EndCall', kind: 'status 503', times: 3 },
  },
  {
    title: 'The answer of a message is lost',
    detail: 'The message is sent. The repeat must not send it twice.',
    fault: { service: 'stream', operation: 'SendMessage', kind: 'applied then lost', times: 1 },
  },
  {
    title: 'Stream answers 429, once',
    detail: 'Its rate limit is used up.',
    fault: { service: 'stream', operation: '', kind: 'status 429', times: 1 },
  },
  {
    title: 'Stream is slow, three times',
    detail: 'Each answer comes 2 s late.',
    fault: { service: 'stream', operation: '', kind: 'slow 2000', times: 3 },
  },
  {
    title: 'DynamoDB answers 500, once',
    detail: 'The AWS SDK repeats the request by itself.',
    fault: { service: 'dynamodb', operation: '', kind: 'status 500', times: 1 },
  },
];

const KIND_WORDS = /** @type {Record<string, string>} */ ({
  'refuse connection': 'refuses the connection',
  'applied then lost': 'takes effect, and the answer is lost',
});

/** @param {Fault} fault */
export function describeFault({ service, operation, kind, times }) {
  const name = service === 'dynamodb' ? 'DynamoDB' : 'Stream';
  const what = operation && operation !== '*' ? `${name} ${operation}` : `${name}, any request`;
  const [word = '', value = ''] = kind.split(' ');
  const effect =
    KIND_WORDS[kind] ?? (word === 'status' ? `answers ${value}` : word === 'slow' ? `answers ${Number(value) / 1_000} s late` : kind);
  return `${what} ${effect}${times ? `, ${times === 1 ? 'once' : `${times} times`}` : ''}`;
}
