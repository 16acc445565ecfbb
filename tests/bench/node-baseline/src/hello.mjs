// The cost of Node alone: a constant response.

export const handler = async () => ({
  statusCode: 200,
  headers: { 'content-type': 'application/json' },
  body: '{"error":false,"message":"Hello"}',
});
