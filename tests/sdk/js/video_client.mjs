// The video SDK as a client in Node.js.

import { CallingState, StreamVideoClient } from '@stream-io/video-client';
import { WebSocket } from 'ws';

import { runOperations } from './runner.mjs';
import { versionOf } from './versions.mjs';
import { videoOperations } from './video_operations.mjs';

await runOperations({
  file: 'video_client',
  sdk: '@stream-io/video-client',
  version: versionOf('@stream-io/video-client'),
  operations: videoOperations({ StreamVideoClient, CallingState, WebSocket }),
});
