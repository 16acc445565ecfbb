/** A `fetch` that returns prepared responses, and records the requests. */
import { createClient, type ClientOptions, type Fetch } from '@stream-functions/client';

export interface RecordedRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: unknown;
  signal: AbortSignal;
}

type Step = Response | Error | ((request: RecordedRequest) => Promise<Response>);

export const json = (status: number, body: object, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });

export const success = (fields: object = {}) => json(200, { error: false, message: 'ok', ...fields });

export const problem = (status: number, code: string, headers: Record<string, string> = {}, fields: object = {}) =>
  json(
    status,
    {
      error: true,
      message: `detail of ${code}`,
      type: `urn:stream-functions:${code}`,
      title: code,
      status,
      detail: `detail of ${code}`,
      code,
      instance: 'request-1',
      ...fields,
    },
    headers,
  );

/** A client whose requests get these responses in order. */
export function fakeApi(steps: Step[], options: Partial<ClientOptions> = {}) {
  const requests: RecordedRequest[] = [];
  const remaining = [...steps];
  const fetch: Fetch = async (url, init) => {
    const body: unknown = init.body === undefined ? undefined : JSON.parse(init.body);
    const request = { method: init.method, url, headers: init.headers, body, signal: init.signal };
    requests.push(request);
    const step = remaining.shift();
    if (step === undefined) throw new Error('unexpected request');
    if (step instanceof Error) throw step;
    return typeof step === 'function' ? step(request) : step;
  };
  const client = createClient({
    baseUrl: 'https://api.test/',
    getSessionToken: () => 'session-1',
    fetch,
    retry: { baseDelayMs: 1 },
    ...options,
  });
  return { client, requests, remaining };
}
