// Opens every page of a report in a real browser, as a phone and as a desktop, in light and in
// dark, and fails on anything a reader would stumble over.
//
//   node check.mjs REPORT_DIR [SCREENSHOT_DIR]
//
// What it needs is in common.mjs. Prints a line per check and ends with `N passed, M failed`.
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { check, errorsOf, faintTexts, overflow, run, SCHEMES, SIZES } from './common.mjs';

const [reportDir, screenshotDir] = process.argv.slice(2);
if (!reportDir) {
  console.error('usage: node check.mjs REPORT_DIR [SCREENSHOT_DIR]');
  process.exit(2);
}
// The next three functions run inside the page; each returns what is wrong with it.

// Both sides of a claim have to be seen at once, whatever the width: neither cut off, nor below the other.
function sides() {
  if (!document.querySelector('svg.panel, .claim')) return []; // Not the page on a run.
  const claims = [...document.querySelectorAll('.claim')];
  if (claims.length === 0) return ['the page shows no claim'];
  return claims.flatMap((claim) => {
    const name = claim.querySelector('h2').textContent;
    const boxes = [...claim.querySelectorAll('.sides > div')].map((side) => side.getBoundingClientRect());
    const clipped = [...claim.querySelectorAll('dt, dd, small')].filter((e) => e.scrollWidth > e.clientWidth + 1);
    const outside = boxes.filter((box) => box.left < 0 || box.right > document.documentElement.clientWidth);
    return [
      ...(boxes.length === 2 ? [] : [`${name} has ${boxes.length} sides`]),
      ...(new Set(boxes.map((box) => box.top)).size === 1 ? [] : [`the sides of ${name} are not side by side`]),
      ...(clipped.length + outside.length === 0 ? [] : [`a side of ${name} is cut off`]),
      ...(claim.querySelector('.grade')?.textContent ? [] : [`${name} has no grade`]),
    ];
  });
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
    const marks = [...svg.querySelectorAll('.mark, .whisker, .cross')].filter((mark) => {
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

async function open(browser, file, size, scheme) {
  const where = `${basename(file)} ${size.name} ${scheme}`;
  const context = await browser.newContext({
    viewport: { width: size.width, height: size.height },
    colorScheme: scheme,
    deviceScaleFactor: size.width < 600 ? 2 : 1,
  });
  const page = await context.newPage();
  const requests = [];
  const errors = errorsOf(page);
  page.on('request', (request) => {
    if (!/^(file|data):/.test(request.url())) requests.push(request.url());
  });
  await context.route(/^(?!file:|data:)/, (route) => route.abort());
  await page.goto(pathToFileURL(file).href, { waitUntil: 'load' });
  // ECharts animates for a second.
  if (await page.locator('canvas').count()) {
    for (let wait = 0; wait < 40; wait += 1) {
      await page.waitForTimeout(1500);
      if ((await page.evaluate(gooseCharts)).length === 0) break;
    }
  }

  check(where, 'nothing is fetched from a network', requests);
  check(where, 'no error on the console, no failed request', errors);
  check(where, 'no horizontal scrolling of the page', await page.evaluate(overflow));
  check(where, 'both sides of every claim are seen at once', await page.evaluate(sides));
  check(where, 'every drawing is drawn and described', await page.evaluate(drawings));
  check(where, 'every chart of goose is drawn', await page.evaluate(gooseCharts));
  check(where, 'every text stands out from its background', await page.evaluate(faintTexts));
  if (screenshotDir) {
    const name = `${basename(file, '.html')}-${size.name}-${scheme}.png`;
    await page.screenshot({ path: join(screenshotDir, name), fullPage: true });
  }
  await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
  check(where, 'nor with every detail unfolded', await page.evaluate(overflow));
  check(where, 'and every text there stands out too', await page.evaluate(faintTexts));
  await context.close();
}

const files = readdirSync(reportDir).filter((name) => name.endsWith('.html')).sort();
if (files.length === 0) {
  console.error(`no .html in ${reportDir}`);
  process.exit(2);
}
if (screenshotDir) mkdirSync(screenshotDir, { recursive: true });
await run(async (browser) => {
  for (const file of files) {
    for (const size of SIZES) {
      for (const scheme of SCHEMES) await open(browser, join(reportDir, file), size, scheme);
    }
  }
});
