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

/**
 * Opens the page, runs a test with it, and checks what went wrong in it.
 *
 * @param {(page: import('playwright-core').Page, seen: { requests: string[], problems: string[] }) => Promise<void>} run
 * @param {{ width?: number, height?: number, theme?: 'light' | 'dark' }} [options]
 */
export async function withPage(run, { width = 1_280, height = 900, theme = 'light' } = {}) {
  const page = await context.newPage();
  const seen = { requests: [], problems: [] };
  page.on('request', (request) => seen.requests.push(request.url()));
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
    assert.deepEqual(seen.requests.filter((url) => !isAllowed(url)), []);
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
    button: (name) => page.getByRole('button', { name, exact: true }),
    phone: (name) => page.getByRole('region', { name: `Phone of ${name}` }),
    panel,
    requests: (text) => panel('Requests').locator('.request').filter({ hasText: text }),
    calls: () => panel('Calls').locator('tbody tr'),
    clock: (words) => page.getByRole('button', { name: `Move the clock ${words} ahead` }).click(),
    say: async (name, text) => {
      await page.getByLabel(`Message as ${name}`).fill(text);
      await page.getByLabel(`Message as ${name}`).press('Enter');
    },
  };
}

/** Ends the call that a test has left open, so that the next test finds idle phones. */
export async function hangUp(page) {
  const { button, panel } = elements(page);
  await button('Hang up as Alice').click();
  await panel('Calls').locator('tbody tr').first().getByText('ended').waitFor();
}
