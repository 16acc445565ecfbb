// One call on one phone: from the ring to the end, by the requests and events that an app with
// Stream's SDK would send and receive. docs/RINGING.md has the rules.

import { RequestError } from './app_api.js';
import { formatSeconds, randomId, words } from './format.js';
import { QualityReporter } from './quality_reporter.js';
import { stackNow } from './stack_clock.js';
import { invalidate, nameOf } from './store.js';

/** @typedef {import('./phone.js').Phone} Phone */
/** @typedef {import('./stream_client.js').StreamClient} StreamClient */
/** @typedef {'dialing' | 'calling' | 'incoming' | 'joining' | 'active' | 'open' | 'ending' | 'ended'} Phase */

/** The ring timeout of the call type, if the call does not have one. */
const DEFAULT_RING_MILLIS = 15_000;

export class PhoneCall {
  /** @type {Phase} */
  phase = 'dialing';
  callId = '';
  cid = '';
  channelId = '';
  /** Why the call is over, for people. */
  result = '';
  /** The users in the call, by Stream's events. @type {Map<string, number>} */
  participants = new Map();
  /** @type {number | null} */
  talkStartedAt = null;
  ringStartedAt = stackNow();
  ringMillis = DEFAULT_RING_MILLIS;
  /** @type {QualityReporter | null} */
  #reporter = null;
  /** Events that arrive before the response that names the call. @type {any[]} */
  #early = [];
  /** @type {WebSocket | null} */
  #media = null;

  /**
   * @param {Phone} phone
   * @param {StreamClient} client
   * @param {string} other
   * @param {boolean} isCaller
   */
  constructor(phone, client, other, isCaller) {
    this.phone = phone;
    this.client = client;
    // The phone may get another user while a request of this call is on its way.
    this.userId = phone.userId;
    this.other = other;
    this.isCaller = isCaller;
  }

  get isOver() {
    return this.phase === 'ended';
  }

