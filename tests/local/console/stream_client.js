// Stream as an app uses it, without its SDK: both sockets, and the requests of calls and channels.

import { RequestError, sendAs } from './app_api.js';
import { stackNow } from './stack_clock.js';
import { StreamSocket } from './stream_socket.js';

/** @typedef {import('./app_api.js').LastRequest} LastRequest */
/** @typedef {import('./stream_socket.js').SocketState} SocketState */

/** Stream's error of an expired or revoked token. */
const TOKEN_REJECTED = 'code 40';

export class StreamClient {
  /** @type {{ token: string, apiKey: string, refreshAfter: string } | null} */
  #token = null;
  /** @type {Promise<{ token: string, apiKey: string, refreshAfter: string }> | null} */
  #pendingToken = null;
  #isStopped = false;

  /**
   * @param {object} options
   * @param {string} options.streamUrl
   * @param {string} options.userId
   * @param {(event: any) => void} options.onEvent
   * @param {() => void} options.onState
   * @param {(last: LastRequest) => void} options.onRequest
   * @param {(error: Error) => void} options.onError
   */
  constructor(options) {
    this.options = options;
    const socket = (/** @type {'chat' | 'video'} */ product) =>
      new StreamSocket({
        product,
        streamUrl: options.streamUrl,
        userId: options.userId,
        getToken: (isRenewal) => this.#getToken(isRenewal),
        onEvent: options.onEvent,
        onState: options.onState,
      });
    this.chat = socket('chat');
    this.video = socket('video');
  }

  /** @returns {'online' | 'connecting' | 'offline'} */
  get state() {
    const states = [this.chat.state, this.video.state];
    if (states.every((state) => state === 'open')) return 'online';
    return states.includes('closed') ? 'offline' : 'connecting';
  }

  stop() {
    this.#isStopped = true;
    this.chat.stop();
    this.video.stop();
  }

  /**
   * The Stream token of `POST /token`, which both sockets share. It is renewed when the app should, or
   * when Stream has rejected it.
   *
   * @param {boolean} isRenewal
   */
  async #getToken(isRenewal) {
    const isFresh = this.#token && Date.parse(this.#token.refreshAfter) > stackNow();
    if (this.#token && isFresh && !isRenewal) return this.#token;
    const { userId, onRequest, onError } = this.options;
    this.#pendingToken ??= sendAs(userId, 'POST', '/token', { body: {}, onDone: onRequest });
    try {
      this.#token = await this.#pendingToken;
      return this.#token;
    } catch (error) {
      onError(/** @type {Error} */ (error));
      throw error;
    } finally {
      this.#pendingToken = null;
    }
  }

  /**
   * Sends a request, and once again with a new token if Stream rejects the first one.
   *
   * @param {string} method
   * @param {string} path
   * @param {{ body?: object, connectionId?: string }} [options]
   * @returns {Promise<any>}
   */
  async #send(method, path, options = {}) {
    try {
      return await this.#attempt(method, path, options, false);
    } catch (error) {
      const isRejected = error instanceof RequestError && (error.status === 401 || error.code === TOKEN_REJECTED);
      if (!isRejected) throw error;
      return await this.#attempt(method, path, options, true);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{ body?: object, connectionId?: string }} options
   * @param {boolean} isRenewal
   * @returns {Promise<any>}
   */
  async #attempt(method, path, { body, connectionId }, isRenewal) {
    if (this.#isStopped) throw new RequestError('No network.', null, 'network_error');
    const { token, apiKey } = await this.#getToken(isRenewal);
    const url = new URL(path, this.options.streamUrl);
    url.searchParams.set('api_key', apiKey);
    if (connectionId) url.searchParams.set('connection_id', connectionId);
    const startedAt = performance.now();
    /** @type {LastRequest} */
    const last = { method, path, status: null, millis: 0, id: null, error: null };
    try {
      const response = await fetch(url, {
        method,
        headers: { Authorization: token, 'stream-auth-type': 'jwt', 'Content-Type': 'application/json' },
        ...(body ? { body: JSON.stringify(body) } : {}),
        cache: 'no-store',
      });
      last.status = response.status;
      const value = await response.json().catch(() => ({}));
      if (response.ok) return value;
      last.error = `code ${value.code ?? '?'}`;
      throw new RequestError(value.message ?? `Stream answered ${response.status}.`, response.status, last.error);
    } catch (error) {
      if (error instanceof RequestError) throw error;
      last.error = 'no answer';
      throw new RequestError('Stream does not answer.', null, 'network_error');
    } finally {
      last.millis = performance.now() - startedAt;
      this.options.onRequest(last);
    }
  }

  /** Reads a call, and receives its events from now on. @param {string} cid */
  watchCall(cid) {
    return this.#send('GET', callPath(cid), { connectionId: this.video.connectionId });
  }

  /** Opens the chat of a call, and receives its events from now on. @param {string} channelId */
  watchChannel(channelId) {
    return this.#send('POST', `/channels/messaging/${encodeURIComponent(channelId)}/query`, {
      body: { state: true, watch: true, presence: false },
      connectionId: this.chat.connectionId,
    });
  }

  /**
   * Joins the pretended media of a call, until the socket `media` closes: Stream then reports a
   * participant who has left.
   *
   * @param {string} cid
   * @returns {Promise<{ call: any, media: WebSocket }>}
   */
  async join(cid) {
    const { call, credentials } = await this.#send('POST', `${callPath(cid)}/join`, {
      body: { location: 'local' },
      connectionId: this.video.connectionId,
    });
    return { call, media: new WebSocket(credentials.server.ws_endpoint) };
  }

  /** @param {string} cid */
  accept(cid) {
    return this.#send('POST', `${callPath(cid)}/accept`, { body: {} });
  }

  /**
   * @param {string} cid
   * @param {'decline' | 'busy' | 'cancel' | 'timeout'} reason
   */
  reject(cid, reason) {
    return this.#send('POST', `${callPath(cid)}/reject`, { body: { reason } });
  }
}

/** @param {string} cid such as `default:demo-1` */
function callPath(cid) {
  const [type = '', id = ''] = cid.split(':');
  return `/video/call/${encodeURIComponent(type)}/${encodeURIComponent(id)}`;
}
