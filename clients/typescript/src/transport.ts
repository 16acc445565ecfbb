/** Sends requests: session token, timeout, retries, and parsing of the response. */
import { attempt, sleep, withDeadline, type Fetch, type HttpRequest } from './attempt.js';
import { RequestError } from './errors.js';
import type { OperationId } from './operations.js';
import { parseOutcome, type ResponseFormat } from './response.js';
import type { Result } from './result.js';
import { needsNewSession, retryDelayMs, type RetryPolicy } from './retry.js';

/**
 * Returns the session JWT of the app's own login. `refresh` is `true` if the API has rejected the last one: then renew
 * the session if the login can.
 */
export type GetSessionToken = (options: { readonly refresh: boolean }) => string | Promise<string>;

/** Options of a single request. */
export interface RequestOptions {
  /** Aborts the request and its retries. */
  signal?: AbortSignal | undefined;
  /** The time for each attempt, in milliseconds. */
  timeoutMs?: number | undefined;
  /** The maximum number of attempts; 1 disables retries. */
  attempts?: number | undefined;
}

export interface TransportConfig {
  baseUrl: string;
  getSessionToken: GetSessionToken;
  fetch: Fetch;
  timeoutMs: number;
  retry: RetryPolicy;
}

/** A request of an operation, without its session token. */
export interface OperationRequest {
  method: HttpRequest['method'];
  /** The path after `/api/stream`, with its query. */
  path: string;
  body?: object;
  headers?: Record<string, string>;
  format?: ResponseFormat;
}

/** Sends the request that `build` returns. An exception of `build` is the error `invalid_argument`. */
export type Transport = (
  operation: OperationId,
  build: () => OperationRequest,
  options?: RequestOptions,
) => Promise<Result<unknown, RequestError>>;

export function createTransport(config: TransportConfig): Transport {
  return async (operation, build, options = {}) => {
    const { signal, timeoutMs = config.timeoutMs } = options;
    const policy = { ...config.retry, attempts: options.attempts ?? config.retry.attempts };
    const failed = (error: RequestError) => ({ ok: false as const, data: undefined, error });
    const request = prepare(config.baseUrl, operation, build);
    if (request instanceof RequestError) return failed(request);
    let session = await sessionToken(config, operation, 0, false, timeoutMs, signal);
    if (session instanceof RequestError) return failed(session);
    let isRenewed = false;
    for (let attempts = 1; ; attempts += 1) {
      const outcome = await attempt(config.fetch, withSession(request.http, session), timeoutMs, signal);
      const parsed = parseOutcome(operation, attempts, request.format, outcome);
      if ('data' in parsed) return { ok: true, data: parsed.data, error: undefined };
      const { error } = parsed;
      if (needsNewSession(error) && !isRenewed) {
        isRenewed = true;
        const renewed = await sessionToken(config, operation, attempts, true, timeoutMs, signal);
        // Without another token the API would reject the repeat as well.
        if (renewed instanceof RequestError || renewed === session) return failed(error);
        session = renewed;
        continue;
      }
      // The attempt before the renewal is not one of the policy.
      const delayMs = retryDelayMs(error, attempts - (isRenewed ? 1 : 0), policy);
      if (delayMs === undefined) return failed(error);
      if (!(await sleep(delayMs, signal))) {
        const info = { code: 'aborted' as const, operation, attempts, cause: error };
        return failed(new RequestError('The request was aborted', info));
      }
    }
  };
}

/** The token of `getSessionToken`, or the reason for a missing one. */
async function sessionToken(
  config: TransportConfig,
  operation: OperationId,
  attempts: number,
  refresh: boolean,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<string | RequestError> {
  const info = { operation, attempts };
  try {
    const outcome = await withDeadline(timeoutMs, signal, async () => config.getSessionToken({ refresh }));
    if (outcome.kind === 'aborted') return new RequestError('The request was aborted', { ...info, code: 'aborted' });
    // The value comes from the app, which may be untyped.
    const token: unknown = outcome.kind === 'done' ? outcome.value : undefined;
    if (typeof token === 'string' && token !== '') return token;
    const reason = outcome.kind === 'timeout' ? 'did not respond in time' : 'returned no token';
    return new RequestError(`getSessionToken ${reason}`, { ...info, code: 'session_token_unavailable' });
  } catch (cause) {
    return new RequestError('getSessionToken failed', { ...info, code: 'session_token_unavailable', cause });
  }
}

/** A request that only lacks its session token. All attempts send the same body. */
interface PreparedRequest {
  readonly http: HttpRequest;
  readonly format: ResponseFormat;
}

/** The request of `build`, or the reason why it cannot be sent. */
function prepare(
  baseUrl: string,
  operation: OperationId,
  build: () => OperationRequest,
): PreparedRequest | RequestError {
  try {
    const request = build();
    return { http: httpRequest(baseUrl, request), format: request.format ?? 'json' };
  } catch (cause) {
    const info = { code: 'invalid_argument' as const, operation, attempts: 0, cause };
    return new RequestError('The request cannot be built from its arguments', info);
  }
}

function httpRequest(baseUrl: string, request: OperationRequest): HttpRequest {
  const { method, path, body, format } = request;
  const headers: Record<string, string> = {
    ...request.headers,
    Accept: format === 'text' ? 'image/svg+xml, application/problem+json' : 'application/json, application/problem+json',
  };
  const url = `${baseUrl}/api/stream${path}`;
  if (body === undefined) return { method, url, headers };
  // Without the media type `fetch` declares a text as text/plain, which the API rejects.
  headers['Content-Type'] = 'application/json';
  return { method, url, headers, body: JSON.stringify(body) };
}

function withSession(request: HttpRequest, session: string): HttpRequest {
  return { ...request, headers: { ...request.headers, Authorization: `Bearer ${session}` } };
}
