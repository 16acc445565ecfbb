// DynamoDB client. By default it reuses connections and reads credentials from the environment.

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';

export const TABLE = process.env.TABLE_NAME;

export const dynamo = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT || undefined });

export function userKey(id) {
  return { pk: { S: `USER#${id}` }, sk: { S: 'PROFILE' } };
}

export function callKey(id) {
  return { pk: { S: `CALL#${id}` }, sk: { S: 'CALL' } };
}
