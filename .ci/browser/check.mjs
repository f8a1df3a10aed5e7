// Opens every page of a report in a real browser, as a phone and as a desktop, in light and in
// dark, and fails on anything a reader would stumble over.
//
//   node check.mjs REPORT_DIR [SCREENSHOT_DIR]
//
// Needs playwright-core (PLAYWRIGHT_DIR: a directory whose node_modules holds it; otherwise it is
// looked up from the current directory) and Chromium (CHROMIUM: its path, otherwise
// /usr/bin/chromium). Prints a line per check and ends with `N passed, M failed`.
import { mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [reportDir, screenshotDir] = process.argv.slice(2);
if (!reportDir) {
  console.error('usage: node check.mjs REPORT_DIR [SCREENSHOT_DIR]');
  process.exit(2);
}
const require = createRequire(join(resolve(process.env.PLAYWRIGHT_DIR ?? '.'), 'noop.js'));
const { chromium } = require('playwright-core');

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const SIZES = [
  { name: 'small-phone', width: 360, height: 740 },
  { name: 'phone', width: 390, height: 844 },
  { name: 'desktop', width: 1280, height: 900 },
];
const SCHEMES = ['light', 'dark'];

let passed = 0;
let failed = 0;

function check(where, what, problems) {
  const ok = problems.length === 0;
  ok ? passed++ : failed++;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${where}: ${what}${ok ? '' : `: ${problems.join('; ')}`}`);
}

// The next four functions run inside the page; each returns what is wrong with it.

function overflow() {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const culprits = [...document.body.querySelectorAll('*')]
    .filter((element) => element.getBoundingClientRect().right > clientWidth + 1)
    .slice(0, 3)
    .map((element) => `${element.tagName.toLowerCase()}.${element.getAttribute('class') ?? ''}`);
  return [`${scrollWidth} px in a window of ${clientWidth}: ${culprits.join(', ')}`];
}

function drawings() {
  const charts = 'svg[role=img], div[id^="graph-"][style]';
  if (!document.querySelector(charts)) return ['the page has no chart at all'];
  return [...document.querySelectorAll('svg[role=img]')].flatMap((svg) => {
    const name = svg.querySelector('title')?.textContent;
    const box = svg.getBoundingClientRect();
    const lines = [...svg.querySelectorAll('path, polyline')].filter((line) => {
      const drawn = line.getBoundingClientRect();
      return line.getTotalLength() > 0 && drawn.width + drawn.height > 0
        && getComputedStyle(line).stroke !== 'none';
    });
    const marks = [...svg.querySelectorAll('.mark, .whisker')].filter((mark) => {
      const drawn = mark.getBoundingClientRect();
      const { fill, stroke } = getComputedStyle(mark);
      return drawn.width + drawn.height > 0 && (fill !== 'none' || stroke !== 'none');
    });
    return [
      ...(name ? [] : ['an svg without a title']),
      ...(svg.querySelector('desc')?.textContent ? [] : [`${name} has no description`]),
      ...(box.width > 0 && box.height > 0 ? [] : [`${name} has no size`]),
      ...(lines.length + marks.length > 0 ? [] : [`${name} has nothing drawn`]),
    ];
  });
}

// Goose gives each chart's element an id of its own; ECharts draws a canvas into it.
function gooseCharts() {
  return [...document.querySelectorAll('div[id^="graph-"][style]')].flatMap((holder) => {
    if (holder.querySelector('svg path')) return [];
    const canvas = holder.querySelector('canvas');
    if (!canvas || !canvas.width || !canvas.height) return [`${holder.id} has no canvas`];
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const colors = new Set(new Uint32Array(data.buffer));
    return colors.size > 8 ? [] : [`${holder.id} is blank (${colors.size} colours)`];
  });
}

// Text must stand out from its paper: 4.5:1, or 3:1 when large (WCAG 2.2, 1.4.3).
function faintTexts() {
  const rgba = (color) => {
    const [r = 0, g = 0, b = 0, a = 1] = color.match(/[\d.]+/g)?.map(Number) ?? [];
    return { r, g, b, a };
  };
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((channel) => {
      const c = channel / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const paper = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = rgba(getComputedStyle(e).backgroundColor);
      if (color.a === 1) return color;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const found = new Set();
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!own || !box.width || element.closest('title, desc, script, style, option')) continue;
    const style = getComputedStyle(element);
    const ink = element instanceof HTMLElement ? style.color : style.fill;
    const [light, dim] = [luminance(rgba(ink)), luminance(paper(element))].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dim + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) {
      found.add(`"${element.textContent.trim().slice(0, 24)}" at ${ratio.toFixed(1)}:1`);
    }
  }
  return [...found].slice(0, 5);
}

async function open(browser, file, size, scheme) {
  const where = `${basename(file)} ${size.name} ${scheme}`;
  const context = await browser.newContext({
    viewport: { width: size.width, height: size.height },
    colorScheme: scheme,
    deviceScaleFactor: size.width < 600 ? 2 : 1,
  });
  const page = await context.newPage();
  const requests = [];
  const errors = [];
  page.on('request', (request) => {
    if (!/^(file|data):/.test(request.url())) requests.push(request.url());
  });
  page.on('requestfailed', (request) => errors.push(`${request.url()} could not be loaded`));
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) errors.push(message.text());
  });
  await context.route(/^(?!file:|data:)/, (route) => route.abort());
  await page.goto(pathToFileURL(file).href, { waitUntil: 'load' });
  // ECharts animates for a second.
  if (await page.locator('canvas').count()) await page.waitForTimeout(1500);

  check(where, 'nothing is fetched from a network', requests);
  check(where, 'no error on the console, no failed request', errors);
  check(where, 'no horizontal scrolling of the page', await page.evaluate(overflow));
  check(where, 'every drawing is drawn and described', await page.evaluate(drawings));
  check(where, 'every chart of goose is drawn', await page.evaluate(gooseCharts));
  check(where, 'every text stands out from its background', await page.evaluate(faintTexts));
  if (screenshotDir) {
    const name = `${basename(file, '.html')}-${size.name}-${scheme}.png`;
    await page.screenshot({ path: join(screenshotDir, name), fullPage: true });
  }
  await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
  check(where, 'nor with every detail unfolded', await page.evaluate(overflow));
  await context.close();
}

const files = readdirSync(reportDir).filter((name) => name.endsWith('.html')).sort();
if (files.length === 0) {
  console.error(`no .html in ${reportDir}`);
  process.exit(2);
}
if (screenshotDir) mkdirSync(screenshotDir, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ARGS,
});
try {
  for (const file of files) {
    for (const size of SIZES) {
      for (const scheme of SCHEMES) await open(browser, join(reportDir, file), size, scheme);
    }
  }
} finally {
  await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
