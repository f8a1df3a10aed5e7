// Opens the pages of a running dual-mode in a real browser, as a phone and as a desktop, in light and
// in dark: the form has to get both answers, or the same refusal twice, and every call of the
// documentation has to work, without an error and without a request to anywhere else.
//
//   node pages.mjs REST_ORIGIN GRPC_ORIGIN [SCREENSHOT_DIR]
//
// What it needs is in common.mjs. Prints a line per check and ends with `N passed, M failed`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { check, errorsOf, faintTexts, overflow, run, SCHEMES, SIZES } from './common.mjs';

const [REST, GRPC, screenshotDir] = process.argv.slice(2);
if (!REST || !GRPC) {
  console.error('usage: node pages.mjs REST_ORIGIN GRPC_ORIGIN [SCREENSHOT_DIR]');
  process.exit(2);
}
// Under TLS a browser speaks HTTP/2, which has no reason phrases.
const phrase = (text) => (REST.startsWith('https:') ? '' : ` ${text}`);
const PATIENCE = 30_000; // milliseconds: the end of every wait, reached only by a check that fails
const GREETING = 'Here is your greetings --> Today is a special day!';
// The browser calls every answer of 400 and above an error; these are asked for.
const ASKED_FOR = /Failed to load resource: the server responded with a status of 400/;

const differs = (what, found, expected) => (
  JSON.stringify(found) === JSON.stringify(expected) ? [] : [`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`]
);

