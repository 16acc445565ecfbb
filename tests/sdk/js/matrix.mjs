// Prints the matrix of the results: `matrix.mjs <docs/TESTING.md> [suite]`. Fails if an operation
// failed or did not run, or if the document has another version or number of operations.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

/** The suites that run.sh runs. A suite that crashes before its first operation leaves no file. */
const SUITES = [
  'chat_client',
  'video_client',
  'react_native_chat',
  'react_native_video',
  'chat_server',
  'python_chat',
  'python_getstream',
  'docs_script',
];

const [, , document, selected] = process.argv;
const documented = readFileSync(document, 'utf8').split('\n');
const suites = selected ? [selected] : SUITES;
const rows = [['SDK', 'version', 'operations', 'ok']];
const problems = [];
for (const suite of suites) {
  const file = path.join(process.env.RESULTS_DIR, `${suite}.json`);
  if (!existsSync(file)) {
    rows.push([suite, '-', '-', '0']);
    problems.push(`${suite}: no operation ran`);
    continue;
  }
  const { sdk, version, operations } = JSON.parse(readFileSync(file, 'utf8'));
  const ok = operations.filter((it) => it.status === 'ok');
  rows.push([sdk, version, String(operations.length), String(ok.length)]);
  for (const { name, status } of operations) {
    if (status !== 'ok') problems.push(`${sdk}: ${name}: ${status}`);
  }
  const row = `| ${sdk} | ${version} | ${operations.length} |`;
  if (!process.env.ONLY && !documented.some((line) => line.startsWith(row))) {
    problems.push(`${document} lacks the row ${row}`);
  }
  if (operations.length === 0) problems.push(`${sdk}: no operations`);
}

const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
for (const row of rows) {
  console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd());
}
for (const problem of problems) console.log(`NOT OK  ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);
