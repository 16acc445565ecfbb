// Writes src/generated/api.ts from docs/openapi.yaml. With --check it fails if the file differs.
import { readFile, writeFile } from 'node:fs/promises';
import openapiTS, { astToString } from 'openapi-typescript';

const description = new URL('../../../docs/openapi.yaml', import.meta.url);
const output = new URL('../src/generated/api.ts', import.meta.url);
const header = '// Generated from docs/openapi.yaml by `npm run generate`. Do not edit.\n\n';

const generated = header + astToString(await openapiTS(description));
if (process.argv.includes('--check')) {
  const current = await readFile(output, 'utf8').catch(() => '');
  if (current !== generated) {
    console.error('src/generated/api.ts differs from docs/openapi.yaml: run `npm run generate`');
    process.exit(1);
  }
} else {
  await writeFile(output, generated);
}
