module.exports = {
  api: {
    input: '../../../../docs/openapi.yaml',
    output: { target: 'generated/orval/api.ts', schemas: 'generated/orval/model', client: 'fetch', baseUrl: process.env.API_URL },
  },
};
