/** The token provider of Stream's SDKs. */
import { notify } from './callback.js';
import type { OperationError } from './errors.js';
import type { OperationResult } from './result.js';
import type { TokenRequest } from './operations.js';
import { isRetryable, needsNewSession } from './retry.js';

/** An error of `POST /token`. */
export type TokenError = OperationError<'token'>;

/** Options of `client.tokenProvider`. */
export interface TokenProviderOptions {
  /** The profile that other users see, the lifetime in seconds, or the only call of the token. */
  request?: TokenRequest | undefined;
  /**
   * The session has ended (`unauthenticated`, `session_revoked`) and could not be renewed: sign in again. For 60
   * seconds, or until the session token changes, the provider throws the same error without a request. If the next
   * request fails as well, the callback is called again.
   */
  onSignInRequired?: ((error: TokenError) => void) | undefined;
  /** Each failure, `onSignInRequired` included. The SDK gets the same error. */
  onError?: ((error: TokenError) => void) | undefined;
}

/** A provider for `StreamVideoClient` and for `connectUser` of the chat client. */
export type TokenProvider = () => Promise<string>;

/**
 * The SDKs call the provider at the first connection, and each time that Stream rejects a token as expired or revoked
 * (code 40). They repeat that without a limit. So the first tokens are returned at once, and the following ones with a
 * delay.
 */
const FREE_TOKENS = 4;
/** A pause of this length, in milliseconds, ends a series of tokens. */
const SERIES_GAP_MS = 60_000;
const FIRST_DELAY_MS = 2_000;
const MAX_DELAY_MS = 30_000;
/**
 * How long an error that a retry cannot correct is returned without a request, in milliseconds. It has an end, because
 * the backend can be corrected while the session token stays the same.
 */
const PERMANENT_ERROR_MS = 60_000;

export interface TokenProviderDeps {
  createToken: (request: TokenRequest) => Promise<OperationResult<'token'>>;
  currentSession: () => Promise<string | undefined>;
  sleep: (durationMs: number) => Promise<unknown>;
  now: () => number;
}

export function createTokenProvider(deps: TokenProviderDeps, options: TokenProviderOptions): TokenProvider {
  let inFlight: Promise<string> | undefined;
  let series = { tokens: 0, lastAt: -Infinity };
  let block: { error: TokenError; until: number; session: Promise<string | undefined> } | undefined;

  const report = (error: TokenError): never => {
    if (needsNewSession(error)) notify(options.onSignInRequired, error);
    notify(options.onError, error);
    throw error;
  };

  const requestToken = async (): Promise<string> => {
    if (block) {
      // The clock of a phone can be set back, so a longer wait than was set is none.
      const remaining = block.until - deps.now();
      const isWaiting = remaining > 0 && remaining <= PERMANENT_ERROR_MS;
      if (isWaiting) {
        const [rejected, current] = await Promise.all([block.session, deps.currentSession()]);
        if (rejected === current) throw block.error;
      }
      block = undefined;
    }
    const now = deps.now();
    const isSameSeries = Math.abs(now - series.lastAt) < SERIES_GAP_MS;
    const tokens = isSameSeries ? series.tokens : 0;
    if (tokens >= FREE_TOKENS) {
      await deps.sleep(Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (tokens - FREE_TOKENS)));
    }
    const result = await deps.createToken(options.request ?? {});
    series = { tokens: tokens + 1, lastAt: deps.now() };
    if (result.ok) return result.data.token;
    const { error } = result;
    // `Retry-After` of a full minute's limit is longer than the client waits itself.
    const blockedMs = isRetryable(error) ? (error.retryAfterSeconds ?? 0) * 1_000 : PERMANENT_ERROR_MS;
    const isLocal = error.code === 'aborted' || error.code === 'session_token_unavailable';
    if (blockedMs > 0 && !isLocal) {
      // Started before `onSignInRequired`, which can replace the session. The error does not wait for it.
      const session = deps.currentSession();
      block = { error, until: deps.now() + Math.min(blockedMs, PERMANENT_ERROR_MS), session };
    }
    return report(error);
  };

  return () => {
    // Both SDKs connect at the same time: one request serves both.
    inFlight ??= requestToken().finally(() => {
      inFlight = undefined;
    });
    return inFlight;
  };
}
