// Runs the operations with the bundle of bundle.mjs: `run.mjs <bundle> chat|video`.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import process from 'node:process';

import { WebSocket } from 'ws';

import { chatOperations } from '../js/chat_operations.mjs';
import { runOperations } from '../js/runner.mjs';
import { versionOf } from '../js/versions.mjs';
import { pretendJoins, videoOperations } from '../js/video_operations.mjs';

const [, , bundle, product] = process.argv;

// The globals of React Native that Node.js lacks, or has in another form.
globalThis.window = globalThis;
globalThis.WebSocket ??= WebSocket;
// WebRTC, which is native code. Its offer never arrives, so that a join stays between the SDK's
// `accept` and its connection to the media.
globalThis.RTCPeerConnection = class {
  addTransceiver() {}
  createOffer() {
    return new Promise(() => {});
  }
};
Object.defineProperty(globalThis, 'navigator', { value: { product: 'ReactNative' } });

const app = createRequire(import.meta.url)(bundle);

const loads = {
  'the packages of the app load': async () => {
    assert.equal(typeof app.StreamVideoRN.setPushConfig, 'function');
    assert.equal(typeof app.Chat, 'function');
    assert.match(new app.StreamVideoClient({ apiKey: 'key' }).streamClient.getUserAgent(), /react_native/);
  },
};

const suites = {
  chat: () => ({
    file: 'react_native_chat',
    sdk: 'stream-chat (React Native)',
    version: versionOf('stream-chat'),
    operations: chatOperations(app),
  }),
  video: () => ({
    file: 'react_native_video',
    sdk: '@stream-io/video-react-native-sdk',
    version: versionOf('@stream-io/video-react-native-sdk'),
    operations: { ...loads, ...videoOperations({ ...app, WebSocket }) },
  }),
};

if (product === 'video') await pretendJoins();
await runOperations(suites[product]());
