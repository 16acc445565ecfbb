// What goes wrong between the phones, Stream and the stack: lost, late and rejected answers.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { control, elements, endCalls, eventually, hangUp, sendAs, streamUrl, withPage } from './browser.mjs';

/** A promise, and what resolves it. */
function gate() {
  const it = {};
  it.opened = new Promise((resolve) => (it.open = resolve));
  return it;
}

/**
 * Sends the next request of a path at once, and holds its answer back. `arrived` resolves once the answer
 * is there, and `release` passes it on, or another one.
 */
async function holdAnswer(page, url) {
  const [arrived, released] = [gate(), gate()];
  await page.route(
    url,
    async (route) => {
      const response = await route.fetch();
      arrived.open();
      await released.opened.then((answer) => route.fulfill(answer ?? { response }));
    },
    { times: 1 },
  );
  return { arrived: arrived.opened, release: released.open };
}

const UNAVAILABLE = { status: 503, json: { code: 'stream_unavailable' } };

/** Loads the page again. `arrived` resolves once an event of this type is on a socket of the page. */
async function reloadAndWatch(page, type) {
  const event = gate();
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => String(payload).includes(`"${type}"`) && event.open()));
  await page.reload();
  await page.getByText('Ready to call').nth(1).waitFor();
  return { arrived: event.opened };
}

