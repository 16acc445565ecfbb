// A server that receives webhooks of the emulator, as a backend beside the functions.

import { once } from 'node:events';
import { createServer } from 'node:http';

import { within } from './wait.mjs';

export async function startWebhookReceiver(scope) {
  const received = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    received.push({ headers: request.headers, body: Buffer.concat(chunks) });
    response.end();
    server.emit('webhook');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.defer(() => server.close());
  const next = async () => {
    while (received.length === 0) await once(server, 'webhook');
    return received.shift();
  };
  return {
    url: `http://127.0.0.1:${server.address().port}/webhook`,
    next: () => within(next(), 'webhook'),
  };
}
