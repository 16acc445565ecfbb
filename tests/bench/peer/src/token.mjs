// POST /api/stream/token: a short-lived Stream token for a known user.

import { GetItemCommand } from '@aws-sdk/client-dynamodb';

import { answering, bodyOf, ok, Refusal } from './answer.mjs';
import { callerOf } from './caller.mjs';
import { API_KEY, stream } from './stream.mjs';
import { dynamo, TABLE, userKey } from './table.mjs';

const DAY = 24 * 60 * 60;
/** Stream refuses a token from its future, so it is dated back, in seconds. */
const BACKDATE = 5;

export const handler = answering(async (event) => {
  const userId = callerOf(event);
  const ask = bodyOf(event);
  if (ask.userId !== undefined && ask.userId !== userId) {
    throw new Refusal(403, 'forbidden', 'userId is not the caller');
  }
  const life = ask.ttlSeconds ?? DAY;
  if (!Number.isInteger(life) || life < 60 || life > DAY) {
    throw new Refusal(400, 'invalid_body', 'ttlSeconds must be 60 to 86400');
  }
  const { Item: user } = await dynamo.send(
    new GetItemCommand({ TableName: TABLE, Key: userKey(userId), ConsistentRead: true }),
  );
  if (!user) throw new Refusal(404, 'user_not_found', 'The user is not known');
  if (user.status && user.status.S !== 'active') {
    throw new Refusal(403, 'user_deactivated', 'The user is not active');
  }
  const now = Date.now();
  const seconds = Math.floor(now / 1000);
  const revoked = Math.ceil(Number(user.revokedAt?.N ?? 0) / 1000);
  const token = stream.createToken(userId, seconds + life, Math.max(seconds - BACKDATE, revoked));
  return ok('Token created', {
    token,
    apiKey: API_KEY,
    userId,
    expiresAt: new Date((seconds + life) * 1000).toISOString(),
    refreshAfter: new Date(now + life * 800).toISOString(),
  });
});
