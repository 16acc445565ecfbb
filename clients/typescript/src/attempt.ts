/** One HTTP request with a timeout and an abort signal. */

/** The parts of `fetch` that the client uses. */
export type Fetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal: AbortSignal },
) => Promise<Pick<Response, 'status' | 'text'> & { headers: Pick<Headers, 'get'> }>;

/** What to send. */
export interface HttpRequest {
  method: 'GET' | 'POST' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  body?: string;
}

/** The outcome of one HTTP request. */
export type AttemptResult =
  | { kind: 'response'; status: number; text: string; retryAfterSeconds: number | undefined; requestId: string | undefined }
  | { kind: 'timeout' }
  | { kind: 'aborted' }
  | { kind: 'network_error'; cause: unknown };

type Interruption = 'timeout' | 'aborted';

/**
 * Runs `work` until `timeoutMs` have passed or `signal` aborts. The outcome does not depend on whether `work` obeys the
 * signal that it gets, since some implementations of `fetch` ignore it.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<{ kind: 'done'; value: T } | { kind: Interruption }> {
  if (signal?.aborted) return { kind: 'aborted' };
  const controller = new AbortController();
  let interrupt: (kind: Interruption) => void = () => undefined;
  const interrupted = new Promise<{ kind: Interruption }>((resolve) => {
    interrupt = (kind) => {
      resolve({ kind });
      controller.abort();
    };
  });
  const timer = setTimeout(() => interrupt('timeout'), timeoutMs);
  const onAbort = () => interrupt('aborted');
  signal?.addEventListener('abort', onAbort);
  try {
    const done = work(controller.signal).then((value) => ({ kind: 'done' as const, value }));
    return await Promise.race([interrupted, done]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Waits. Returns `false` at once if `signal` aborts. */
export async function sleep(durationMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  const { kind } = await withDeadline(durationMs, signal, () => new Promise<never>(() => undefined));
  return kind !== 'aborted';
}

/** Sends the request, and reads the response. */
export async function attempt(
  fetchFunction: Fetch,
  request: HttpRequest,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<AttemptResult> {
  const { url, ...init } = request;
  try {
    const outcome = await withDeadline(timeoutMs, signal, async (attemptSignal) => {
      const response = await fetchFunction(url, { ...init, signal: attemptSignal });
      const text = await response.text();
      return {
        kind: 'response' as const,
        status: response.status,
        text,
        retryAfterSeconds: parseRetryAfter(response.headers.get('retry-after')),
        requestId: response.headers.get('apigw-requestid') ?? undefined,
      };
    });
    return outcome.kind === 'done' ? outcome.value : outcome;
  } catch (cause) {
    return { kind: 'network_error', cause };
  }
}

/** The seconds of `Retry-After`. The API sends no dates. */
function parseRetryAfter(value: string | null): number | undefined {
  return value !== null && /^[0-9]{1,9}$/.test(value.trim()) ? Number(value) : undefined;
}
