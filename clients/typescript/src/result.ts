/** The outcome of a request. Methods return it, and throw no error of a request. */
import type { OperationError, RequestError } from './errors.js';
import type { OperationId, Success } from './operations.js';

/** Either `data` or `error`. Both `ok` and `error` narrow the type. */
export type Result<Data, Failure extends RequestError> =
  | { readonly ok: true; readonly data: Data; readonly error: undefined }
  | { readonly ok: false; readonly data: undefined; readonly error: Failure };

/** The outcome of an operation. */
export type OperationResult<Op extends OperationId, Data = Success<Op>> = Result<Data, OperationError<Op>>;

/**
 * Returns the data of a success, for code that works with exceptions.
 *
 * @throws {RequestError} The error of a failure.
 */
export function unwrap<Data, Failure extends RequestError>(result: Result<Data, Failure>): Data {
  if (result.ok) return result.data;
  throw result.error;
}
