// POST /api/stream/call/create: a call with its chat channel, ready to be joined.

import { createHash, randomUUID } from 'node:crypto';

import { BatchGetItemCommand, PutItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb';

import { answering, bodyOf, ok, Refusal } from './answer.mjs';
import { callerOf } from './caller.mjs';
import { getOrCreateCall, stream } from './stream.mjs';
import { callKey, dynamo, TABLE, userKey } from './table.mjs';

/** An attempt counts as dead after so long, in ms. */
const LEASE = 30_000;
const SHARDS = 64;
const isCallId = (id) => typeof id === 'string' && /^[A-Za-z0-9_-]{1,59}$/.test(id);
const isUserId = (id) => typeof id === 'string' && /^[A-Za-z0-9_@-]{1,64}$/.test(id);

export const handler = answering(async (event) => {
  const owner = callerOf(event);
  const ask = bodyOf(event);
  const members = [...new Set([owner].concat(ask.memberIds ?? ask.receiverId))];
  if (members.length < 2 || members.length > 100 || !members.every(isUserId)) {
    throw new Refusal(400, 'invalid_body', 'receiverId or memberIds must name 1 to 99 others');
  }
  const callId = ask.callId ?? randomUUID();
  if (!isCallId(callId)) throw new Refusal(400, 'invalid_id', 'callId is not an id');
  const voice = ask.callType === 'voice' || ask.callType === 'audio';
  const call = { callId, owner, members, callType: voice ? 'voice' : 'video', createdAt: Date.now() };

  await begin(call);
  await requireKnown(call);
  const channelId = `call-${callId}`;
  const created = await stream
    .channel('messaging', channelId, { created_by_id: owner, members })
    .create();
  await getOrCreateCall(callId, {
    data: {
      created_by_id: owner,
      members: members.map((id) => ({ user_id: id })),
      channel_cid: created.channel.cid,
      video: !voice,
      settings_override: {
        video: { enabled: !voice },
        screensharing: { enabled: !voice },
        recording: { mode: 'disabled' },
        transcription: { mode: 'disabled' },
        limits: { max_duration_seconds: 14_400 },
        session: { inactivity_timeout_seconds: 300 },
      },
    },
    video: !voice,
    ring: ask.ring === true || undefined,
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
      video: !voice,
      screen_sharing: !voice,
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

async function begin(call) {
  const { callId, owner, members, callType, createdAt } = call;
  const lease = String(createdAt + LEASE);
  const shard = createHash('sha256').update(callId).digest()[0] % SHARDS;
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
          leaseUntil: { N: lease },
          dueShard: { S: `DUE#${shard}` },
          dueAt: { N: lease },
        },
        ConditionExpression: 'attribute_not_exists(pk)',
      }),
    );
  } catch (error) {
    if (error.name !== 'ConditionalCheckFailedException') throw error;
    throw new Refusal(409, 'call_id_reused', 'There is a call with this id');
  }
}

async function requireKnown({ members }) {
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
  if (unknown.length) throw new Refusal(404, 'user_not_found', `Not known: ${unknown.join(', ')}`);
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
