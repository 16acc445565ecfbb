// Runs the operations of one SDK and writes the results. The file lists every operation before the
// first one runs, so that a crash shows as operations that did not run.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import { syncClock } from './stack.mjs';
import { within } from './wait.mjs';

const OPERATION_DEADLINE_MS = 45_000;

/**
 * Runs `operations`, an object of functions by name, one after another. Each gets a scope: what the
 * operation hands to `scope.defer` runs after it, whether it failed or not.
 */
export async function runOperations({ file, sdk, version, operations }) {
  const names = Object.keys(operations).filter((name) => name.includes(process.env.ONLY ?? ''));
  const results = names.map((name) => ({ name, status: 'not run' }));
  const save = () => {
    const target = path.join(process.env.RESULTS_DIR, `${file}.json`);
    writeFileSync(target, JSON.stringify({ sdk, version, operations: results }, null, 2));
  };
  save();
  await syncClock();
  for (const result of results) {
    const started = Date.now();
    const deferred = [];
    try {
      const run = operations[result.name]({ defer: (action) => deferred.push(action) });
      await within(run, result.name, OPERATION_DEADLINE_MS);
      result.status = 'ok';
    } catch (error) {
      result.status = 'failed';
      result.error = error.stack ?? String(error);
    }
    for (const action of deferred.reverse()) {
      // A client that could not connect may fail to disconnect: that is no result of the operation.
      await within(Promise.resolve().then(action), 'cleanup', 5_000).catch(() => {});
    }
    result.millis = Date.now() - started;
    const word = result.status === 'ok' ? 'ok    ' : 'FAILED';
    console.log(`${word} ${sdk}: ${result.name} (${result.millis} ms)`);
    if (result.error) console.log(result.error);
    save();
  }
  // Timers of the SDKs outlive their clients.
  process.exit(0);
}

// An SDK may leave a rejected promise behind, as the video SDK does after a join without media.
process.on('unhandledRejection', (error) => console.log(`unhandled rejection: ${error?.message ?? error}`));
