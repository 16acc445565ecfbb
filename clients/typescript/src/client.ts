/** The client: a method for each operation of the API. */
import { sleep, withDeadline, type Fetch } from './attempt.js';
import type { RequestError } from './errors.js';
import { randomId } from './ids.js';
import type { OperationId, Query, Schemas, Success, TokenRequest } from './operations.js';
import type { OperationResult, Result } from './result.js';
import { DEFAULT_RETRY, type RetryPolicy } from './retry.js';
import { createTokenProvider, type TokenProvider, type TokenProviderOptions } from './token-provider.js';
import {
  createTransport,
  type GetSessionToken,
  type OperationRequest,
  type RequestOptions,
} from './transport.js';
import { normalizeBaseUrl, queryString, segment } from './url.js';

/** Options of `createClient`. */
export interface ClientOptions {
  /** The stack's output `ApiUrl`, without `/api/stream`. */
  baseUrl: string;
  /** Returns the session JWT of the app's own login. */
  getSessionToken: GetSessionToken;
  /** The global `fetch` by default. */
  fetch?: Fetch | undefined;
  /** The time for each attempt in milliseconds; 15,000 by default. */
  timeoutMs?: number | undefined;
  /** 3 attempts by default, with waits from 500 to 10,000 ms. */
  retry?: Partial<RetryPolicy> | undefined;
  /** Generates `Idempotency-Key`, `messageId` and `batchId`: 1 to 64 of `A-Z a-z 0-9 _ -`, unique for each request. */
  generateId?: (() => string) | undefined;
}

/** Options of `createCall`. */
export interface CreateCallOptions extends RequestOptions {
  /**
   * Identifies the call if the request has no `callId`. By default each `createCall` has a key of its own, which its
   * retries share. Store and repeat a key to continue after a restart of the app.
   */
  idempotencyKey?: string | undefined;
}

/** The query of `getCallQualityChart`. */
export type ChartQuery = Omit<Query<'call-quality'>, 'format'>;

/**
 * The methods return a `Result`: either `data` or `error`. They throw no error of a request. Each retries temporary
 * failures with the same ids, so that the request takes effect once.
 */
export interface Client {
  /** A token for Stream's SDKs. `tokenProvider` is the form that the SDKs take. */
  createToken(request?: TokenRequest, options?: RequestOptions): Promise<OperationResult<'token'>>;
  /** The token provider for Stream's SDKs. It throws a `RequestError`, and keeps no token. */
  tokenProvider(options?: TokenProviderOptions): TokenProvider;
  /** Signs the user out on all devices: revokes all Stream tokens, and removes the push devices. */
  revokeTokens(request?: Schemas['TokenRevokeRequest'], options?: RequestOptions): Promise<OperationResult<'token-revoke'>>;
  /** Creates or changes a profile. An omitted field keeps its value, and `null` removes it. */
  upsertUser(request: Schemas['UserUpsertRequest'], options?: RequestOptions): Promise<OperationResult<'user-upsert'>>;
  /** Erases a user. The id cannot be used again. */
  deleteUser(userId: string, options?: RequestOptions): Promise<OperationResult<'user-delete'>>;
  /** Creates a call, or returns the open call of the same members. Use the `callId` of the response. */
  createCall(request: Schemas['CallCreateRequest'], options?: CreateCallOptions): Promise<OperationResult<'call-create'>>;
  /** The state of a call, until 30 days after its end. */
  getCall(callId: string, options?: RequestOptions): Promise<OperationResult<'call-get'>>;
  /** A page of the requester's calls. Send `next` of the response as `cursor`. */
  listCalls(query?: Query<'call-list'>, options?: RequestOptions): Promise<OperationResult<'call-list'>>;
  /** Changes the maximum duration of a call. Only for services. */
  extendCall(
    callId: string,
    request: Schemas['CallExtendRequest'],
    options?: RequestOptions,
  ): Promise<OperationResult<'call-extend'>>;
  /** Ends a call for all members. After a success the call is over, also with the status `ending`. */
  endCall(request: Schemas['CallEndRequest'], options?: RequestOptions): Promise<OperationResult<'call-end'>>;
  /** The quality of a call as data. */
  getCallQuality(callId: string, options?: RequestOptions): Promise<OperationResult<'call-quality'>>;
  /** The quality of a call as an SVG chart. `width` is 320 to 1,600 pixels, 800 by default; `theme` is `auto` by default. */
  getCallQualityChart(
    callId: string,
    query?: ChartQuery,
    options?: RequestOptions,
  ): Promise<OperationResult<'call-quality', string>>;
  /** Stores a batch of samples once. `QualityReporter` measures and sends them. */
  reportQuality(
    callId: string,
    request: Schemas['QualityReportRequest'],
    options?: RequestOptions,
  ): Promise<OperationResult<'quality-report'>>;
  /** Sends a message once. Without a `messageId`, each `sendMessage` has one of its own, which its retries share. */
  sendMessage(request: Schemas['MessageSendRequest'], options?: RequestOptions): Promise<OperationResult<'message-send'>>;
  /** A page of messages, the newest page first. Send `next` of the response as `before`. */
  listMessages(
    channelId: string,
    query?: Query<'message-list'>,
    options?: RequestOptions,
  ): Promise<OperationResult<'message-list'>>;
  /** The configuration; with `deep` the health checks. */
  getConfig(query?: Query<'config'>, options?: RequestOptions): Promise<OperationResult<'config'>>;
}

