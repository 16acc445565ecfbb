// Stands in for aws-lambda-ric where that does not build: `node runtime/loop.mjs dist/token.handler`.
//
// The same exchange with the Runtime API, by node:http over one connection that is kept: get the next
// invocation, call the handler with event and context, post its answer or its error. It has no streaming
// answers, no handlers with callbacks, and leaves the console alone.

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
  return new Promise((done, failed) => {
    const sent = request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', failed);
      response.on('end', () => {
        done({ headers: response.headers, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('error', failed);
    sent.end(body);
  });
}

function contextOf(headers) {
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

function failureOf({ name, message, stack = '' }) {
  return JSON.stringify({ errorType: name, errorMessage: message, trace: stack.split('\n') });
}

const [file, name] = process.argv[2].split('.');
const handler = createRequire(import.meta.url)(resolve(file))[name];

for (;;) {
  const { headers, text } = await call('GET', 'invocation/next');
  const context = contextOf(headers);
  process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
  const path = `invocation/${encodeURIComponent(context.awsRequestId)}`;
  try {
    const answer = await handler(JSON.parse(text), context);
    await call('POST', `${path}/response`, JSON.stringify(answer ?? null));
  } catch (error) {
    await call('POST', `${path}/error`, failureOf(error));
  }
}
