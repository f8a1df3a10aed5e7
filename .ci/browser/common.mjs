// What the checks in a real browser share: how Chromium is started, the windows that pages are opened
// in, what is wrong with a page wherever it comes from, and the tally.
//
// Needs playwright-core (PLAYWRIGHT_DIR: a directory whose node_modules holds it; otherwise it is
// looked up from the current directory) and Chromium (CHROMIUM: its path, otherwise
// /usr/bin/chromium).
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const require = createRequire(join(resolve(process.env.PLAYWRIGHT_DIR ?? '.'), 'noop.js'));
const { chromium } = require('playwright-core');

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
export const SIZES = [
  { name: 'small-phone', width: 360, height: 740 },
  { name: 'phone', width: 390, height: 844 },
  { name: 'desktop', width: 1280, height: 900 },
];
export const SCHEMES = ['light', 'dark'];

let passed = 0;
let failed = 0;

/** Prints a check, which has failed if there are problems. */
export function check(where, what, problems) {
  const ok = problems.length === 0;
  ok ? passed++ : failed++;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${where}: ${what}${ok ? '' : `: ${problems.join('; ')}`}`);
}

/** Runs `checks` with a browser, prints the tally, and ends the process: well if every check passed. */
export async function run(checks) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ARGS,
  });
  try {
    await checks(browser);
  } finally {
    await browser.close();
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

/** What the console says, and what could not be loaded, from now on. */
export function errorsOf(page) {
  const errors = [];
  page.on('requestfailed', (request) => errors.push(`${request.url()} could not be loaded`));
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) errors.push(message.text());
  });
  return errors;
}

// The next two functions run inside the page; each returns what is wrong with it.

export function overflow() {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const culprits = [...document.body.querySelectorAll('*')]
    .filter((element) => element.getBoundingClientRect().right > clientWidth + 1)
    .slice(0, 3)
    .map((element) => `${element.tagName.toLowerCase()}.${element.getAttribute('class') ?? ''}`);
  return [`${scrollWidth} px in a window of ${clientWidth}: ${culprits.join(', ')}`];
}

// Text must stand out from its paper: 4.5:1, or 3:1 when large (WCAG 2.2, 1.4.3).
export function faintTexts() {
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
