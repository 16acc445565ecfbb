/** Responses of functions and of API Gateway, parsed into data or errors. */
import type { AttemptResult } from './attempt.js';
import { RequestError, type ApiErrorCode, type FieldError } from './errors.js';
import type { OperationId } from './operations.js';

/** How the body of a success is read: as JSON, or as the text of a chart. */
export type ResponseFormat = 'json' | 'text';

type JsonObject = { readonly [name: string]: unknown };

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The data of a success, or the error of any other outcome. */
export function parseOutcome(
  operation: OperationId,
  attempts: number,
  format: ResponseFormat,
  outcome: AttemptResult,
): { data: unknown } | { error: RequestError } {
  const fail = (message: string, info: Omit<ConstructorParameters<typeof RequestError>[1], 'operation' | 'attempts'>) => ({
    error: new RequestError(message, { operation, attempts, ...info }),
  });
  switch (outcome.kind) {
    case 'timeout':
      return fail('The API did not respond in time', { code: 'timeout' });
    case 'aborted':
      return fail('The request was aborted', { code: 'aborted' });
    case 'network_error':
      return fail('The API cannot be reached', { code: 'network_error', cause: outcome.cause });
    case 'response':
      break;
  }
  const { status, text, retryAfterSeconds, requestId } = outcome;
  const isSuccess = status >= 200 && status < 300;
  if (isSuccess && format === 'text') return { data: text };
  const body = parseObject(text);
  if (isSuccess && body?.error === false) return { data: body };
  const context = { status, retryAfterSeconds, requestId: textOf(body?.instance) ?? requestId };
  const code = textOf(body?.code);
  if (!isSuccess && body?.error === true && code !== undefined) {
    const errors = Array.isArray(body.errors) ? (body.errors as FieldError[]) : undefined;
    return fail(textOf(body.message) ?? code, { code: code as ApiErrorCode, errors, ...context });
  }
  const gatewayMessage = textOf(body?.message);
  if (!isSuccess && gatewayMessage !== undefined) {
    return fail(`API Gateway: ${gatewayMessage}`, { code: 'gateway_error', ...context });
  }
  return fail(`The response with status ${status} is not one of the API`, { code: 'invalid_response', ...context });
}
