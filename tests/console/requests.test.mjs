// The list of requests: faults, sending again, filters, keys.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { elements, eventually, hangUp, withPage } from './browser.mjs';

/** A call that is answered, and its first row of `path`. */
async function startCall(page) {
  const { press, phone } = elements(page);
  await press('Call Bob as Alice');
  await press('Accept as Bob');
  await phone('Alice').getByText('in the call', { exact: true }).waitFor();
}

test('a fault is shown where it hits, and the request succeeds when it is sent again', () =>
  withPage(async (page) => {
    const { press, requests, call, find } = elements(page);
    await startCall(page);
    await page.locator('#faults summary').click();
    await page.getByRole('button', { name: /^EndCall answers 503, three times/ }).click();
    await page.getByText('Stream EndCall answers 503, 3 times', { exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await press('Hang up as Alice');
    const row = (await find('/call/end')).first();
    await row.locator('.cell-status').getByText('202').waitFor();
    await row.getByRole('button', { name: /with an injected fault/ }).click();
    await row.getByText('Decided:').waitFor();
    await row.getByText('EndCall').first().waitFor();
    await row.getByText('fault', { exact: true }).first().waitFor();
    await row.getByRole('button', { name: 'Send again' }).click();
    const again = requests('/call/end').filter({ hasText: 'Sent again from' }).first();
    await again.waitFor();
    await again.locator('.cell-status').getByText('200').waitFor();
    assert.match(await again.getAttribute('class'), /open.*fresh/);
    await (await call()).getByText('ended').waitFor();
  }));

test('an open request has its steps, logs, body and answer', () =>
  withPage(async (page) => {
    const { find } = elements(page);
    await startCall(page);
    const row = (await find('/call/create')).first();
    await row.getByRole('button', { name: /^POST, \/call\/create/ }).click();
    for (const text of ['call-create', 'GetOrCreateCall', 'GetOrCreateChannel', 'DynamoDB', 'Decided:']) await row.getByText(text).first().waitFor();
    const bar = await row.locator('.bar.stream').first().boundingBox();
    assert.ok(bar.width >= 3 && bar.height === 12, JSON.stringify(bar));
    await row.getByRole('tab', { name: /^Logs/ }).click();
    await row.getByText('request completed').waitFor();
    await row.getByRole('tab', { name: 'Body' }).click();
    const shown = async () => JSON.parse(await row.locator('pre').innerText());
    await eventually(shown, ({ receiverId }) => receiverId === 'bob', 'the body of the request');
    await row.getByRole('tab', { name: 'Answer' }).click();
    await eventually(shown, ({ rung }) => rung === true, 'the body of the response');
    await hangUp(page);
  }));

test('the copied curl command has the request and no token', () =>
  withPage(async (page) => {
    const { find } = elements(page);
    await startCall(page);
    const row = (await find('/call/create')).first();
    await row.getByRole('button', { name: /^POST, \/call\/create/ }).click();
    await row.getByRole('button', { name: 'Copy as curl' }).click();
    const command = await eventually(() => page.evaluate(() => navigator.clipboard.readText()), (text) => text.startsWith('curl'), 'the clipboard');
    assert.match(command, /-X 'POST' 'http:\/\/localhost:\d+\/api\/stream\/call\/create'/);
    assert.match(command, /Authorization: Bearer \$TOKEN/);
    assert.match(command, /"receiverId":"bob"/);
    assert.doesNotMatch(command, /eyJ/);
    await hangUp(page);
  }));

test('filters, kinds, a call and a pause select the requests', () =>
  withPage(async (page) => {
    const { panel, press, requests, call } = elements(page);
    await startCall(page);
    await hangUp(page);
    const all = panel('Requests').locator('.request');
    await page.getByLabel(/^Filter requests/).fill('bob token');
    await eventually(() => all.allInnerTexts(), (rows) => rows.length > 0 && rows.every((row) => /token/.test(row) && /Bob/.test(row)), 'filtered rows');
    await page.getByLabel(/^Filter requests/).fill('no such thing');
    await press('Show all requests');
    for (const kind of ['API', 'Webhooks', 'Sweeps']) await page.getByRole('button', { name: new RegExp(`^${kind}`) }).click();
    await eventually(() => all.allInnerTexts(), (rows) => rows.length > 0 && rows.every((row) => row.includes('→')), 'rows of the apps');
    for (const kind of ['API', 'Webhooks', 'Sweeps']) await page.getByRole('button', { name: new RegExp(`^${kind}`) }).click();

    const tag = (await call()).locator('.call-tag');
    const id = await tag.innerText();
    await tag.click();
    await page.getByText('All panels show the call').waitFor();
    await eventually(() => all.locator('.call-tag').allInnerTexts(), (ids) => ids.length > 3 && ids.every((it) => it === id), 'rows of the call');
    assert.equal(await all.count(), await all.locator('.call-tag').count());
    assert.equal(await panel('Calls').locator('tbody tr').count(), 1);
    await page.keyboard.press('Escape');
    await page.getByText('All panels show the call').waitFor({ state: 'detached' });

    await press('Pause');
    const count = await all.count();
    await press('Call Alice as Bob');
    await page.getByRole('button', { name: /^Continue · \d+ new/ }).waitFor();
    assert.equal(await all.count(), count);
    await page.getByRole('button', { name: /^Continue/ }).click();
    await requests('/call/create').first().waitFor();
    await press('Cancel the call as Bob');
    await (await call()).getByText('cancelled').waitFor();
  }));

test('keys walk through the requests', () =>
  withPage(async (page) => {
    const { press, requests, call } = elements(page);
    await press('Call Bob as Alice');
    await press('Decline as Bob');
    await (await call()).getByText('declined').waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.id ?? '');

    await page.keyboard.press('/');
    assert.equal(await focused(), 'filter');
    await page.keyboard.type('call/create');
    await page.keyboard.press('Enter');
    const first = await focused();
    assert.match(first, /^POST, \/call\/create, by Alice, 200/);
    await page.keyboard.press('j');
    assert.notEqual(await focused(), '');
    await page.keyboard.press('k');
    await page.keyboard.press('k');
    assert.equal(await focused(), first);
    await page.keyboard.press('Enter');
    const row = requests('/call/create').first();
    await row.getByText('Decided:').waitFor();
    assert.equal(await focused(), first, 'the row keeps the focus while it opens');
    await page.keyboard.press('c');
    await eventually(() => page.evaluate(() => navigator.clipboard.readText()), (text) => text.includes('/call/create'), 'the clipboard');
    await page.keyboard.press('r');
    await requests('/call/create').filter({ hasText: 'Sent again from' }).first().waitFor();

    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await page.getByLabel('Single keys are on').uncheck();
    await press('Close');
    await page.keyboard.press('/');
    assert.notEqual(await focused(), 'filter', 'keys are off');
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
    await page.getByLabel('Single keys are on').check();
    await press('Close');
  }));

test('the last request of a phone opens in the list', () =>
  withPage(async (page) => {
    const { press, phone, requests, call } = elements(page);
    await press('Call Bob as Alice');
    await phone('Bob').getByText('The chat of the call is open').waitFor();
    await press('Decline as Bob');
    await (await call()).getByText('declined').waitFor();
    await phone('Bob').getByRole('button', { name: /^Last request of Bob: POST .*reject/ }).click();
    await requests('/reject').filter({ hasText: 'Bob' }).first().getByRole('tab', { name: 'Steps' }).waitFor();
  }));
