// What the browser's tests share: the server they look at, Chromium, and eyes on every page for what must never happen: a violation
// of its content security policy, a script error, a request to anywhere else.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export const setup = JSON.parse(readFileSync(0, 'utf8'));
const require = createRequire(`${setup.modules}/`);
const { chromium } = await import(pathToFileURL(require.resolve('playwright-core')).href).then((m) => m.default ?? m);
export const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const flags = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
export const browser = await chromium.launch({ executablePath: setup.chromium, args: setup.root ? ['--no-sandbox', ...flags] : flags });
const PATIENCE = 15_000;
export const wrong = [];

export async function api(method, path, body, who = 'bob') {
  const response = await fetch(setup.url + path, {
    method,
    headers: { Authorization: `Bearer ${setup.tokens[who]}`, 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const value = await response.json();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(value)}`);
  return value;
}
export const start = (playbook, input = {}, name = undefined, who = 'bob') => api('POST', '/v1/executions', { playbook, input, name }, who);
export async function until(what, told) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const value = await what();
    if (value) return value;
    assert.ok(Date.now() < end, told);
    await new Promise((done) => setTimeout(done, 100));
  }
}
export const asked = (arn) => until(async () => (await api('GET', `/v1/approvals?status=pending&execution=${encodeURIComponent(arn)}`)).approvals[0], 'nobody was asked');
export const ended = (arn) => until(async () => { const x = await api('GET', `/v1/executions/${encodeURIComponent(arn)}`); return x.status !== 'RUNNING' && x; }, 'it did not end');

export async function context(options = {}) {
  const made = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
  made.setDefaultTimeout(PATIENCE);
  await made.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: setup.url });
  await made.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
  });
  made.on('request', (request) => {
    if (!request.url().startsWith(`${setup.url}/`) && !request.url().startsWith('blob:')) wrong.push(`a request to ${request.url()}`);
  });
  made.on('page', (page) => {
    page.on('pageerror', (error) => wrong.push(`script error at ${page.url()}: ${error.message}`));
    page.on('console', (message) => {
      if (/^CSP |Refused to|Trusted/.test(message.text())) wrong.push(`${page.url()}: ${message.text()}`);
    });
  });
  return made;
}
// A page of somebody who is logged in.
export async function open(path = '/', who = 'alice', options = {}) {
  const made = await context(options);
  const done = await made.request.post(`${setup.url}/v1/session`, { data: { token: setup.tokens[who] } });
  assert.equal(done.status(), 201);
  const page = await made.newPage();
  await page.goto(setup.url + path);
  return page;
}
export const close = (page) => page.context().close();
export const x = (arn, query = '') => `/x/${encodeURI(arn)}${query}`;
export const picture = (page, name) => page.screenshot({ path: `${setup.pictures}/${name}.png` });
