// A phone: a user with an app that is signed in, connected, and perhaps in a call.

import { sendAs } from './app_api.js';
import { onStackStart } from './live.js';
import { randomId } from './format.js';
import { PhoneCall } from './phone_call.js';
import { QualityReporter } from './quality_reporter.js';
import { invalidate, store } from './store.js';
import { StreamClient } from './stream_client.js';

/** @typedef {import('./app_api.js').LastRequest} LastRequest */
/** @typedef {import('./network.js').NetworkName} NetworkName */
/** @typedef {{ id: string, userId: string, text: string }} ChatMessage */

/** How many messages a phone shows. */
const MAX_MESSAGES = 30;

export class Phone {
  /** @type {StreamClient | null} */
  client = null;
  /** @type {PhoneCall | null} */
  call = null;
  /** @type {ChatMessage[]} */
  messages = [];
  /** @type {LastRequest | null} */
  lastRequest = null;
  /** What went wrong last. */
  problem = '';
  /** @type {NetworkName} */
  network = 'good';
  #deviceId = `console-${randomId().slice(0, 12)}`;
  /** Rings that arrive while a call is dialed, which may be its own. @type {any[]} */
  #heldRings = [];

  /**
   * @param {'left' | 'right'} slot
   * @param {string} userId
   */
  constructor(slot, userId) {
    this.slot = slot;
    this.userId = userId;
  }

  get state() {
    return this.client?.state ?? 'offline';
  }

  /** @param {string} userId */
  setUser(userId) {
    this.turnOff();
    this.userId = userId;
    this.turnOn();
  }

  turnOff() {
    this.call?.abandon();
    this.call = null;
    this.messages = [];
    this.#heldRings = [];
    this.#disconnect();
  }

