// Runs the Node.js script of docs/LOCAL.md as the page says, against the local stack.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import { runOperations } from './runner.mjs';
import { apiUrl, emulator, streamUrl } from './stack.mjs';
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
    // Beside node_modules, so that the import of the SDK resolves.
    const file = path.join(import.meta.dirname, '..', 'watch.mjs');
    writeFileSync(file, readScript());
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, API: `${apiUrl}/api/stream`, API_URL: apiUrl, STREAM_URL: streamUrl },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    scope.defer(() => child.kill());
    let output = '';
    const arrived = new Promise((resolve, reject) => {
      const read = async (chunk) => {
        output += chunk;
        const sent = (await emulator('events')).filter((event) => event.type === 'message.new');
        if (sent.some((event) => output.includes(event.message.text))) resolve();
      };
      child.stdout.on('data', (chunk) => read(chunk).catch(reject));
      child.stderr.on('data', (chunk) => {
        output += chunk;
      });
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}: ${output}`))));
    });
    await within(arrived, 'message in the output of the script', 30_000).catch((error) => {
      throw new Error(`${error.message}\n${output}`);
    });
    assert.notEqual(output, '');
  },
};

await runOperations({
  file: 'docs_script',
  sdk: 'stream-chat (script of docs/LOCAL.md)',
  version: versionOf('stream-chat'),
  operations,
});
