// The video SDK as a client in Node.js.

import { CallingState, StreamVideoClient } from '@stream-io/video-client';
import { WebSocket } from 'ws';

import { runOperations } from './runner.mjs';
import { versionOf } from './versions.mjs';
import { pretendJoins, videoOperations } from './video_operations.mjs';

// The feedback of a call names the browser. Node.js has this global from version 21 on.
globalThis.navigator ??= { userAgent: 'Node.js' };

await pretendJoins();
await runOperations({
  file: 'video_client',
  sdk: '@stream-io/video-client',
  version: versionOf('@stream-io/video-client'),
  operations: videoOperations({ StreamVideoClient, CallingState, WebSocket }),
});
