/** Errors of requests: a union of codes for each operation. */
import type { OperationId, ProblemCode, Schemas } from './operations.js';

/** A code of the API. docs/ERRORS.md describes each. */
export type ApiErrorCode = Schemas['ErrorCode'];

/**
 * A failure without a code of the API:
 *
 * - `network_error`: no response. The request may have taken effect.
 * - `timeout`: no response within `timeoutMs`. The request may have taken effect.
 * - `aborted`: the signal of the caller aborted the request. It may have taken effect.
 * - `invalid_argument`: the arguments give no request, for example an id with half of a surrogate pair, or `generateId`
 *   failed. No request was sent.
 * - `session_token_unavailable`: `getSessionToken` failed or returned no token. No request was sent.
 * - `gateway_error`: API Gateway responded, and no function did. `status` has the cause.
 * - `invalid_response`: the response is not one of the API, for example the page of a captive portal.
 */
export type ClientErrorCode =
  | 'network_error'
  | 'timeout'
  | 'aborted'
  | 'invalid_argument'
  | 'session_token_unavailable'
  | 'gateway_error'
  | 'invalid_response';

/** An invalid field of a request: its JSON Pointer and the reason. */
export type FieldError = Schemas['FieldError'];

/** The fields of an error besides its message. */
export interface RequestErrorInfo {
  code: ApiErrorCode | ClientErrorCode;
  operation: OperationId;
  attempts: number;
  status?: number | undefined;
  requestId?: string | undefined;
  retryAfterSeconds?: number | undefined;
  errors?: readonly FieldError[] | undefined;
  cause?: unknown;
}

/** A failed request. It contains no token and no body of the request. */
export class RequestError extends Error {
  override readonly name: string = 'RequestError';
  /** The code, for a `switch`. A later version of the API may add codes. */
  readonly code: ApiErrorCode | ClientErrorCode;
  /** The `operationId` of docs/openapi.yaml. */
  readonly operation: OperationId;
  /** The number of HTTP requests that were sent. */
  readonly attempts: number;
  /** The HTTP status; `undefined` without a response. */
  readonly status: number | undefined;
  /** The id of the request, which the log of the function has too. */
  readonly requestId: string | undefined;
  /** The seconds after which a retry can succeed; `undefined` if the response has no such time. */
  readonly retryAfterSeconds: number | undefined;
  /** The invalid fields; only with `invalid_body`. */
  readonly errors: readonly FieldError[] | undefined;
  /** The error of `fetch`, `getSessionToken` or `generateId`, or that of an invalid argument. */
  readonly cause: unknown;

  constructor(message: string, info: RequestErrorInfo) {
    super(message);
    this.code = info.code;
    this.operation = info.operation;
    this.attempts = info.attempts;
    this.status = info.status;
    this.requestId = info.requestId;
    this.retryAfterSeconds = info.retryAfterSeconds;
    this.errors = info.errors;
    this.cause = info.cause;
  }
}

/** The error of one code. Only `invalid_body` has `errors`. */
export type ErrorWithCode<Code extends ApiErrorCode | ClientErrorCode> = Code extends 'invalid_body'
  ? RequestError & { readonly code: Code; readonly errors: readonly FieldError[] }
  : RequestError & { readonly code: Code; readonly errors: undefined };

/** Every error of an operation, which narrows by `code`. */
export type OperationError<Op extends OperationId> = ErrorWithCode<ProblemCode<Op> | ClientErrorCode>;

/** Every code of the API, for example for translations. The type fails if a code is missing. */
export const API_ERROR_CODES: readonly ApiErrorCode[] = Object.keys({
  invalid_request: true,
  invalid_path: true,
  invalid_id: true,
  invalid_query: true,
  invalid_header: true,
  invalid_json: true,
  invalid_body: true,
  call_channel_mismatch: true,
  unauthenticated: true,
  bad_signature: true,
  user_mismatch: true,
  creators_restricted: true,
  session_revoked: true,
  user_deactivated: true,
  user_banned: true,
  user_not_found: true,
  call_not_found: true,
  call_ended: true,
  call_id_reused: true,
  call_not_active: true,
  too_many_batches: true,
  user_busy: true,
  message_id_reused: true,
  user_deleted: true,
  body_too_large: true,
  unsupported_media_type: true,
  message_blocked: true,
  too_many_requests: true,
  internal: true,
  stream_rejected_credentials: true,
  stream_refused: true,
  stream_bad_answer: true,
  stream_not_configured: true,
  keys_unavailable: true,
  secrets_unavailable: true,
  stream_busy: true,
  stream_unavailable: true,
  store_unavailable: true,
} satisfies Record<ApiErrorCode, true>) as ApiErrorCode[];