const emulator = async (action, body) => {
  const response = await fetch(`${streamUrl}/_emulator/${action}`, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(response.status, 200, action);
};

async function startCall(page) {
  const { press, phone } = elements(page);
  await press('Call Bob as Alice');
  await press('Accept as Bob');
  await phone('Alice').getByText('in the call', { exact: true }).waitFor();
}

test('a reload during a ring keeps the roles and the time of the ring', () =>
  withPage(async (page) => {
    const { press, phone } = elements(page);
    await press('Call Alice as Bob');
    await phone('Alice').getByText('Incoming video call').waitFor();
    const timer = phone('Bob').locator('.stage .timer');
    await eventually(() => timer.textContent(), (text) => text >= '0:03', 'the ring timer');
    await page.reload();
    await phone('Alice').getByText('Incoming video call').waitFor();
    assert.ok((await timer.textContent()) >= '0:03');
    await press('Decline as Alice');
    await phone('Bob').getByText('Alice declined').waitFor();
  }));

test('two users who dial each other at once are in one call', () =>
  withPage(async (page) => {
    const { press, phone } = elements(page);
    const rung = await reloadAndWatch(page, 'call.ring');
    const created = gate();
    await page.route('**/call/create', async (route) => {
      const isFirst = route.request().postDataJSON().receiverId === 'bob';
      if (!isFirst) await created.opened;
      const response = await route.fetch();
      if (isFirst) created.open();
      else await rung.arrived;
      await route.fulfill({ response });
    });
    await page.evaluate(() => {
      for (const name of ['Call Bob as Alice', 'Call Alice as Bob']) document.querySelector(`[aria-label="${name}"]`).click();
    });
    for (const name of ['Alice', 'Bob']) await phone(name).getByText('in the call', { exact: true }).waitFor();
    await hangUp(page);
  }));

test('a ring during a call that cannot be created rings', () =>
  withPage(async (page) => {
    const { press, phone } = elements(page);
    const rung = await reloadAndWatch(page, 'call.ring');
    await page.route('**/call/create', async (route) => {
      await rung.arrived;
      await route.fulfill(UNAVAILABLE);
    });
    await press('Call Bob as Alice');
    assert.equal((await sendAs('bob', 'POST', '/call/create', { receiverId: 'alice', ring: true })).status, 200);
    await phone('Alice').getByText('Incoming video call').waitFor();
    await press('Decline as Alice');
    await phone('Alice').getByText('You declined').waitFor();
  }));

/** Ends a call while Bob joins it. The answer of the join is still held back. */
async function endDuringJoin(page) {
  const { press, phone } = elements(page);
  await press('Call Bob as Alice');
  await phone('Bob').getByText('Incoming video call').waitFor();
  const join = await holdAnswer(page, '**/join?*');
  await press('Accept as Bob');
  await join.arrived;
  await endCalls();
  await phone('Bob').getByText('Call ended').waitFor();
  return join;
}

test('a call that ends during a join stays ended', () =>
  withPage(async (page, seen) => {
    const { phone } = elements(page);
    const join = await endDuringJoin(page);
    let hasLeft = false;
    page.once('websocket', (socket) => socket.once('close', () => (hasLeft = true)));
    join.release();
    await eventually(() => hasLeft, Boolean, 'Bob has left the media');
    await phone('Bob').getByRole('button', { name: 'Call Alice as Bob' }).waitFor();
    // The socket closes before it is open.
    seen.problems.length = 0;
  }));

test('a join that fails after the end of the call does not ring again', () =>
  withPage(async (page) => {
    const { phone } = elements(page);
    const join = await endDuringJoin(page);
    join.release({ status: 500, json: { code: -1, message: 'the join failed' } });
    await phone('Bob').getByRole('alert').getByText('the join failed').waitFor();
    await phone('Bob').getByRole('button', { name: 'Call Alice as Bob' }).waitFor();
  }));

test('a call of an earlier user of a phone does not touch the next user', () =>
  withPage(async (page) => {
    const { press, phone } = elements(page);
    const create = await holdAnswer(page, '**/call/create');
    await press('Call Alice as Bob');
    await create.arrived;
    await page.getByLabel('User of the right phone').selectOption('carol');
    await phone('Carol').getByText('Ready to call Alice').waitFor();
    const answer = page.waitForResponse('**/call/create');
    const senders = new Set();
    page.on('request', async (request) => {
      const token = (await request.allHeaders()).authorization?.split('.')[1];
      if (token && request.url().includes('/video/call/')) senders.add(JSON.parse(Buffer.from(token, 'base64url')).user_id);
    });
    create.release();
    await (await answer).finished();
    await press('Decline as Alice');
    await phone('Alice').getByText('You declined').waitFor();
    await phone('Carol').getByText('Ready to call Alice').waitFor();
    assert.deepEqual([...senders], ['alice']);
  }));

test('a call that ends during a failed hang-up is over', () =>
  withPage(async (page) => {
    const { press, phone } = elements(page);
    await startCall(page);
    const held = gate();
    const seen = gate();
    await page.route('**/call/end', async (route) => {
      seen.open();
      await held.opened;
      await route.fulfill(UNAVAILABLE);
    });
    await press('Hang up as Alice');
    await seen.opened;
    await endCalls();
    await phone('Bob').getByText('Call ended').waitFor();
    held.open();
    await phone('Alice').getByText('Call ended').waitFor();
  }));

test('a phone whose hang-up fails goes on to report its quality', () =>
  withPage(async (page) => {
    const { phone, press } = elements(page);
    await startCall(page);
    await page.route('**/call/end', (route) => route.fulfill(UNAVAILABLE), { times: 1 });
    await press('Hang up as Alice');
    await phone('Alice').getByRole('alert').getByText('Stream does not answer').waitFor();
    const devices = new Set();
    page.on('request', (request) => {
      if (request.url().includes('/call/quality/') && request.method() === 'POST') devices.add(request.postDataJSON().deviceId);
    });
    const timer = phone('Alice').locator('.stage .timer');
    await eventually(() => timer.textContent(), (text) => text >= '0:04', 'the talk timer');
    await hangUp(page);
    await eventually(() => devices.size, (size) => size === 2, 'the phones that report');
  }));

test('a ring during a lost connection rings after it', () =>
  withPage(async (page) => {
    const { press, phone } = elements(page);
    await emulator('sockets/refuse', { times: 4, code: 71 });
    await emulator('sockets/drop', { user_id: 'bob', code: 1001 });
    await phone('Bob').getByText('connecting', { exact: true }).waitFor();
    assert.equal((await sendAs('alice', 'POST', '/call/create', { receiverId: 'bob', ring: true })).status, 200);
    await phone('Bob').getByText('Incoming video call').waitFor();
    await press('Decline as Bob');
    await phone('Bob').getByText('You declined').waitFor();
  }));

test('a revoked session is replaced', () =>
  withPage(async (page) => {
    const { phone } = elements(page);
    const steps = [];
    await page.route('**/api/stream/token', (route) => route.fulfill({ status: 403, json: { code: 'session_revoked', detail: 'sign in again' } }), { times: 1 });
    page.on('response', (response) => {
      const path = new URL(response.url()).pathname;
      if (/token$|state$/.test(path)) steps.push(`${path.split('/').at(-1)} ${response.status()}`);
    });
    await phone('Bob').getByText('Off', { exact: true }).click();
    await phone('Bob').getByText('no network', { exact: true }).waitFor();
    steps.length = 0;
    await phone('Bob').getByText('Good', { exact: true }).click();
    await phone('Bob').getByText('online', { exact: true }).waitFor();
    assert.equal(await phone('Bob').getByRole('alert').count(), 0);
    assert.match(steps.join(', '), /^(state 200, )*token 403, (state 200, )+token 200/);
  }));

test('a rejected Stream token is renewed', () =>
  withPage(async (page) => {
    const { phone } = elements(page);
    await page.route('**/accept?*', (route) => route.fulfill({ status: 401, json: { code: 40, message: 'token expired' }, headers: { 'access-control-allow-origin': '*' } }), { times: 1 });
    await startCall(page);
    await phone('Bob').getByText('in the call', { exact: true }).waitFor();
    assert.equal(await phone('Bob').getByRole('alert').count(), 0);
    await hangUp(page);
  }));

test('another start of the stack is read from its first request', () =>
  withPage(async (page) => {
    const { panel, requests, press, call } = elements(page);
    await press('Call Bob as Alice');
    await press('Decline as Bob');
    await (await call()).getByText('declined').waitFor();
    await page.getByLabel(/^Filter requests/).fill('call/create');
    const others = panel('Requests').locator('.request').filter({ hasNotText: '/call/create' });
    await eventually(() => others.count(), (number) => number === 0, 'the filtered list');
    const count = await requests('/call/create').count();
    assert.ok(count > 0);
    const startedAt = new Date(Date.now() + 1_000).toISOString();
    await page.route('**/console/state', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), startedAt } });
    });
    // The state is read before a request of the new start is.
    const read = page.waitForRequest(/console\/requests\?after=0/);
    await page.getByRole('switch').click();
    await read;
    await eventually(() => requests('/call/create').count(), (now) => now === count, 'all requests');
    await page.getByRole('switch').click();
    await page.getByText('Webhooks arrive again').waitFor();
  }));

