// Stream client. The SDK reuses connections; `disableCache` keeps channels out of memory.

import { StreamChat } from 'stream-chat';

export const API_KEY = process.env.STREAM_API_KEY;

const BASE_URL = (process.env.STREAM_BASE_URL || 'https://chat.stream-io-api.com').replace(/\/+$/, '');

export const stream = new StreamChat(API_KEY, process.env.STREAM_API_SECRET, {
  baseURL: BASE_URL,
  disableCache: true,
});

/** Creates a video call if it does not exist. The chat SDK has no method for video, but sends any request. */
export function getOrCreateCall(id, body) {
  return stream.post(`${BASE_URL}/api/v2/video/call/default/${encodeURIComponent(id)}`, body);
}
