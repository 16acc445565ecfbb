// Chromium with the console page, and what every test checks at its end: no error in the page, and no
// request to another machine.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

import { chromium } from 'playwright-core';

const variable = (name) => {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
};

export const consoleUrl = variable('CONSOLE_URL');
export const streamUrl = variable('STREAM_URL');

/** How long a step may take: a cold function on a busy machine is slow. */
export const STEP_MILLIS = 20_000;

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const profile = await mkdtemp(join(tmpdir(), 'console-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: FLAGS,
  viewport: { width: 1_280, height: 900 },
  permissions: ['clipboard-read', 'clipboard-write'],
});
context.setDefaultTimeout(STEP_MILLIS);

after(async () => {
  await context.close();
  await rm(profile, { recursive: true, force: true });
});

/** Where requests of the page may go. */
const ALLOWED = [consoleUrl, streamUrl, streamUrl.replace('http', 'ws')];
const isAllowed = (url) => /^(data|blob):/.test(url) || ALLOWED.includes(new URL(url).origin);

let failures = 0;

export const control = async (method, path, body) => {
  const response = await fetch(`${consoleUrl}/_local/console/${path}`, { method, body: body && JSON.stringify(body) });
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return response.json().catch(() => ({}));
};

/** A request to the API with the session token of a user, or of the service. */
export async function sendAs(id, method, path, body) {
  const { users } = await control('GET', 'state');
  const user = users.find((it) => it.id === id || it.role === id);
  const headers = { Authorization: `Bearer ${user.token}`, 'Content-Type': 'application/json' };
  return fetch(`${consoleUrl}/api/stream${path}`, { method, headers, body: body && JSON.stringify(body) });
}

/** Ends the open calls for all their members. */
export async function endCalls() {
  const { calls } = await control('GET', 'calls');
  for (const { callId } of calls.filter(({ status }) => status === 'active')) {
    await sendAs('service', 'POST', '/call/end', { callId });
  }
}

/** Undoes what an earlier test has left, if it failed: lost webhooks, faults, open calls. */
async function resetStack() {
  await control('POST', 'webhooks', { dropAll: false });
  await control('DELETE', 'faults');
  await endCalls();
}

/**
 * Opens the page, runs a test with it, and checks what went wrong in it.
 *
 * @param {(page: import('playwright-core').Page, seen: { requests: string[], blocked: string[], problems: string[] }) => Promise<void>} run
 * @param {{ width?: number, height?: number, theme?: 'light' | 'dark' }} [options]
 */
export async function withPage(run, { width = 1_280, height = 900, theme = 'light' } = {}) {
  await resetStack();
  const page = await context.newPage();
  const seen = { requests: [], blocked: [], problems: [] };
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('requestfailed', (request) => {
    // The policy of the page has stopped it before it was sent.
    if (request.failure()?.errorText !== 'csp') return;
    seen.blocked.push(request.url());
    seen.requests.splice(seen.requests.indexOf(request.url()), 1);
  });
  page.on('websocket', (socket) => seen.requests.push(socket.url()));
  page.on('pageerror', (error) => seen.problems.push(String(error)));
  page.on('console', (message) => {
    // A response with an error status is what some tests want.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) seen.problems.push(message.text());
  });
  await page.addInitScript(() => {
    globalThis.policyViolations = [];
    document.addEventListener('securitypolicyviolation', (event) => globalThis.policyViolations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
  await page.setViewportSize({ width, height });
  try {
    await page.goto(`${consoleUrl}/`);
    await page.getByText('Ready to call').nth(1).waitFor();
    await run(page, seen);
    assert.deepEqual(await page.evaluate(() => globalThis.policyViolations), []);
    assert.deepEqual(seen.problems, []);
    assert.deepEqual(seen.blocked, []);
    assert.deepEqual(seen.requests.filter((url) => !isAllowed(url)), []);
  } catch (error) {
    failures += 1;
    if (process.env.FAILURES_DIR) {
      await page.screenshot({ path: join(process.env.FAILURES_DIR, `failure-${failures}.png`), fullPage: true });
    }
    throw error;
  } finally {
    await page.close();
  }
}

/** Waits until a condition holds, and returns its value. */
export async function eventually(read, isDone, what) {
  const end = performance.now() + STEP_MILLIS;
  for (;;) {
    const value = await read();
    if (isDone(value)) return value;
    if (performance.now() > end) assert.fail(`${what}: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The phones, panels and rows of the page. */
export function elements(page) {
  const panel = (name) => page.getByRole('region', { name, exact: true });
  return {
    press: (name) => page.getByRole('button', { name, exact: true }).click(),
    phone: (name) => page.getByRole('region', { name: `Phone of ${name}` }),
    panel,
    requests: (text) => panel('Requests').locator('.request').filter({ hasText: text }),
    /** The row of the call that the phones show. */
    call: async () => {
      const id = await panel('Phones').locator('header .call-tag').innerText();
      return panel('Calls').locator('tbody tr').filter({ hasText: id });
    },
    /** Shows only the requests of a path, and returns those of the call that the phones show. */
    find: async (text) => {
      await page.getByLabel(/^Filter requests/).fill(text);
      const id = await panel('Phones').locator('header .call-tag').innerText();
      return panel('Requests').locator('.request').filter({ hasText: text }).filter({ hasText: id });
    },
    clock: (words) => page.getByRole('button', { name: `Move the clock ${words} ahead` }).click(),
    say: async (name, text) => {
      await page.getByLabel(`Message as ${name}`).fill(text);
      await page.getByLabel(`Message as ${name}`).press('Enter');
    },
  };
}

/** Ends the call that a test has left open, so that the next test finds idle phones. */
export async function hangUp(page) {
  const { press, call } = elements(page);
  await press('Hang up as Alice');
  await (await call()).getByText('ended').waitFor();
}
