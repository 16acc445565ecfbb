// Bundles each function into dist/<name>.js, as a team would for its Lambda zip, and writes into
// dist/runtime.json what runs them here.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { build } from 'esbuild';

await build({
  entryPoints: ['hello', 'token', 'call-create'].map((name) => `src/${name}.mjs`),
  outdir: 'dist',
  bundle: true,
  minify: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // ES modules where a package has them, since only those can be tree-shaken.
  mainFields: ['module', 'main'],
  legalComments: 'none',
  logLevel: 'warning',
});

const RIC = 'node_modules/aws-lambda-ric';

/** npm leaves an optional dependency out where it does not build. */
function runtime() {
  if (!existsSync(`${RIC}/dist/rapid-client.node`)) {
    return { name: 'own loop, since aws-lambda-ric did not build', command: ['node', 'runtime/loop.mjs'] };
  }
  const { version } = JSON.parse(readFileSync(`${RIC}/package.json`, 'utf8'));
  return { name: `aws-lambda-ric ${version}`, command: ['node', `${RIC}/bin/index.mjs`] };
}

const found = runtime();
writeFileSync('dist/runtime.json', `${JSON.stringify(found, null, 2)}\n`);
console.log(`runtime: ${found.name}`);