  #disconnect() {
    this.call?.closeMedia();
    this.client?.stop();
    this.client = null;
    invalidate();
  }

  turnOn() {
    const streamUrl = store.stack?.addresses.stream;
    const hasToken = store.stack?.users.some((user) => user.id === this.userId);
    if (!streamUrl || !hasToken || this.network === 'off' || this.client) return;
    this.problem = '';
    let wasOnline = false;
    const client = new StreamClient({
      streamUrl,
      userId: this.userId,
      onRequest: (last) => this.#setLastRequest(last),
      onError: (error) => this.report(error),
      onEvent: (event) => this.#receive(event),
      onState: () => {
        const isOnline = this.client === client && client.state === 'online';
        if (isOnline && !wasOnline) void this.#connected(client);
        wasOnline = isOnline;
        invalidate();
      },
    });
    this.client = client;
    invalidate();
  }

  /** @param {NetworkName} network */
  setNetwork(network) {
    const wasOff = this.network === 'off';
    this.network = network;
    if (network === 'off') this.#disconnect();
    else if (wasOff) this.turnOn();
    invalidate();
  }

  /** @param {StreamClient} client */
  async #connected(client) {
    if (this.call && !this.call.isOver) await this.call.reconnected(client);
    else await this.#restore(client);
  }

  /**
   * Takes up an open call that this app has not seen ring, as docs/RINGING.md asks for after each start
   * and each lost connection.
   *
   * @param {StreamClient} client
   */
  async #restore(client) {
    const isLate = () => this.client !== client || this.isBusy;
    try {
      const { calls } = await this.send('GET', '/call?state=open&limit=1');
      const [call] = calls;
      // The functions may not know yet that the last call is over.
      if (!call || call.status !== 'active' || call.callCid === this.call?.cid || isLate()) return;
      const { call: atStream } = await client.watchCall(call.callCid);
      if (isLate()) return;
      const other = call.members.find((/** @type {string} */ id) => id !== this.userId);
      this.call = new PhoneCall(this, client, other, atStream.created_by?.id === this.userId);
      await this.call.restore(call, atStream);
    } catch (error) {
      if (this.client === client) this.report(error);
    }
  }

  get isBusy() {
    return this.call !== null && !this.call.isOver;
  }

  /**
   * A request to the API as this phone's user.
   *
   * @param {string} method
   * @param {string} path
   * @param {{ body?: object, headers?: Record<string, string>, other?: string }} [options]
   * @param {string} [userId] the user of an earlier call
   */
  send(method, path, options = {}, userId = this.userId) {
    return sendAs(userId, method, path, { ...options, onDone: (last) => this.#setLastRequest(last) });
  }

  /** @param {LastRequest} last */
  #setLastRequest(last) {
    this.lastRequest = last;
    invalidate();
  }

  /** @param {unknown} error */
  report(error) {
    this.problem = error instanceof Error ? error.message : String(error);
    invalidate();
  }

  /** @param {string} other */
  async dial(other) {
    const { client } = this;
    if (!client || this.isBusy) return;
    this.problem = '';
    this.messages = [];
    this.call = new PhoneCall(this, client, other, true);
    invalidate();
    await this.call.dial();
    for (const event of this.#heldRings.splice(0)) this.#ring(event);
  }

  /** @param {any} event */
  #receive(event) {
    if (event.type === 'call.ring') {
      this.#ring(event);
    } else if (event.type === 'message.new') {
      if (event.cid === `messaging:${this.call?.channelId}`) this.#addMessage(event.message);
    } else if (this.call && event.call_cid && (event.call_cid === this.call.cid || !this.call.cid)) {
      this.call.receive(event);
    }
  }

  /** @param {any} event */
  #ring(event) {
    const caller = event.user?.id ?? '';
    const cid = event.call_cid;
    const { client } = this;
    if (!client || (this.call?.cid === cid && this.isBusy)) return;
    if (this.call?.phase === 'dialing') {
      this.#heldRings.push(event);
      return;
    }
    if (this.isBusy) {
      // `rejectCallWhenBusy` of the SDK.
      client.reject(cid, 'busy').catch((error) => this.report(error));
      return;
    }
    this.problem = '';
    this.messages = [];
    this.call = new PhoneCall(this, client, caller, false);
    void this.call.ring(cid);
  }

  /** @param {any[]} messages of Stream */
  setMessages(messages) {
    this.messages = [];
    for (const message of messages) this.#addMessage(message);
  }

  /** @param {any} message of Stream */
  #addMessage(message) {
    if (this.messages.some(({ id }) => id === message.id)) return;
    this.messages.push({ id: message.id, userId: message.user?.id ?? '', text: message.text ?? '' });
    this.messages.splice(0, this.messages.length - MAX_MESSAGES);
    invalidate();
  }

  /** `POST /message/send`. The message appears by the socket, as on the other phone. @param {string} text */
  async say(text) {
    if (!this.call?.channelId) return false;
    try {
      this.problem = '';
      const body = { channelId: this.call.channelId, message: text, messageId: randomId() };
      await this.send('POST', '/message/send', { body });
      return true;
    } catch (error) {
      this.report(error);
      return false;
    }
  }

  /** @param {string} callId */
  newReporter(callId) {
    const { userId } = this;
    return new QualityReporter({
      network: () => this.network,
      deviceId: this.#deviceId,
      send: (body) => this.send('POST', `/call/quality/${encodeURIComponent(callId)}`, { body }, userId),
    });
  }
}

export const phones = [new Phone('left', 'alice'), new Phone('right', 'bob')];

/** @param {Phone} phone */
export const otherPhone = (phone) => /** @type {Phone} */ (phones.find((it) => it !== phone));

export function startPhones() {
  onStackStart(() => {
    const users = (store.stack?.users ?? []).filter(({ role }) => role !== 'service');
    for (const [index, phone] of phones.entries()) {
      const isKnown = users.some(({ id }) => id === phone.userId);
      if (!isKnown && users[index]) phone.userId = users[index].id;
      phone.turnOff();
      phone.turnOn();
    }
  });
  setInterval(() => {
    for (const { call } of phones) call?.checkRing();
  }, 500);
}

/** Sends all samples so far, before the clock is moved. */
export const flushReporters = () => Promise.all(phones.map(({ call }) => call?.flush()));
