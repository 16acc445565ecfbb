// Calls by clicks, from the ring to the picture.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { elements, eventually, hangUp, withPage } from './browser.mjs';

test('a whole call takes at most ten clicks', () =>
  withPage(async (page) => {
    await page.evaluate(() => {
      globalThis.clicks = 0;
      // A press of Enter in a form also fires a click, without a pointer.
      document.addEventListener('click', (event) => (globalThis.clicks += event.detail > 0 ? 1 : 0), true);
    });
    const { press, phone, panel, call } = elements(page);
    await press('Call Bob as Alice');
    await phone('Bob').getByText('Incoming video call').waitFor();
    await phone('Alice').getByText('Ringing').waitFor();
    await press('Accept as Bob');
    await phone('Alice').getByText('in the call', { exact: true }).waitFor();
    await phone('Bob').getByText('in the call', { exact: true }).waitFor();

    for (const [from, to, text] of [['Alice', 'Bob', 'Hello Bob'], ['Bob', 'Alice', 'Hello Alice']]) {
      await page.getByLabel(`Message as ${from}`).fill(text);
      await press(`Send as ${from}`);
      await page.getByRole('log', { name: `Chat of ${to}` }).getByText(text).waitFor();
      await page.getByRole('log', { name: `Chat of ${from}` }).getByText(text).waitFor();
    }
    const timer = phone('Alice').locator('.stage .timer');
    await eventually(() => timer.textContent(), (text) => text > '0:02', 'the talk timer');

    await press('Hang up as Bob');
    await phone('Alice').getByText(/Call ended · 0:0[2-9]|Call ended · 0:[1-5]/).waitFor();
    await phone('Bob').getByText(/Call ended · 0:/).waitFor();
    const row = await call();
    await row.getByText('ended').first().waitFor();
    assert.match(await row.locator('.cell-talk').innerText(), /^0:(0[2-9]|[1-5]\d)/);
    const picture = panel('Quality').getByRole('img');
    await picture.waitFor();
    assert.match(await picture.getAttribute('alt'), /score/i);
    assert.ok(await picture.evaluate((image) => image.naturalWidth >= 320));
    await panel('Quality').getByText(/^[1-4]\.\d (excellent|good|fair|poor|bad)$/).waitFor();

    // One id in every panel.
    const id = await row.locator('.call-tag').innerText();
    for (const name of ['Phones', 'Requests', 'Webhooks', 'Quality']) {
      await panel(name).locator('.call-tag').filter({ hasText: id }).first().waitFor();
    }
    const clicks = await page.evaluate(() => globalThis.clicks);
    assert.ok(clicks <= 10, `${clicks} clicks`);
  }));

test('a declined call ends on both phones and in the table', () =>
  withPage(async (page) => {
    const { press, phone, call } = elements(page);
    await press('Call Bob as Alice');
    await press('Decline as Bob');
    await phone('Alice').getByText('Bob declined').waitFor();
    await phone('Bob').getByText('You declined').waitFor();
    await (await call()).getByText('declined').waitFor();
  }));

test('a busy user is shown to the caller', () =>
  withPage(async (page) => {
    const { press, phone, call } = elements(page);
    await press('Call Alice as Bob');
    await press('Reject as busy as Alice');
    await phone('Bob').getByText('Alice is busy').waitFor();
    await (await call()).getByText('not answered').waitFor();
  }));

test('a cancelled call stops ringing', () =>
  withPage(async (page) => {
    const { press, phone, call } = elements(page);
    await press('Call Bob as Alice');
    await phone('Bob').getByText('Incoming video call').waitFor();
    await press('Cancel the call as Alice');
    await phone('Bob').getByText('Alice cancelled').waitFor();
    await (await call()).getByText('cancelled').waitFor();
  }));

test('a user who leaves can join again, and is in again after a lost connection', () =>
  withPage(async (page) => {
    const { press, phone } = elements(page);
    await press('Call Bob as Alice');
    await press('Accept as Bob');
    await phone('Alice').getByText('in the call', { exact: true }).waitFor();
    await press('Leave as Bob, the call goes on');
    await phone('Alice').getByText('not in the call').waitFor();
    await press('Join again as Bob');
    await phone('Alice').getByText('in the call', { exact: true }).waitFor();

    const network = (name) => phone('Bob').getByText(name, { exact: true }).click();
    await network('Off');
    await phone('Bob').getByText('no network').waitFor();
    await phone('Alice').getByText('not in the call').waitFor();
    await network('Good');
    await phone('Alice').getByText('in the call', { exact: true }).waitFor();
    await phone('Bob').getByText('in the call', { exact: true }).waitFor();
    await hangUp(page);
  }));

test('a reload of the page finds the open call', () =>
  withPage(async (page) => {
    const { press, phone } = elements(page);
    await press('Call Bob as Alice');
    await press('Accept as Bob');
    await phone('Alice').getByText('in the call', { exact: true }).waitFor();
    await page.reload();
    await press('Join again as Alice');
    await press('Join again as Bob');
    await phone('Alice').getByText('in the call', { exact: true }).waitFor();
    await phone('Bob').getByText('in the call', { exact: true }).waitFor();
    await hangUp(page);
  }));

test('a lost webhook and a moved clock close a call', () =>
  withPage(async (page) => {
    const { press, phone, call, clock, panel } = elements(page);
    await page.getByRole('switch').click();
    await panel('Webhooks').getByText('Lost: no event reaches the functions').waitFor();
    await press('Call Bob as Alice');
    await press('Decline as Bob');
    await phone('Alice').getByText('Bob declined').waitFor();
    await panel('Webhooks').getByText('lost by the switch').first().waitFor();
    // The functions do not know yet.
    const row = await call();
    await row.getByText('active').waitFor();
    await row.locator('.call-tag').click();
    await clock('5 minutes');
    await row.getByText(/ending|ended/).waitFor();
    await clock('1 minute');
    await row.getByText('ended').waitFor();
    assert.equal(await page.getByRole('switch').getAttribute('aria-checked'), 'false');
    await page.getByRole('switch').click();
    await page.getByText('Webhooks on').waitFor();
  }));

test('a moved clock ends the tokens, and the phones renew theirs', () =>
  withPage(async (page) => {
    const { phone, press, clock } = elements(page);
    for (let hours = 0; hours < 13; hours += 1) {
      const before = await page.locator('#clock b').innerText();
      await clock('1 hour');
      await eventually(() => page.locator('#clock b').innerText(), (text) => text.slice(0, 2) !== before.slice(0, 2), 'the clock');
    }
    await phone('Alice').getByText('online', { exact: true }).waitFor();
    await press('Call Bob as Alice');
    await press('Accept as Bob');
    await phone('Alice').getByText('in the call', { exact: true }).waitFor();
    await hangUp(page);
  }));

test('each phone can have another user', () =>
  withPage(async (page) => {
    const { phone, press } = elements(page);
    await page.getByLabel('User of the right phone').selectOption('carol');
    await phone('Alice').getByText('Ready to call Carol').waitFor();
    await press('Call Alice as Carol');
    await phone('Alice').getByText('Incoming video call').waitFor();
    await press('Decline as Alice');
    await phone('Carol').getByText('Alice declined').waitFor();
  }));
