import assert from 'node:assert/strict';
import { test } from 'node:test';
import createClient from 'openapi-fetch';
import type { components, paths } from './generated/openapi-typescript';
import { headers, required } from './session';

type Schemas = components['schemas'];

/** Compiles only if the codes are an enumeration that narrows. */
export function reason(error: Schemas['Problem']): string {
  if (error.code === 'invalid_body') return error.errors.map(({ pointer }) => pointer).join();
  // @ts-expect-error Not a code.
  if (error.code === 'no_such_code') return '';
  return error.code;
}

test('client of openapi-typescript runs a call', async () => {
  const api = createClient<paths>({ baseUrl: required('API_URL'), headers: headers() });
  // Compiles only if no field with a default is required.
  const body: Schemas['CallCreateRequest'] = { ownerId: 'alice', receiverId: 'bob', allowParallel: true };
  const created = await api.POST('/api/stream/call/create', { body });
  assert.ok(created.data);
  const { callId } = created.data;
  const ended = await api.POST('/api/stream/call/end', { body: { callId } });
  assert.equal(ended.error, undefined);
  const path = '/api/stream/call/{callId}';
  const call = await api.GET(path, { params: { path: { callId } } });
  assert.ok(call.data && (call.data.status === 'ended' || call.data.status === 'ending'));
  assert.equal(call.data.durationSeconds, 0);
  assert.equal(call.data.endedBy?.kind, 'service');
  const missing = await api.GET(path, { params: { path: { callId: 'missing' } } });
  assert.ok(missing.error && 'code' in missing.error && missing.error.code === 'call_not_found');
});