  /** @param {Phase} phase */
  #enter(phase) {
    this.phase = phase;
    invalidate();
  }

  /** `POST /call/create` with `ring`, and then what `onRingingCall` of the SDK does. */
  async dial() {
    const { other } = this;
    try {
      const created = await this.#send('POST', '/call/create', {
        body: { receiverId: other, callType: 'video', ring: true },
        headers: { 'Idempotency-Key': randomId() },
        other: nameOf(other),
      });
      if (this.isOver) return;
      this.#identify(created);
      this.ringStartedAt = stackNow();
      this.#enter('calling');
      for (const event of this.#early.splice(0)) {
        if (event.call_cid === this.cid) this.receive(event);
      }
      await this.#synchronize();
    } catch (error) {
      this.#report(error);
      if (this.phase === 'dialing') this.#finish(/** @type {Error} */ (error).message);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{ body?: object, headers?: Record<string, string>, other?: string }} [options]
   */
  #send(method, path, options) {
    return this.phone.send(method, path, options, this.userId);
  }

  /** Shows an error, unless the phone has another call. @param {unknown} error */
  #report(error) {
    if (this.phone.call === this) this.phone.report(error);
  }

  /** @param {{ callId: string, callCid: string, channelId: string }} call */
  #identify({ callId, callCid, channelId }) {
    this.callId = callId;
    this.cid = callCid;
    this.channelId = channelId;
  }

  /**
   * An incoming ring. The API has the channel of the call.
   *
   * @param {string} cid
   */
  async ring(cid) {
    this.cid = cid;
    this.callId = cid.slice(cid.indexOf(':') + 1);
    this.#enter('incoming');
    await this.#attempt(async () => {
      this.#identify(await this.#send('GET', `/call/${encodeURIComponent(this.callId)}`));
      await this.#synchronize();
    });
  }

  /**
   * Takes up an open call after a start of the app.
   *
   * @param {{ callId: string, callCid: string, channelId: string, answered: boolean }} call
   * @param {any} atStream the same call at Stream
   */
  async restore(call, atStream) {
    this.#identify(call);
    this.ringStartedAt = Date.parse(atStream.created_at);
    // The functions get the answer by webhook, and so later than Stream.
    const isAnswered = call.answered || Object.keys(atStream.session?.accepted_by ?? {}).length > 0;
    this.#enter(isAnswered ? 'open' : this.isCaller ? 'calling' : 'incoming');
    await this.#attempt(() => this.#update(atStream));
  }

  /** Reads the state at Stream, since events may be lost. */
  async #synchronize() {
    if (this.isOver) return;
    const { call } = await this.client.watchCall(this.cid);
    if (!this.isOver) await this.#update(call);
  }

  /** Follows the state at Stream, and opens the chat. @param {any} call */
  async #update(call) {
    // The other user may have dialed first.
    this.isCaller = call.created_by?.id === this.userId;
    const ring = call.settings?.ring ?? {};
    const millis = this.isCaller ? ring.auto_cancel_timeout_ms : ring.incoming_call_timeout_ms;
    if (millis > 0) this.ringMillis = millis;
    this.#readSession(call.session);
    if (call.ended_at) {
      await this.#finishWithFigures();
      return;
    }
    const { rejected_by: rejected = {}, missed_by: missed = {}, accepted_by: accepted = {} } = call.session ?? {};
    const { userId } = this;
    if (this.phase === 'incoming' && (rejected[userId] || missed[userId])) this.#finish('Missed call');
    else if (this.phase === 'calling' && rejected[this.other]) await this.#callerRejected(undefined);
    else if (this.phase === 'calling' && !this.isCaller) await this.#answer();
    else if (this.phase === 'calling' && (accepted[this.other] || this.participants.has(this.other))) await this.#join();
    if (this.isOver) return;
    const channel = await this.client.watchChannel(this.channelId);
    if (this.phone.call === this) this.phone.setMessages(channel.messages ?? []);
  }

  /** @param {any} session */
  #readSession(session) {
    if (!session) return;
    this.participants = new Map(
      (session.participants ?? []).map((/** @type {any} */ it) => [it.user?.id ?? it.user_id, Date.parse(it.joined_at)]),
    );
    this.#updateTalk();
  }

  #updateTalk() {
    const { userId } = this;
    const isTalking = this.participants.has(userId) && this.participants.size > 1;
    if (isTalking) this.talkStartedAt ??= Math.max(...this.participants.values());
    invalidate();
  }

  get isTalking() {
    return this.phase === 'active' && this.participants.has(this.userId) && this.participants.size > 1;
  }

  get talkSeconds() {
    return this.talkStartedAt === null ? 0 : (stackNow() - this.talkStartedAt) / 1_000;
  }

  get ringSeconds() {
    return (stackNow() - this.ringStartedAt) / 1_000;
  }

  async accept() {
    await this.#attempt(() => this.#answer());
  }

  /** The SDK joins, and then sends `accept`. */
  async #answer() {
    await this.#join();
    if (this.phase === 'active') await this.client.accept(this.cid);
  }

  async #join() {
    const { client, userId } = this;
    const before = this.phase;
    this.#enter('joining');
    try {
      const { call, media } = await client.join(this.cid);
      this.closeMedia();
      this.#media = media;
      if (this.isOver || this.phone.client !== client) {
        // The call has ended during the join, or the network is off.
        this.closeMedia();
        if (!this.isOver) this.#enter(before);
        return;
      }
      this.#readSession(call.session);
      this.participants.set(userId, this.participants.get(userId) ?? stackNow());
      this.#updateTalk();
      this.#enter('active');
      this.#reporter ??= this.phone.newReporter(this.callId);
    } catch (error) {
      if (!this.isOver) this.#enter(before);
      throw error;
    }
  }

  /** Leaves the media: Stream reports it as a participant who has left. */
  closeMedia() {
    this.#media?.close();
    this.#media = null;
  }

  /** Joins again, after the connection or the page was lost. */
  async rejoin() {
    await this.#attempt(async () => {
      await this.#join();
      await this.#synchronize();
    });
  }

  /** The sockets are open again. @param {StreamClient} client */
  async reconnected(client) {
    this.client = client;
    await this.#attempt(async () => {
      await this.#synchronize();
      if (this.phase === 'active' && !this.isOver) await this.#join();
    });
  }

  /** @param {'decline' | 'busy'} reason */
  async reject(reason) {
    await this.#attempt(async () => {
      await this.client.reject(this.cid, reason);
      this.#finish(reason === 'busy' ? 'You were busy' : 'You declined');
    });
  }

  /** The caller gives up before an answer. */
  async cancel() {
    await this.#attempt(async () => {
      await this.client.reject(this.cid, 'cancel');
      this.#finish('You cancelled');
    });
  }

  /** `POST /call/end`, after the last samples. */
  async hangUp() {
    const before = this.phase;
    this.#enter('ending');
    await this.#reporter?.flush();
    try {
      await this.#send('POST', '/call/end', { body: { callId: this.callId } });
      await this.#finishWithFigures();
    } catch (error) {
      this.#report(error);
      if (this.isOver) return;
      this.#enter(before);
      // The call may have ended meanwhile: its event is ignored while this phone hangs up.
      await this.#attempt(() => this.#synchronize());
    }
  }

  /** The user leaves, and the call goes on for the other one. */
  async leave() {
    const reporter = this.#reporter;
    this.#reporter = null;
    await reporter?.stop();
    if (this.isOver) return;
    this.closeMedia();
    this.participants.delete(this.userId);
    this.talkStartedAt = null;
    this.#enter('open');
  }

  /** The phone is turned off, or gets another user. */
  abandon() {
    void this.#reporter?.stop();
    this.#reporter = null;
    this.closeMedia();
    this.phase = 'ended';
  }

  /** Sends the samples so far, before the clock is moved. */
  async flush() {
    await this.#reporter?.flush();
  }

  /** Ends a ring that has lasted too long. */
  checkRing() {
    if (this.ringSeconds * 1_000 < this.ringMillis) return;
    if (this.phase === 'calling') {
      this.#finish('No answer');
      void this.#attempt(() => this.client.reject(this.cid, 'timeout'));
    } else if (this.phase === 'incoming') {
      this.#finish('Missed call');
      void this.#attempt(() => this.client.reject(this.cid, 'timeout'));
    }
  }

  /**
   * An event of this call.
   *
   * @param {any} event
   */
  receive(event) {
    if (this.isOver) return;
    if (this.phase === 'dialing') {
      this.#early.push(event);
      return;
    }
    const from = event.user?.id ?? event.participant?.user?.id;
    const { userId } = this;
    switch (event.type) {
      case 'call.accepted':
        if (from === userId && this.phase === 'incoming') this.#finish('Answered on another device');
        else if (this.phase === 'calling') void this.#attempt(() => this.#join());
        break;
      case 'call.rejected':
        if (from !== userId) void this.#attempt(() => this.#otherRejected(from, event.reason));
        else if (this.phase === 'incoming') this.#finish('Declined on another device');
        break;
      case 'call.missed':
        if (this.phase === 'incoming' && event.members?.some((/** @type {any} */ it) => it.user_id === userId)) {
          this.#finish('Missed call');
        }
        break;
      case 'call.session_participant_joined':
        this.participants.set(from, Date.parse(event.participant?.joined_at ?? event.created_at));
        this.#updateTalk();
        break;
      case 'call.session_participant_left':
        this.participants.delete(from);
        if (this.participants.size < 2) this.talkStartedAt = null;
        invalidate();
        break;
      case 'call.ended':
      case 'call.deleted':
        if (this.phase !== 'ending') void this.#attempt(() => this.#finishWithFigures());
        break;
      default:
    }
  }

  /**
   * @param {string} from
   * @param {string | undefined} reason
   */
  async #otherRejected(from, reason) {
    if (this.isCaller && this.phase === 'calling') await this.#callerRejected(reason);
    else if (from === this.other && this.phase === 'incoming') {
      this.#finish(reason === 'timeout' ? 'Missed call' : `${nameOf(from)} cancelled`);
    }
  }

  /**
   * All callees have rejected the call: the caller's SDK leaves it with a reject of its own.
   *
   * @param {string | undefined} reason
   */
  async #callerRejected(reason) {
    const name = nameOf(this.other);
    const results = /** @type {Record<string, string>} */ ({ busy: `${name} is busy`, timeout: 'No answer' });
    this.#finish(results[reason ?? ''] ?? `${name} declined`);
    await this.client.reject(this.cid, 'cancel');
  }

  /** Reads how the call ended, as an app does for its history. */
  async #finishWithFigures() {
    if (this.isOver) return;
    const reporter = this.#reporter;
    this.#reporter = null;
    this.#finish(this.talkStartedAt === null ? 'Call ended' : `Call ended · ${formatSeconds(this.talkSeconds)}`);
    await reporter?.stop();
    const call = await this.#send('GET', `/call/${encodeURIComponent(this.callId)}`);
    if (call.answered) this.result = `Call ended · ${formatSeconds(call.talkSeconds ?? call.durationSeconds ?? 0)}`;
    else if (call.endReason) this.result = describeEnd(call.endReason, nameOf(this.other), this.isCaller);
    invalidate();
  }

  /** @param {string} result */
  #finish(result) {
    this.result = result;
    this.closeMedia();
    void this.#reporter?.stop();
    this.#reporter = null;
    this.#enter('ended');
  }

  /** @param {() => Promise<unknown>} action */
  async #attempt(action) {
    try {
      await action();
    } catch (error) {
      this.#report(error);
      if (error instanceof RequestError && error.status === 404) this.#finish('Call ended');
    }
  }
}

/**
 * @param {string} reason
 * @param {string} other
 * @param {boolean} isCaller
 */
function describeEnd(reason, other, isCaller) {
  switch (reason) {
    case 'declined':
      return isCaller ? `${other} declined` : 'You declined';
    case 'cancelled':
      return isCaller ? 'You cancelled' : `${other} cancelled`;
    case 'not_answered':
      return isCaller ? 'No answer' : 'Missed call';
    default:
      return `Call ended · ${words(reason)}`;
  }
}
