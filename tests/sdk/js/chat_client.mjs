// The chat SDK as a client in Node.js.

import { StreamChat } from 'stream-chat';
import { chatOperations } from './chat_operations.mjs';
import { runOperations } from './runner.mjs';
import { versionOf } from './versions.mjs';

await runOperations({
  file: 'chat_client',
  sdk: 'stream-chat (client)',
  version: versionOf('stream-chat'),
  operations: chatOperations({ StreamChat }),
});
