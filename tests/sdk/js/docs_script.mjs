// Runs the Node.js script of docs/LOCAL.md as the page says, against the local stack.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import { runOperations } from './runner.mjs';
import { apiUrl, register, sessionToken, streamUrl } from './stack.mjs';
import { versionOf } from './versions.mjs';
import { within } from './wait.mjs';

const [, , document] = process.argv;
const FIRST_LINE = '// watch.mjs';

/** The fenced block that begins with the first line of the script. */
function readScript() {
  const blocks = readFileSync(document, 'utf8').matchAll(/^```\w*\n([\s\S]*?)^```/gm);
  const script = [...blocks].map((block) => block[1]).find((code) => code.startsWith(FIRST_LINE));
  assert.ok(script, `${document} has no block that begins with ${FIRST_LINE}`);
  return script;
}

const operations = {
  'the script of docs/LOCAL.md prints the message of the function': async (scope) => {
    await register('alice', 'bob');
    // Beside node_modules, so that the import of the SDK resolves.
    const file = path.join(import.meta.dirname, '..', 'watch.mjs');
    writeFileSync(file, readScript());
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, API: apiUrl, STREAM: streamUrl, TOKEN: sessionToken('alice') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    scope.defer(() => child.kill());
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    const [code] = await within(once(child, 'close'), 'end of the script', 30_000);
    assert.equal(code, 0, output);
    assert.match(output, /^alice: Hello from the function$/m);
  },
};

await runOperations({
  file: 'docs_script',
  sdk: 'stream-chat (script of docs/LOCAL.md)',
  version: versionOf('stream-chat'),
  operations,
});