test('calls are read at most once a second, and the last state is shown', () =>
  withPage(async (page) => {
    const { call } = elements(page);
    await startCall(page);
    // Two states of the call are two reads, however fast the call is.
    await (await call()).getByText('active').waitFor();
    await hangUp(page);
    // The times of the page itself: those of the test have the delay of its connection to the browser.
    const times = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .filter(({ name }) => name.endsWith('/console/calls'))
        .map(({ startTime }) => startTime),
    );
    assert.ok(times.length > 1, `${times.length} reads`);
    const gaps = times.slice(1).map((time, index) => time - times[index]);
    assert.ok(gaps.every((gap) => gap > 950), gaps.join(' '));
  }));

test('a hidden page reads nothing, and catches up when it is shown', () =>
  withPage(async (page) => {
    const { requests } = elements(page);
    const setHidden = (isHidden) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value });
        document.dispatchEvent(new Event('visibilitychange'));
      }, isHidden);
    await setHidden(true);
    const reads = [];
    page.on('request', (request) => request.url().includes('/_local/console/') && reads.push(request.url()));
    await sendAs('alice', 'GET', '/call?state=open');
    // The stack waits for a request that never comes: longer than the page between two reads.
    const { next } = await control('GET', 'requests?after=0');
    await control('GET', `requests?after=${next}&waitMs=6000`);
    assert.deepEqual(reads, []);
    await sendAs('alice', 'GET', '/none-while-hidden');
    await setHidden(false);
    await page.getByLabel(/^Filter requests/).fill('none-while-hidden');
    await requests('/none-while-hidden').first().waitFor();
  }));

test('an answer that is older than a move of the clock changes nothing', () =>
  withPage(async (page) => {
    const { clock } = elements(page);
    const hour = () => page.locator('#clock b').innerText().then((text) => text.slice(0, 2));
    const before = await hour();
    const state = await holdAnswer(page, '**/console/state');
    await state.arrived;
    await clock('1 hour');
    await eventually(hour, (now) => now !== before, 'the clock');
    const now = await hour();
    await page.evaluate(() => {
      globalThis.hours = [];
      const note = () => globalThis.hours.push(document.querySelector('#clock b').textContent.slice(0, 2));
      new MutationObserver(note).observe(document.querySelector('#clock'), { characterData: true, childList: true, subtree: true });
    });
    state.release();
    await eventually(() => page.evaluate(() => globalThis.hours.length), (count) => count > 2, 'a view of the clock');
    const hours = await page.evaluate(() => globalThis.hours);
    assert.ok(!hours.includes(before), `${before} ${now}: ${hours}`);
  }));
