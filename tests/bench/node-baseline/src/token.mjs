// POST /api/stream/token: a short-lived Stream token for a known user.

import { GetItemCommand } from '@aws-sdk/client-dynamodb';

import { authenticate } from './auth.mjs';
import { HttpError, ok, parseBody, withErrorHandling } from './response.mjs';
import { API_KEY, stream } from './stream.mjs';
import { dynamo, TABLE, userKey } from './table.mjs';

const DAY_SECONDS = 24 * 60 * 60;
/** Stream rejects a token with `iat` in the future, so `iat` is in the past to allow for clock skew. */
const BACKDATE_SECONDS = 5;

export const handler = withErrorHandling(async (event) => {
  const userId = authenticate(event);
  const params = parseBody(event);
  if (params.userId !== undefined && params.userId !== userId) {
    throw new HttpError(403, 'forbidden', 'userId is not the caller');
  }
  const ttlSeconds = params.ttlSeconds ?? DAY_SECONDS;
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 60 || ttlSeconds > DAY_SECONDS) {
    throw new HttpError(400, 'invalid_body', 'ttlSeconds must be 60 to 86400');
  }
  const { Item: user } = await dynamo.send(
    new GetItemCommand({ TableName: TABLE, Key: userKey(userId), ConsistentRead: true }),
  );
  if (!user) throw new HttpError(404, 'user_not_found', 'The user is not known');
  if (user.status && user.status.S !== 'active') {
    throw new HttpError(403, 'user_deactivated', 'The user is not active');
  }
  const now = Date.now();
  const nowSeconds = Math.floor(now / 1000);
  const revokedAtSeconds = Math.ceil(Number(user.revokedAt?.N ?? 0) / 1000);
  const issuedAtSeconds = Math.max(nowSeconds - BACKDATE_SECONDS, revokedAtSeconds);
  const token = stream.createToken(userId, nowSeconds + ttlSeconds, issuedAtSeconds);
  return ok('Token created', {
    token,
    apiKey: API_KEY,
    userId,
    expiresAt: new Date((nowSeconds + ttlSeconds) * 1000).toISOString(),
    refreshAfter: new Date(now + ttlSeconds * 800).toISOString(),
  });
});
