// POST /api/stream/call/create: creates a call with its chat channel.

import { createHash, randomUUID } from 'node:crypto';

import { BatchGetItemCommand, PutItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';

import { authenticate } from './auth.mjs';
import { HttpError, ok, parseBody, withErrorHandling } from './response.mjs';
import { getOrCreateCall, stream } from './stream.mjs';
import { callKey, dynamo, TABLE, userKey } from './table.mjs';

/** After this time another attempt may take over the reservation. */
const LEASE_MS = 30_000;
const SHARD_COUNT = 64;
const isCallId = (id) => typeof id === 'string' && /^[A-Za-z0-9_-]{1,59}$/.test(id);
const isUserId = (id) => typeof id === 'string' && /^[A-Za-z0-9_@-]{1,64}$/.test(id);

export const handler = withErrorHandling(async (event) => {
  const owner = authenticate(event);
  const params = parseBody(event);
  const members = [...new Set([owner].concat(params.memberIds ?? params.receiverId))];
  if (members.length < 2 || members.length > 100 || !members.every(isUserId)) {
    throw new HttpError(400, 'invalid_body', 'receiverId or memberIds must name 1 to 99 others');
  }
  const callId = params.callId ?? randomUUID();
  if (!isCallId(callId)) throw new HttpError(400, 'invalid_id', 'callId is not an id');
  const isVoice = params.callType === 'voice' || params.callType === 'audio';
  const call = { callId, owner, members, callType: isVoice ? 'voice' : 'video', createdAt: Date.now() };

  await reserve(call);
  await requireUsers(call);
  const channelId = `call-${callId}`;
  const created = await stream
    .channel('messaging', channelId, { created_by_id: owner, members })
    .create();
  await getOrCreateCall(callId, {
    data: {
      created_by_id: owner,
      members: members.map((id) => ({ user_id: id })),
      channel_cid: created.channel.cid,
      video: !isVoice,
      settings_override: {
        video: { enabled: !isVoice },
        screensharing: { enabled: !isVoice },
        recording: { mode: 'disabled' },
        transcription: { mode: 'disabled' },
        limits: { max_duration_seconds: 14_400 },
        session: { inactivity_timeout_seconds: 300 },
      },
    },
    video: !isVoice,
    ring: params.ring === true || undefined,
  });
  await activate(call);

  return ok('Call created', {
    callId,
    callCid: `default:${callId}`,
    channelId,
    channelCid: created.channel.cid,
    callType: call.callType,
    members,
    callSettings: {
      audio: true,
      video: !isVoice,
      screen_sharing: !isVoice,
      recording: false,
      transcribing: false,
    },
    status: 'active',
    createdAt: new Date(call.createdAt).toISOString(),
    created: true,
  });
});

function fingerprint({ owner, members, callType }) {
  const text = JSON.stringify([owner, [...members].sort(), callType]);
  return createHash('sha256').update(text).digest('hex');
}

async function reserve(call) {
  const { callId, owner, members, callType, createdAt } = call;
  const leaseUntil = String(createdAt + LEASE_MS);
  const shard = createHash('sha256').update(callId).digest()[0] % SHARD_COUNT;
  try {
    await dynamo.send(
      new PutItemCommand({
        TableName: TABLE,
        Item: {
          ...callKey(callId),
          callId: { S: callId },
          owner: { S: owner },
          members: { L: members.map((id) => ({ S: id })) },
          callType: { S: callType },
          state: { S: 'creating' },
          fingerprint: { S: fingerprint(call) },
          createdAt: { N: String(createdAt) },
          leaseUntil: { N: leaseUntil },
          dueShard: { S: `DUE#${shard}` },
          dueAt: { N: leaseUntil },
        },
        ConditionExpression: 'attribute_not_exists(pk)',
      }),
    );
  } catch (error) {
    if (error.name !== 'ConditionalCheckFailedException') throw error;
    throw new HttpError(409, 'call_id_reused', 'There is a call with this id');
  }
}

async function requireUsers({ members }) {
  const { Responses } = await dynamo.send(
    new BatchGetItemCommand({
      RequestItems: {
        [TABLE]: {
          Keys: members.map(userKey),
          ProjectionExpression: '#pk, #status',
          ExpressionAttributeNames: { '#pk': 'pk', '#status': 'status' },
        },
      },
    }),
  );
  const found = Responses?.[TABLE] ?? [];
  const known = new Set(found.filter((user) => user.status?.S !== 'deleted').map((user) => user.pk.S));
  const unknown = members.filter((id) => !known.has(`USER#${id}`));
  if (unknown.length) throw new HttpError(404, 'user_not_found', `Not known: ${unknown.join(', ')}`);
}

async function activate({ callId }) {
  const now = Date.now();
  await dynamo.send(
    new UpdateItemCommand({
      TableName: TABLE,
      Key: callKey(callId),
      UpdateExpression: 'SET #state = :active, #activeAt = :now, #dueAt = :due REMOVE #leaseUntil',
      ConditionExpression: '#state = :creating',
      ExpressionAttributeNames: {
        '#state': 'state',
        '#activeAt': 'activeAt',
        '#dueAt': 'dueAt',
        '#leaseUntil': 'leaseUntil',
      },
      ExpressionAttributeValues: {
        ':active': { S: 'active' },
        ':creating': { S: 'creating' },
        ':now': { N: String(now) },
        ':due': { N: String(now + 120_000) },
      },
    }),
  );
}
