/** Client of the Stream functions. README.md describes its use. */
export {
  createClient,
  type ChartQuery,
  type Client,
  type ClientOptions,
  type CreateCallOptions,
} from './client.js';
export {
  API_ERROR_CODES,
  RequestError,
  type ApiErrorCode,
  type ClientErrorCode,
  type ErrorWithCode,
  type FieldError,
  type OperationError,
} from './errors.js';
export type { Fetch } from './attempt.js';
export type { OperationId, ProblemCode, Query, Schemas, Success, TokenRequest } from './operations.js';
export { unwrap, type OperationResult, type Result } from './result.js';
export { isRetryable, type RetryPolicy } from './retry.js';
export type { TokenError, TokenProvider, TokenProviderOptions } from './token-provider.js';
export type { GetSessionToken, RequestOptions } from './transport.js';
export type { Batch } from './quality/backlog.js';
export { QualityReporter, type QualityReporterError, type QualityReporterOptions } from './quality/reporter.js';
export type { CallConnections, Direction } from './quality/sampler.js';
export type { Sample } from './quality/sample.js';
export type { StatsSource } from './quality/stats.js';
