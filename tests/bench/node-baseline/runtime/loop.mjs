// Replaces aws-lambda-ric if that does not build: `node runtime/loop.mjs dist/token.handler`.
//
// It makes the same requests to the Runtime API over one persistent connection: get the next invocation,
// call the handler with event and context, post its response or error. Response streaming, handlers with
// callbacks and the patches to the console are not supported.

import { Agent, request } from 'node:http';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body = '') {
  const headers =
    method === 'POST'
      ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      : {};
  const options = { agent, hostname, port, method, headers, path: `/2018-06-01/runtime/${path}` };
  return new Promise((resolveResponse, reject) => {
    const clientRequest = request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolveResponse({ headers: response.headers, text: Buffer.concat(chunks).toString() });
      });
    });
    clientRequest.on('error', reject);
    clientRequest.end(body);
  });
}

function createContext(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function encodeError({ name, message, stack = '' }) {
  return JSON.stringify({ errorType: name, errorMessage: message, trace: stack.split('\n') });
}

const [file, name] = process.argv[2].split('.');
const handler = createRequire(import.meta.url)(resolve(file))[name];

for (;;) {
  const { headers, text } = await call('GET', 'invocation/next');
  const context = createContext(headers);
  process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
  const path = `invocation/${encodeURIComponent(context.awsRequestId)}`;
  try {
    const response = await handler(JSON.parse(text), context);
    await call('POST', `${path}/response`, JSON.stringify(response ?? null));
  } catch (error) {
    await call('POST', `${path}/error`, encodeError(error));
  }
}
