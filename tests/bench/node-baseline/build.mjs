// Bundles each function into dist/<name>.js, as for a Lambda zip, and writes the command that runs the
// bundles into dist/runtime.json.

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
  // Prefer a package's ES modules, since only those can be tree-shaken.
  mainFields: ['module', 'main'],
  legalComments: 'none',
  logLevel: 'warning',
});

const RIC = 'node_modules/aws-lambda-ric';

/** npm omits an optional dependency that does not build. */
function selectRuntime() {
  if (!existsSync(`${RIC}/dist/rapid-client.node`)) {
    return { name: 'runtime/loop.mjs, since aws-lambda-ric did not build', command: ['node', 'runtime/loop.mjs'] };
  }
  const { version } = JSON.parse(readFileSync(`${RIC}/package.json`, 'utf8'));
  return { name: `aws-lambda-ric ${version}`, command: ['node', `${RIC}/bin/index.mjs`] };
}

const selectedRuntime = selectRuntime();
writeFileSync('dist/runtime.json', `${JSON.stringify(selectedRuntime, null, 2)}\n`);
console.log(`runtime: ${selectedRuntime.name}`);
