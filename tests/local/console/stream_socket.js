// One WebSocket of an app at Stream, which comes back by itself: the chat's or the video's.

/** @typedef {'chat' | 'video'} Product */
/** @typedef {'connecting' | 'open' | 'waiting' | 'closed'} SocketState */

const HEALTH_CHECK_MILLIS = 25_000;
const FIRST_DELAY_MILLIS = 400;
const MAX_DELAY_MILLIS = 8_000;

/** Stream's error code of an expired or revoked token. */
const TOKEN_REJECTED = 40;

export class StreamSocket {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #healthChecks;
  #failures = 0;
  #needsNewToken = false;
  #isStopped = false;

  /** @type {SocketState} */
  state = 'connecting';
  connectionId = '';

  /**
   * @param {object} options
   * @param {Product} options.product
   * @param {string} options.streamUrl
   * @param {string} options.userId
   * @param {(isRenewal: boolean) => Promise<{ token: string, apiKey: string }>} options.getToken
   * @param {(event: any) => void} options.onEvent
   * @param {(state: SocketState) => void} options.onState
   */
  constructor(options) {
    this.options = options;
    void this.#open();
  }

  /** Closes the socket for good. */
  stop() {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#healthChecks);
    this.#socket?.close();
    this.#setState('closed');
  }

  /** @param {SocketState} state */
  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.options.onState(state);
  }

  async #open() {
    this.#setState('connecting');
    /** @type {{ token: string, apiKey: string }} */
    let credentials;
    try {
      credentials = await this.options.getToken(this.#needsNewToken);
    } catch {
      this.#retry();
      return;
    }
    if (this.#isStopped) return;
    this.#needsNewToken = false;
    const { product, userId } = this.options;
    const socket = new WebSocket(this.#url(credentials));
    this.#socket = socket;
    socket.addEventListener('open', () => {
      if (product === 'video') socket.send(JSON.stringify({ token: credentials.token, user_details: { id: userId } }));
    });
    socket.addEventListener('message', ({ data }) => this.#receive(JSON.parse(data)));
    socket.addEventListener('close', () => {
      clearInterval(this.#healthChecks);
      if (this.#socket === socket && !this.#isStopped) this.#retry();
    });
  }

  /** @param {{ token: string, apiKey: string }} credentials */
  #url({ token, apiKey }) {
    const { product, streamUrl, userId } = this.options;
    const url = new URL(product === 'chat' ? '/connect' : '/video/connect', streamUrl);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.searchParams.set('api_key', apiKey);
    url.searchParams.set('stream-auth-type', 'jwt');
    if (product === 'chat') {
      url.searchParams.set('authorization', token);
      url.searchParams.set('json', JSON.stringify({ user_id: userId, user_details: { id: userId } }));
    }
    return url;
  }

  /** @param {any} event */
  #receive(event) {
    if (event.type === 'connection.error') {
      // The server closes the socket next.
      this.#needsNewToken = event.error?.code === TOKEN_REJECTED;
      return;
    }
    if (event.connection_id && this.state !== 'open') {
      this.connectionId = event.connection_id;
      this.#failures = 0;
      this.#healthChecks = setInterval(() => this.#sendHealthCheck(), HEALTH_CHECK_MILLIS);
      this.#setState('open');
    }
    if (event.type !== 'health.check' && event.type !== 'connection.ok') this.options.onEvent(event);
  }

  #sendHealthCheck() {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify([{ type: 'health.check', client_id: this.connectionId }]));
    }
  }

  #retry() {
    if (this.#isStopped) return;
    this.#setState('waiting');
    const delay = Math.min(FIRST_DELAY_MILLIS * 2 ** this.#failures, MAX_DELAY_MILLIS);
    this.#failures += 1;
    this.#timer = setTimeout(() => void this.#open(), delay);
  }
}
