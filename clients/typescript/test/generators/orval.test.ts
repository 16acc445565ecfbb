import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callCreate, callEnd, callGet } from './generated/orval/api';
import type { CallCreateConflictResponse, CallCreateRequest, Problem } from './generated/orval/model';
import { headers } from './session';

/** Compiles only if the codes are an enumeration that narrows. */
export function reason(error: Problem, conflict: CallCreateConflictResponse): string {
  if (error.code === 'invalid_body') return error.errors.map(({ pointer }) => pointer).join();
  // @ts-expect-error The operation has no such code.
  if (conflict.code === 'message_blocked') return '';
  return conflict.code === 'user_busy' ? 'busy' : error.code;
}

test('client of orval runs a call', async () => {
  const options = { headers: headers() };
  // Compiles only if no field with a default is required.
  const body: CallCreateRequest = { ownerId: 'alice', receiverId: 'bob', allowParallel: true };
  const created = await callCreate(body, options);
  assert.ok(created.status === 200);
  const { callId } = created.data;
  const ended = await callEnd({ callId }, options);
  assert.ok(ended.status === 200 || ended.status === 202);
  const call = await callGet(callId, options);
  assert.ok(call.status === 200 && (call.data.status === 'ended' || call.data.status === 'ending'));
  assert.equal(call.data.durationSeconds, 0);
  assert.equal(call.data.endedBy?.kind, 'service');
  const missing = await callGet('missing', options);
  assert.ok(missing.status === 404 && missing.data.code === 'call_not_found');
});
