// The floor of Node: nothing but an answer.

export const handler = async () => ({
  statusCode: 200,
  headers: { 'content-type': 'application/json' },
  body: '{"error":false,"message":"Hello"}',
});
