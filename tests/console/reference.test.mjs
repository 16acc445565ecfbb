// The API reference at /docs: Swagger UI with the description of the stack.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { consoleUrl, eventually, withPage } from './browser.mjs';

const METHODS = ['delete', 'get', 'patch', 'post', 'put'];

test('the API reference shows every operation, and sends requests to the stack', () =>
  withPage(async (page) => {
    const { paths } = await (await page.request.get(`${consoleUrl}/docs/openapi.json`)).json();
    const operations = Object.values(paths).flatMap((path) => Object.keys(path)).filter((name) => METHODS.includes(name));
    await page.goto(`${consoleUrl}/docs`);
    const blocks = page.locator('.opblock');
    await eventually(() => blocks.count(), (count) => count === operations.length, 'one block for each operation');

    const health = blocks.filter({ hasText: '/api/stream/health' });
    await health.getByRole('button').first().click();
    await health.getByRole('button', { name: 'Try it out' }).click();
    await health.getByRole('button', { name: 'Execute' }).click();
    const live = health.locator('.live-responses-table .response-col_status').last();
    await eventually(() => live.textContent(), (text) => text?.startsWith('200'), 'a response of the stack');
    assert.equal(new URL(await health.locator('.request-url pre').textContent()).origin, consoleUrl);
  }));
