// The table. The client's defaults keep connections open and take the credentials from the environment.

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';

export const TABLE = process.env.TABLE_NAME;

export const dynamo = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT || undefined });

export function userKey(id) {
  return { pk: { S: `USER#${id}` }, sk: { S: 'PROFILE' } };
}

export function callKey(id) {
  return { pk: { S: `CALL#${id}` }, sk: { S: 'CALL' } };
}
