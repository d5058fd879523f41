// Frames of the console in Chromium, for bench/console_bench.py: scrolls what is long and counts.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const setup = JSON.parse(readFileSync(0, 'utf8'));
const require = createRequire(`${setup.modules}/`);
const { chromium } = await import(pathToFileURL(require.resolve('playwright-core')).href).then((m) => m.default ?? m);
const browser = await chromium.launch({ executablePath: setup.chromium, args: ['--no-sandbox', '--disable-gpu', '--no-first-run'] });
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
await context.request.post(`${setup.url}/v1/session`, { data: { token: setup.token } });
await context.addInitScript(() => {
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ entryTypes: ['longtask'] });
});

// Scrolls the rows for two seconds, a screen every frame, and answers the gaps between frames.
const scroll = (page) =>
  page.evaluate(async () => {
    const body = document.querySelector('main .rows-body');
    const gaps = [];
    window.longTasks.length = 0;
    let last = performance.now();
    const end = last + 2000;
    while (last < end) {
      body.scrollTop = body.scrollTop + body.clientHeight >= body.scrollHeight - 2 ? 0 : body.scrollTop + body.clientHeight;
      const now = await new Promise(requestAnimationFrame);
      gaps.push(now - last);
      last = now;
    }
    gaps.sort((a, b) => a - b);
    return { frames: gaps.length, p95: gaps[Math.floor(gaps.length * 0.95)], longest: gaps.at(-1), tasks: window.longTasks.slice(), rows: document.querySelectorAll('.rows-space > .row').length };
  });

async function look(name, path, ready, measure = scroll) {
  const page = await context.newPage();
  const began = Date.now();
  await page.goto(setup.url + path);
  await ready(page);
  const opened = Date.now() - began;
  const opening = await page.evaluate(() => window.longTasks.slice());
  const got = await measure(page);
  const ms = (n) => `${n.toFixed(0)} ms`;
  const tasks = (list) => (list.length === 0 ? 'no long task' : `${list.length} long tasks, the longest ${ms(Math.max(...list))}`);
  console.log(`${name}: there after ${ms(opened)} (${tasks(opening)}); scrolling: ${got.frames} frames in 2 s, p95 ${ms(got.p95)}, longest ${ms(got.longest)}, ${tasks(got.tasks)}, ${got.rows} rows in the page`);
  await page.close();
}

const x = (arn, query) => `/x/${encodeURI(arn)}?${query}`;
const row = (page) => page.locator('.rows-space > .row').first().waitFor();
await look('executions', '/executions', async (page) => {
  await row(page);
  // As far down as a person would go: some thousands of rows are loaded.
  for (let i = 0; i < 12; i++) {
    await page.evaluate(() => (document.querySelector('.rows-body').scrollTop = 1e9));
    await page.waitForTimeout(150);
  }
});
for (const view of ['table', 'timeline']) {
  await look(`Map of 6,200 items, ${view}`, x(setup.events, `view=${view}`), async (page) => {
    await row(page);
    await page.getByRole('status').getByText('6,201').waitFor();
  });
}
await look('distributed Map of 10,000 items, its executions', x(setup.large, 'state=Wide'), async (page) => {
  await page.getByRole('link', { name: '10,000 executions' }).click();
  await row(page);
});
await look('24,800 events', x(setup.events, 'view=events'), async (page) => {
  await row(page);
  await page.waitForFunction(() => Number(document.querySelector('[aria-rowcount]')?.getAttribute('aria-rowcount')) > 24_000);
});
await browser.close();
