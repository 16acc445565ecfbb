// Stream. The SDK keeps connections open, and with `disableCache` it keeps no channels.

import { StreamChat } from 'stream-chat';

export const API_KEY = process.env.STREAM_API_KEY;

const BASE_URL = (process.env.STREAM_BASE_URL || 'https://chat.stream-io-api.com').replace(/\/+$/, '');

export const stream = new StreamChat(API_KEY, process.env.STREAM_API_SECRET, {
  baseURL: BASE_URL,
  disableCache: true,
});

/** A video call, made where it is not there yet: the chat SDK signs and sends what it has no method for. */
export function getOrCreateCall(id, body) {
  return stream.post(`${BASE_URL}/api/v2/video/call/default/${encodeURIComponent(id)}`, body);
}
