// The envelope that the apps parse, as API Gateway's payload format 2.0 wants it.

export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function answer(statusCode, contentType, body) {
  return { statusCode, headers: { 'content-type': contentType }, body: JSON.stringify(body) };
}

export function ok(message, fields) {
  return answer(200, 'application/json', { error: false, message, ...fields });
}

/** A handler that answers whatever `handle` throws. */
export function answering(handle) {
  return async (event, context) => {
    try {
      return await handle(event, context);
    } catch (error) {
      const known = error instanceof Refusal;
      // The message alone: an error of the HTTP client's holds the request, token and all.
      if (!known) console.error(error.name, error.message);
      const { status, code, message } = known
        ? error
        : { status: 500, code: 'internal', message: 'Something went wrong' };
      return answer(status, 'application/problem+json', { error: true, status, code, message });
    }
  };
}

export function bodyOf({ body, isBase64Encoded }) {
  try {
    const text = isBase64Encoded ? Buffer.from(body, 'base64').toString() : body;
    const ask = JSON.parse(text || '{}');
    if (ask && typeof ask === 'object') return ask;
  } catch {
    // It is no better than what is no object.
  }
  throw new Refusal(400, 'invalid_json', 'The body is not a JSON object');
}
