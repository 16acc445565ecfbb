// The page itself: layout, contrast, names, and what it must never do.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { consoleUrl, elements, eventually, hangUp, sendAs, withPage } from './browser.mjs';

async function openCall(page) {
  const { press, phone, find } = elements(page);
  await press('Call Bob as Alice');
  await press('Accept as Bob');
  await phone('Alice').getByText('in the call', { exact: true }).waitFor();
  const row = (await find('/call/create')).first();
  await row.getByRole('button', { name: /^POST, \/call\/create/ }).click();
  await row.getByText('Decided:').waitFor();
}

/** Elements that are wider than the page, and not in a box that scrolls. */
const overflowing = () => {
  const limit = document.documentElement.clientWidth;
  const scrolls = (element) => element && (/(auto|scroll|hidden|clip)/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  return [...document.body.querySelectorAll('*')]
    .filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 1 && (box.right > limit + 1 || box.left < -1) && !scrolls(element.parentElement) && !element.closest('.unseen, .sprite, .skip');
    })
    .map((element) => `${element.tagName} ${element.className}`);
};

/**
 * Texts whose contrast with their background is below WCAG AA. The call screens have gradients, so their
 * texts are compared with the lightest colour below them.
 */
const lowContrasts = () => {
  const parse = (text) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((index) => top[index] * top[3] + below[index] * (1 - top[3])).concat(1);
  const luminance = ([r, g, b]) =>
    [r, g, b]
      .map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
      .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const background = (element) => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      const style = getComputedStyle(node);
      if (node.classList.contains('stage')) return layers.reduceRight((below, layer) => over(layer, below), parse(style.getPropertyValue('--hue-deep')));
      layers.push(parse(style.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.nodeValue.trim();
    if (!text || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || element.closest('.unseen, .sprite, :disabled, dialog:not([open])')) continue;
    const style = getComputedStyle(element);
    const ground = background(element);
    const ink = over(parse(style.color), ground);
    const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${text.slice(0, 30)}`);
  }
  return found;
};

for (const width of [360, 768, 1_180, 1_280, 1_920]) {
  for (const theme of ['light', 'dark']) {
    test(`the page fits ${width} px and has contrast when it is ${theme}`, () =>
      withPage(
        async (page) => {
          const check = async (what) => {
            const size = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
            assert.equal(size[0], size[1], `${what}: the page scrolls sideways`);
            assert.deepEqual(await page.evaluate(overflowing), [], `${what}: wider than the page`);
            assert.deepEqual(await page.evaluate(lowContrasts), [], `${what}: contrast`);
          };
          await check('idle');
          await openCall(page);
          await check('in a call');
          await page.locator('#faults summary').click();
          await check('with the menu');
          await page.keyboard.press('Escape');
          await hangUp(page);
          await check('after the call');
        },
        { width, theme },
      ));
  }
}

test('the theme can be chosen, and is kept', () =>
  withPage(async (page) => {
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByTitle('Dark').click();
    const dark = await ground();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await ground(), dark);
    await page.getByTitle('Theme of the system').click();
    assert.equal(await ground(), light);
  }));

test('all controls have a name, and the page has landmarks', () =>
  withPage(async (page) => {
    await openCall(page);
    await page.locator('#faults summary').click();
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send('Accessibility.getFullAXTree');
    const roles = ['button', 'link', 'textbox', 'searchbox', 'combobox', 'radio', 'checkbox', 'switch', 'tab', 'spinbutton', 'img', 'image', 'region', 'tabpanel', 'log', 'navigation', 'group', 'DisclosureTriangle'];
    const seen = nodes.filter(({ ignored, role }) => !ignored && roles.includes(role?.value));
    const unnamed = seen.filter(({ name, role }) => !name?.value && role.value !== 'group');
    assert.deepEqual(unnamed.map(({ role, properties }) => [role.value, properties]), []);
    const names = seen.map(({ role, name }) => `${role.value} ${name?.value}`);
    for (const expected of [
      'button Hang up as Alice',
      'button Leave as Bob, the call goes on',
      'button Move the clock 5 minutes ahead',
      'switch Webhooks reach the functions',
      'textbox Message as Alice',
      'searchbox Filter requests by path, user, status or call',
      'combobox User of the left phone',
      'region Requests',
      'region Phone of Bob',
      'log Chat of Bob',
      'radio Good',
      'radio Dark',
      'tab Deliveries',
    ]) {
      assert.ok(names.includes(expected), `${expected} is missing:\n${names.join('\n')}`);
    }
    assert.ok(names.some((name) => /^button POST, \/call\/create, by Alice, 200, /.test(name)));
    assert.equal(await page.getByRole('main').count(), 1);
    assert.equal(await page.getByRole('banner').count(), 1);
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
    const headings = await page.getByRole('heading', { level: 2 }).allInnerTexts();
    assert.deepEqual(headings, ['Users', 'Phones', 'Quality', 'Requests', 'Calls', 'Webhooks']);
    await hangUp(page);
  }));

test('Tab reaches every control, with a visible focus', () =>
  withPage(async (page) => {
    await page.evaluate(() => document.body.focus());
    const reached = new Set();
    for (let step = 0; step < 120; step += 1) {
      await page.keyboard.press('Tab');
      const { name, isPage, isVisible } = await page.evaluate(() => {
        const element = document.activeElement;
        const label = element?.closest('label');
        const outlined = element?.classList.contains('unseen') ? label : element;
        const style = outlined && getComputedStyle(outlined, outlined.matches('.row-button') ? '::after' : null);
        return {
          name: (element?.getAttribute('aria-label') || label?.innerText.trim() || element?.innerText?.trim() || element?.id || '').replace(/\s+/g, ' ').slice(0, 60),
          isPage: element !== document.body,
          isVisible: !style || style.outlineStyle !== 'none',
        };
      });
      // The last control is behind it.
      if (!isPage || (reached.size > 10 && name === 'Skip to the requests')) break;
      assert.ok(isVisible, `${name} has no visible focus`);
      reached.add(name);
    }
    for (const expected of ['Skip to the requests', 'Move the clock 1 hour ahead', 'Webhooks reach the functions', 'A Alice', 'Copy token', 'User of the left phone Alice Bob Carol', 'Call Bob as Alice', 'Call Alice as Bob', 'Pause', 'Sweep now', 'Deliveries']) {
      assert.ok(reached.has(expected), `${expected}: ${[...reached].join(' | ')}`);
    }
  }));

test('texts of others stay texts', () =>
  withPage(async (page) => {
    const { press, phone, say } = elements(page);
    await press('Call Bob as Alice');
    await press('Accept as Bob');
    await phone('Alice').getByText('in the call', { exact: true }).waitFor();
    const text = '<img src=x onerror="document.title=1"><b>bold</b>';
    await say('Alice', text);
    await page.getByRole('log', { name: 'Chat of Bob' }).getByText(text).waitFor();
    assert.equal(await page.locator('.messages img, .messages b').count(), 0);
    await hangUp(page);
  }));

test('texts of requests and errors stay texts', () =>
  withPage(async (page) => {
    const { phone, requests, press } = elements(page);
    const text = '<b class="hostile">x</b>';
    await sendAs('alice', 'POST', `/none/${encodeURIComponent(text)}`, { receiverId: text });
    await page.getByLabel(/^Filter requests/).fill('none');
    const row = requests('/none/').first();
    await row.getByRole('button', { name: /^POST/ }).click();
    for (const tab of ['Body', 'Answer']) await row.getByRole('tab', { name: tab }).click();
    await row.getByRole('tab', { name: 'Body' }).click();
    await row.locator('pre').getByText(text.replaceAll('"', String.raw`\"`)).waitFor();

    await page.route('**/call/create', (route) => route.fulfill({ status: 409, json: { code: text, detail: text } }));
    await press('Call Bob as Alice');
    await phone('Alice').getByRole('alert').getByText(text).waitFor();
    assert.equal(await page.locator('.hostile').count(), 0);
  }));