/** Creates a client. It has no connection and no state except that of its token providers. */
export function createClient(options: ClientOptions): Client {
  const { getSessionToken, generateId = randomId, timeoutMs = 15_000 } = options;
  const transport = createTransport({
    baseUrl: normalizeBaseUrl(options.baseUrl),
    getSessionToken,
    // `fetch` of a browser must be called on the global object.
    fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
    timeoutMs,
    retry: { ...DEFAULT_RETRY, ...options.retry },
  });

  // The types are those of the description, which the end-to-end tests compare with the responses.
  const send = <Op extends OperationId, Data = Success<Op>>(
    operation: Op,
    build: () => OperationRequest,
    requestOptions?: RequestOptions,
  ): Promise<OperationResult<Op, Data>> => {
    const result: Promise<Result<unknown, RequestError>> = transport(operation, build, requestOptions);
    return result as Promise<OperationResult<Op, Data>>;
  };

  const createToken: Client['createToken'] = (body = {}, requestOptions) =>
    send('token', () => ({ method: 'POST', path: '/token', body }), requestOptions);

  const currentSession = async (): Promise<string | undefined> => {
    try {
      const outcome = await withDeadline(timeoutMs, undefined, async () => getSessionToken({ refresh: false }));
      return outcome.kind === 'done' ? outcome.value : undefined;
    } catch {
      return undefined;
    }
  };

  return {
    createToken,
    tokenProvider: (providerOptions = {}) =>
      createTokenProvider(
        { createToken, currentSession, sleep: (durationMs) => sleep(durationMs, undefined), now: () => Date.now() },
        providerOptions,
      ),
    revokeTokens: (body = {}, requestOptions) =>
      send('token-revoke', () => ({ method: 'POST', path: '/token/revoke', body }), requestOptions),
    upsertUser: (body, requestOptions) =>
      send('user-upsert', () => ({ method: 'POST', path: '/user/upsert', body }), requestOptions),
    deleteUser: (userId, requestOptions) =>
      send('user-delete', () => ({ method: 'DELETE', path: `/user/${segment(userId)}` }), requestOptions),
    createCall: (body, { idempotencyKey, ...requestOptions } = {}) => {
      const build = (): OperationRequest => {
        // The API ignores the key beside a `callId`, which identifies the request by itself.
        const headers = { 'Idempotency-Key': idempotencyKey ?? generateId() };
        return { method: 'POST', path: '/call/create', body, headers };
      };
      return send('call-create', build, requestOptions);
    },
    getCall: (callId, requestOptions) =>
      send('call-get', () => ({ method: 'GET', path: `/call/${segment(callId)}` }), requestOptions),
    listCalls: (query = {}, requestOptions) =>
      send('call-list', () => ({ method: 'GET', path: `/call${queryString(query)}` }), requestOptions),
    extendCall: (callId, body, requestOptions) =>
      send('call-extend', () => ({ method: 'POST', path: `/call/${segment(callId)}/extend`, body }), requestOptions),
    endCall: (body, requestOptions) =>
      send('call-end', () => ({ method: 'POST', path: '/call/end', body }), requestOptions),
    getCallQuality: (callId, requestOptions) => {
      const build = (): OperationRequest => ({ method: 'GET', path: `/call/quality/${segment(callId)}?format=json` });
      return send('call-quality', build, requestOptions);
    },
    getCallQualityChart: (callId, query = {}, requestOptions) => {
      const build = (): OperationRequest => {
        const path = `/call/quality/${segment(callId)}${queryString({ ...query, format: 'svg' })}`;
        return { method: 'GET', path, format: 'text' };
      };
      return send('call-quality', build, requestOptions);
    },
    reportQuality: (callId, request, requestOptions) => {
      const build = (): OperationRequest => {
        const body = { ...request, batchId: request.batchId ?? generateId() };
        return { method: 'POST', path: `/call/quality/${segment(callId)}`, body };
      };
      return send('quality-report', build, requestOptions);
    },
    sendMessage: (request, requestOptions) => {
      const build = (): OperationRequest => {
        const body = { ...request, messageId: request.messageId ?? generateId() };
        return { method: 'POST', path: '/message/send', body };
      };
      return send('message-send', build, requestOptions);
    },
    listMessages: (channelId, query = {}, requestOptions) => {
      const build = (): OperationRequest => {
        return { method: 'GET', path: `/message/${segment(channelId)}${queryString(query)}` };
      };
      return send('message-list', build, requestOptions);
    },
    getConfig: (query = {}, requestOptions) =>
      send('config', () => ({ method: 'GET', path: `/config${queryString(query)}` }), requestOptions),
  };
}
