// Responses in API Gateway's payload format 2.0, with the JSON envelope that the apps parse.

export class HttpError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function response(statusCode, contentType, body) {
  return { statusCode, headers: { 'content-type': contentType }, body: JSON.stringify(body) };
}

export function ok(message, fields) {
  return response(200, 'application/json', { error: false, message, ...fields });
}

/** Converts every error that `handle` throws to a response. */
export function withErrorHandling(handle) {
  return async (event, context) => {
    try {
      return await handle(event, context);
    } catch (error) {
      const isHttpError = error instanceof HttpError;
      // Only the message: an error of the HTTP client contains the request with its token.
      if (!isHttpError) console.error(error.name, error.message);
      const { status, code, message } = isHttpError
        ? error
        : { status: 500, code: 'internal', message: 'Something went wrong' };
      return response(status, 'application/problem+json', { error: true, status, code, message });
    }
  };
}

export function parseBody({ body, isBase64Encoded }) {
  try {
    const text = isBase64Encoded ? Buffer.from(body, 'base64').toString() : body;
    const parsed = JSON.parse(text || '{}');
    if (parsed && typeof parsed === 'object') return parsed;
  } catch {
    // Malformed JSON gets the same response as a value that is not an object.
  }
  throw new HttpError(400, 'invalid_json', 'The body is not a JSON object');
}