test('no request of the page can leave the machine', () =>
  withPage(async (page, seen) => {
    const policy = (await page.request.get(`${consoleUrl}/`)).headers()['content-security-policy'];
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.ok(seen.requests.length > 10);
    await page.evaluate(() => {
      for (const [tag, attribute] of [['script', 'src'], ['img', 'src']]) {
        const element = document.createElement(tag);
        element[attribute] = `https://example.com/${tag}`;
        document.head.append(element);
      }
      void fetch('https://example.com/fetch').catch(() => {});
      navigator.sendBeacon('https://example.com/beacon', 'x');
      try {
        new WebSocket('wss://example.com/socket');
      } catch {
        // Some versions throw, some close the socket.
      }
      const form = document.createElement('form');
      form.action = 'https://example.com/form';
      form.method = 'post';
      document.body.append(form);
      form.submit();
    });
    // Only the policy makes a violation: a request without network fails in silence.
    const violations = () => page.evaluate(() => globalThis.policyViolations.map((it) => it.replace(/\?$/, '')).sort());
    assert.deepEqual(await eventually(violations, ({ length }) => length >= 6, 'violations of the policy'), [
      'connect-src https://example.com/beacon',
      'connect-src https://example.com/fetch',
      'connect-src wss://example.com/socket',
      'form-action https://example.com/form',
      'img-src https://example.com/img',
      'script-src-elem https://example.com/script',
    ]);
    await page.evaluate(() => (globalThis.policyViolations = []));
    assert.ok(seen.blocked.every((url) => url.includes('example.com')));
    seen.blocked.length = 0;
    seen.problems.length = 0;
  }));

test('a stack that has stopped is reported, and found again', () =>
  withPage(async (page, seen) => {
    const { phone } = elements(page);
    await page.context().setOffline(true);
    await page.getByRole('alert').getByText('The stack is not running').waitFor();
    await page.context().setOffline(false);
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await phone('Alice').getByText('Ready to call Bob').waitFor();
    seen.problems.length = 0;
  }));
