import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callCreate, callEnd, callGet, type CallCreateErrors, type CallCreateRequest } from './generated/hey-api';
import { headers, required } from './session';

const options = () => ({ baseUrl: required('API_URL'), headers: headers() });

/** Compiles only if the codes are an enumeration that narrows. */
export function busy(error: CallCreateErrors[409] | CallCreateErrors[400]): string {
  if (error.code === 'invalid_body') return error.errors.map(({ pointer }) => pointer).join();
  // @ts-expect-error The operation has no such code.
  if (error.code === 'message_blocked') return '';
  return error.code === 'user_busy' ? 'busy' : error.detail;
}

test('client of @hey-api/openapi-ts runs a call', async () => {
  // Compiles only if no field with a default is required.
  const body: CallCreateRequest = { ownerId: 'alice', receiverId: 'bob', allowParallel: true };
  const created = await callCreate({ ...options(), body });
  assert.ok(created.data);
  const { callId } = created.data;
  const ended = await callEnd({ ...options(), body: { callId } });
  assert.equal(ended.error, undefined);
  const call = await callGet({ ...options(), path: { callId } });
  assert.ok(call.data && (call.data.status === 'ended' || call.data.status === 'ending'));
  assert.equal(call.data.durationSeconds, 0);
  assert.equal(call.data.endedBy?.kind, 'service');
  const missing = await callGet({ ...options(), path: { callId: 'missing' } });
  assert.ok(missing.error && 'code' in missing.error && missing.error.code === 'call_not_found');
});
