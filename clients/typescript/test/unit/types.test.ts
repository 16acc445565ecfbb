/** The types of the package. Most of these tests fail at compile time. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  API_ERROR_CODES,
  type ApiErrorCode,
  type Client,
  type OperationError,
  type OperationId,
  type ProblemCode,
  type Schemas,
  type TokenRequest,
} from '@stream-functions/client';
import { parse } from 'yaml';

const repository = new URL('../../../../', import.meta.url);
const read = (path: string) => readFile(new URL(path, repository), 'utf8');

type Equal<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
const assertType = <T extends true>(value: T) => value;

test('every code of ERRORS.md is a member of the union', async () => {
  const rows = (await read('docs/ERRORS.md')).matchAll(/^\| `(\w+)` \| \d+ \|/gm);
  const documented = [...rows].map((row) => row[1]);
  assert.ok(documented.length > 30);
  assert.deepEqual([...API_ERROR_CODES].sort(), documented.sort());
});

test('version is that of the API', async () => {
  const description = parse(await read('docs/openapi.yaml')) as { info: { version: string } };
  const manifest = JSON.parse(await read('clients/typescript/package.json')) as { version: string };
  assert.equal(manifest.version, description.info.version);
});

test('every operation but the webhook and the health check has a method', async () => {
  const description = parse(await read('docs/openapi.yaml')) as { paths: Record<string, Record<string, object>> };
  const operations = Object.values(description.paths)
    .flatMap((item) => Object.values(item))
    .map((operation) => (operation as { operationId?: string }).operationId)
    .filter((id): id is string => id !== undefined && id !== 'webhook' && id !== 'health');
  const client = await readFile(new URL('../../src/client.ts', import.meta.url), 'utf8');
  for (const operation of operations) assert.ok(client.includes(`send('${operation}', `), operation);
});

test('error of an operation has exactly its codes', () => {
  assertType<Equal<ProblemCode<'call-extend'> & ('user_mismatch' | 'user_busy'), 'user_mismatch'>>(true);
  assertType<Equal<Extract<ProblemCode<'call-create'>, 'user_busy' | 'message_blocked'>, 'user_busy'>>(true);
  assertType<Equal<ProblemCode<OperationId> | 'bad_signature', ApiErrorCode>>(true);
});

/** Compiles only if the `switch` has a case for each error of the operation. */
function reaction(error: OperationError<'message-list'>): string {
  switch (error.code) {
    case 'call_ended':
    case 'call_not_active':
    case 'call_not_found':
      return 'close the chat';
    case 'user_deleted':
    case 'user_deactivated':
    case 'user_banned':
    case 'unauthenticated':
      return 'sign out';
    case 'network_error':
    case 'timeout':
    case 'aborted':
    case 'gateway_error':
    case 'invalid_response':
    case 'session_token_unavailable':
      return 'retry later';
    case 'invalid_request':
    case 'invalid_path':
    case 'invalid_id':
    case 'invalid_query':
    case 'body_too_large':
    case 'invalid_argument':
      return 'fix the app';
    case 'internal':
    case 'stream_rejected_credentials':
    case 'stream_refused':
    case 'stream_bad_answer':
    case 'stream_not_configured':
    case 'keys_unavailable':
    case 'secrets_unavailable':
    case 'stream_busy':
    case 'stream_unavailable':
    case 'store_unavailable':
      return 'report it';
    default: {
      const missing: never = error;
      return missing;
    }
  }
}

/** Compiles only if the unions narrow. */
export async function narrowing(client: Client): Promise<string> {
  const { data, error } = await client.createCall({ receiverId: 'bob' });
  if (error) {
    if (error.code === 'invalid_body') return error.errors.map(({ pointer }) => pointer).join();
    return error.code;
  }
  const call = await client.getCall(data.callId);
  if (!call.ok) return call.error.code;
  if (call.data.status === 'ended') {
    const { endedBy } = call.data;
    return endedBy?.kind === 'user' ? endedBy.userId : `${call.data.durationSeconds}`;
  }
  // @ts-expect-error An open call has no end.
  call.data.endedAt;
  const messages = await client.listMessages(data.channelId);
  if (messages.error) return reaction(messages.error);
  if (messages.data.hasMore) return messages.data.next;
  const quality = await client.getCallQuality(data.callId);
  if (quality.data?.quality.quality === 'unknown') return quality.data.quality.reason;
  const config = await client.getConfig({ deep: true });
  const check = config.data?.config.checks?.dynamodb;
  return check && !check.ok ? check.code : 'ok';
}

test('requests need no defaults', () => {
  const call: Schemas['CallCreateRequest'] = { receiverId: 'bob' };
  const token: TokenRequest = { userData: { name: 'Alice' } };
  const sample: Schemas['Sample'] = { timestamp: 1_767_268_825_000 };
  // @ts-expect-error A call needs a callee.
  const incomplete: Schemas['CallCreateRequest'] = { ring: true };
  assert.ok(call && token && sample && incomplete);
});
