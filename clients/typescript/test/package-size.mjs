// Prints the size of the package, and fails if it has other files than those of its API. Reads `npm pack --json`.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

let text = '';
for await (const chunk of process.stdin) text += chunk;
const [{ size, unpackedSize, files }] = JSON.parse(text);
const names = files.map(({ path }) => path);
const unexpected = names.filter((name) => !/^(dist\/[\w/-]+\.(js|d\.ts)|README\.md|LICENSE|package\.json)$/.test(name));
assert.deepEqual(unexpected, []);
for (const name of ['dist/index.js', 'dist/index.d.ts', 'README.md', 'LICENSE']) assert.ok(names.includes(name), name);
const scripts = files.filter(({ path }) => path.endsWith('.js')).reduce((sum, file) => sum + file.size, 0);
console.log(`package: ${size} bytes, unpacked ${unpackedSize}, scripts ${scripts}`);
assert.ok(scripts < 60_000, 'the scripts have more than 60,000 bytes');
const { dependencies } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
assert.equal(dependencies, undefined, 'the package has a dependency');