// Runs inside the page: every control needs a name, and every id a single element.
function unnamed() {
  const controls = [...document.querySelectorAll('input, select, textarea, button')];
  const nameless = controls.filter((one) => !one.labels?.length && !one.textContent.trim() && !one.ariaLabel);
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  return [
    ...nameless.map((one) => `${one.outerHTML.slice(0, 80)} has no name`),
    ...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${id} is there twice`),
  ];
}

async function open(browser, size, scheme, path) {
  const context = await browser.newContext({
    viewport: { width: size.width, height: size.height },
    colorScheme: scheme,
    ignoreHTTPSErrors: true,
    deviceScaleFactor: size.width < 600 ? 2 : 1,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  const errors = errorsOf(page);
  await page.goto(`${REST}${path}`, { waitUntil: 'load' });
  return { context, page, requests, errors };
}

async function looks(where, page, shot) {
  check(where, 'no horizontal scrolling of the page', await page.evaluate(overflow));
  check(where, 'every text stands out from its background', await page.evaluate(faintTexts));
  check(where, 'every control has a name', await page.evaluate(unnamed));
  if (screenshotDir) await page.screenshot({ path: join(screenshotDir, `${shot}.png`), fullPage: true });
}

const elsewhere = (requests) => requests.filter((url) => !/^data:/.test(url) && ![REST, GRPC].includes(new URL(url).origin));

/** Waits for the verdict, and gives what the table says, row by row. */
async function compared(page) {
  await page.waitForFunction(() => !/^$|^Calling/.test(document.getElementById('verdict').textContent));
  return page.evaluate(() => ({
    verdict: document.getElementById('verdict').textContent,
    ...Object.fromEntries([...document.querySelectorAll('#comparison tr')].map((row) => [
      row.cells[0].textContent, [row.cells[1].textContent, row.cells[2].textContent],
    ])),
  }));
}

async function form(browser, size, scheme) {
  const name = `/ ${size.name} ${scheme}`;
  const shot = (what) => `index-${what}-${size.name}-${scheme}`;
  const { context, page, requests, errors } = await open(browser, size, scheme, '/');
  for (const asked of ['json', 'protobuf', 'query']) {
    await page.selectOption('select[name=form]', asked);
    // As with a keyboard: a form is sent by the return key.
    await page.fill('input[name=messageType]', 'Diwali');
    await page.fill('input[name=year]', '2023');
    await page.press('input[name=year]', 'Enter');
    const found = await compared(page);
    const where = `${name}, ${asked}`;
    check(where, 'both greet', [
      ...differs('the verdict', found.verdict, 'Both give the same greeting.'),
      ...differs('the outcome', found.outcome, Array(2).fill(`${GREETING} (Diwali, 2023)`)),
      ...differs('the status', found.status, [`HTTP 200${phrase('OK')}`, `OK (0) in HTTP 200${phrase('OK')}`]),
    ]);
    // 08 Diwali and year 2023 as protobuf, and the same in a gRPC frame.
    const protobuf = '0000  12 06 44 69 77 61 6c 69';
    const framed = '0000  00 00 00 00 0b 12 06 44';
    const sent = await page.$$eval('pre.hex', (dumps) => dumps.map((dump) => dump.textContent.split('\n')[0]));
    check(where, 'the bytes are shown', [
      ...differs('the frame', sent[2].slice(0, framed.length), framed),
      ...(asked === 'protobuf' ? differs('the message', sent[0].slice(0, protobuf.length), protobuf) : []),
    ]);
    if (asked === 'json') await looks(where, page, shot('greeting'));
  }
  check(name, 'no error on the console, no failed request', errors);

  await page.selectOption('select[name=form]', 'json');
  await page.getByRole('button', { name: 'a year that is none' }).click();
  const refused = await compared(page);
  check(name, 'both refuse', [
    ...differs('the verdict', refused.verdict, 'Both refuse, for the same reason.'),
    ...differs('the outcome', refused.outcome, Array(2).fill('year must be between 1 and 9999')),
    ...differs('the reason', refused.reason, Array(2).fill('INVALID_ARGUMENT')),
    ...differs('the field', refused.fields, Array(2).fill('year: must be between 1 and 9999')),
    ...differs('the status', refused.status, [`HTTP 400${phrase('Bad Request')}`, `INVALID_ARGUMENT (3) in HTTP 200${phrase('OK')}`]),
  ]);
  await looks(`${name}, refused`, page, shot('refusal'));
  check(name, 'no error but the one that was asked for', errors.filter((error) => !ASKED_FOR.test(error)));

  await page.route(/rest_grpc_dual_mode/, (route) => route.abort());
  await page.getByRole('button', { name: 'a greeting' }).click();
  const alone = await compared(page);
  check(name, 'one side without an answer does not hide the other', [
    ...differs('the verdict', alone.verdict, 'gRPC-Web got no answer that can be read.'),
    ...differs('the outcome of REST', alone.outcome[0], `${GREETING} (Diwali, 2023)`),
    ...(alone.outcome[1].startsWith(`no answer from ${GRPC}`) ? [] : [alone.outcome[1]]),
  ]);
  check(name, 'nothing is fetched from anywhere else', elsewhere(requests));
  await context.close();
}

async function docs(browser, size, scheme) {
  const where = `/docs ${size.name} ${scheme}`;
  const { context, page, requests, errors } = await open(browser, size, scheme, '/docs');
  await page.waitForSelector('main:not([aria-busy])');
  const { paths } = await page.evaluate(async () => (await fetch('/openapi.json')).json());
  const operations = Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`));
  const shown = await page.$$eval('main section:has(form) h2', (titles) => titles.map((title) => title.textContent));
  check(where, 'every operation is there', [
    ...differs('the list', shown.toSorted(), operations.toSorted()),
    ...(operations.length ? [] : ['there are none']),
  ]);
  const call = async (operation, prepare = () => {}) => {
    const tried = page.getByRole('form', { name: `Try ${operation}`, exact: true });
    await prepare(tried);
    await tried.getByRole('button', { name: 'Try it' }).click();
    const status = page.locator('section', { has: tried }).getByRole('status');
    await status.filter({ hasText: /^[^…]+$/ }).waitFor();
    const said = await status.textContent();
    check(`${where}, ${operation}`, 'the call works', /^200( OK)?: \d+ bytes/.test(said) ? [] : [said]);
  };
  for (const operation of operations) await call(operation);
  await call('POST /v1/get_greetings', async (tried) => {
    await tried.getByLabel('content-type').selectOption('application/protobuf');
    await tried.getByLabel('accept').selectOption('application/protobuf');
    const body = tried.locator('textarea');
    const example = await body.inputValue();
    await body.fill('zz zz');
    await tried.getByRole('button', { name: 'Try it' }).click();
    const said = await page.locator('section', { has: tried }).getByRole('status').textContent();
    check(where, 'a body that is not hexadecimal is not sent', said.startsWith('Nothing was sent') ? [] : [said]);
    await body.fill(example);
  });
  const protobuf = await page.locator('#getGreeting pre').allTextContents();
  check(where, 'protobuf is shown in hexadecimal, and as a line for a terminal', [
    ...(protobuf.some((text) => text.startsWith('0000  0a 3f 48 65 72 65')) ? [] : ['no answer in hexadecimal']),
    ...(protobuf.some((text) => /^echo [0-9a-f]+ \| xxd -r -p \| curl -X POST/.test(text)) ? [] : ['no line']),
  ]);
  await looks(where, page, `docs-${size.name}-${scheme}`);
  await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; }));
  await looks(`${where}, unfolded`, page, `docs-unfolded-${size.name}-${scheme}`);
  check(where, 'no error on the console, no failed request', errors);
  check(where, 'nothing is fetched from anywhere else', elsewhere(requests));
  await context.close();
}

if (screenshotDir) mkdirSync(screenshotDir, { recursive: true });
await run(async (browser) => {
  for (const size of SIZES) {
    for (const scheme of SCHEMES) {
      await form(browser, size, scheme);
      await docs(browser, size, scheme);
    }
  }
});
