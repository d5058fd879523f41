// What people do in the console, from the first login to the last chart.
import assert from 'node:assert/strict';
import { setup, axeSource, api, start, until, asked, ended, context, open, close, x, picture } from './stage.mjs';

export const tests = {
  async 'the first load is small and nothing is served without a login'() {
    const page = await (await context()).newPage();
    let bytes = 0;
    const sizes = [];
    page.on('response', (response) => response.url().startsWith(setup.url) && sizes.push(response.request().sizes().then((s) => (bytes += s.responseBodySize))));
    await page.goto(setup.url);
    await page.getByLabel('Token').waitFor();
    await Promise.all(sizes);
    assert.ok(bytes > 5_000 && bytes < 60_000, `${bytes} bytes`);
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('this token is not valid').waitFor();
    await close(page);
  },

  async 'the story: watch it live, open the approval, decide, see it contained'() {
    const page = await open('/');
    await page.getByText('Nothing waits for your decision').waitFor();
    const { arn } = await start('contain', { title: 'CRITICAL: contain i-0abc' });
    // Nobody reloads: the card and the badge come by themselves.
    await page.getByRole('link', { name: /CRITICAL: contain i-0abc/ }).waitFor();
    await page.getByLabel('1 waiting on you').waitFor();
    await picture(page, 'home');
    const watching = await page.context().newPage();
    await watching.goto(setup.url + x(arn));
    await watching.getByRole('button', { name: /^Ask, Task, waiting for people/ }).waitFor();
    await picture(watching, 'execution');
    await page.getByRole('link', { name: /CRITICAL: contain i-0abc/ }).click();
    await page.getByRole('heading', { name: 'What will be done' }).waitFor();
    await page.getByText('sg-web, sg-db').waitFor();
    await page.getByText('Decided: $.answer.decision = approved → Contained').waitFor();
    await picture(page, 'approval');
    assert.ok(await page.getByRole('button', { name: 'Approve…' }).isDisabled(), 'a reason is required');
    await page.getByLabel(/^Reason/).fill('confirmed with the shop team');
    await page.getByRole('button', { name: 'Approve…' }).click();
    const dialog = page.getByRole('dialog');
    assert.ok(await dialog.getByRole('button', { name: 'Approve' }).isDisabled(), 'the name of the target is required');
    await dialog.getByLabel(/^Type/).fill('i-0abc');
    await dialog.getByRole('button', { name: 'Approve' }).click();
    await page.getByText('confirmed with the shop team').first().waitFor();
    await page.getByRole('link', { name: 'Go to the execution' }).waitFor();
    await watching.getByRole('button', { name: /^Contained, Succeed, succeeded/ }).waitFor();
    await watching.locator('h1 .tone-ok').waitFor();
    const { decision } = (await api('GET', `/v1/approvals?execution=${encodeURIComponent(arn)}`)).approvals[0];
    assert.deepEqual([decision.by, decision.decision, decision.channel], ['alice', 'approved', 'console']);
    await close(page);
  },

  async 'what failed is redriven: what runs again is said before, what is done is kept'() {
    const { arn } = await start('flaky', { once: `redrive-${Date.now()}` });
    await ended(arn);
    const page = await open(x(arn));
    await page.locator('h1').getByText('failed').waitFor();
    await page.getByRole('button', { name: 'Redrive…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Go on from where it failed' });
    await dialog.getByText('1 step will be run again').waitFor();
    await dialog.getByRole('listitem').filter({ hasText: 'Flaky' }).waitFor();
    await dialog.getByText('1 step that ended is kept').waitFor();
    await dialog.getByRole('button', { name: 'Run these again' }).click();
    await page.locator('h1').getByText('succeeded').waitFor();
    await page.getByText('redriven once').waitFor();
    await page.getByRole('button', { name: /^Flaky, Task, succeeded/ }).click();
    const pane = page.getByRole('complementary', { name: 'step Flaky' });
    await pane.getByRole('button', { name: 'Attempts 2' }).click();
    await pane.getByText('not the first time').first().waitFor();
    await pane.getByRole('button', { name: 'link to attempt 1' }).click();
    assert.match(page.url(), /attempt=1/);
    await pane.getByRole('button', { name: 'Logs' }).click();
    await pane.getByText('seen None').first().waitFor();
    assert.equal((await api('GET', '/v1/audit?action=execution.redrive')).entries[0].actor, 'person:alice');
    await close(page);
  },

  async 'variables are told: what a state could read and what it assigned'() {
    const { arn } = await start('variables', {});
    await ended(arn);
    const page = await open(x(arn, '?state=Call&tab=variables'));
    const pane = page.getByRole('complementary', { name: 'step Call' });
    await pane.getByText('"night"').waitFor();
    await pane.getByText('"Hello, night"').waitFor();
    await close(page);
  },

  async 'a distributed Map tells how far it is and leads to its items'() {
    const { arn } = await start('wide', { items: Array.from({ length: 60 }, (_, i) => i) });
    await ended(arn);
    const page = await open(x(arn, '?state=Wide'));
    await page.getByText('60 of 60 items ended: 60 ok').waitFor();
    await page.getByRole('link', { name: '60 executions' }).click();
    await page.getByRole('heading', { name: 'Items of a map run' }).waitFor();
    await page.getByText('60 rows loaded').waitFor();
    await page.getByRole('row').nth(1).click();
    await page.keyboard.press('Enter');
    await page.getByText('an item of').waitFor();
    await close(page);
  },

  async 'the search is in the address and the chips count'() {
    for (let i = 0; i < 5; i++) await start('tiny', {}, `search-${i}`);
    const page = await open('/executions?q=status:succeeded%20playbook:tiny%20name:search-*');
    await page.getByText('search-4').waitFor();
    await page.getByText('5 rows loaded').waitFor();
    await page.getByRole('button', { name: /^failed/ }).click();
    await page.getByText('No execution fits.').waitFor();
    assert.match(page.url(), /status%3Afailed/);
    await page.goBack();
    await page.getByText('search-4').waitFor();
    await page.getByRole('combobox', { name: 'search executions' }).fill('colour:red');
    await page.getByRole('combobox', { name: 'search executions' }).press('Enter');
    await page.getByText("'colour:red' cannot be searched for").waitFor();
    await close(page);
  },

  async 'the search looks into executions, offers its words, and is kept as a view for others'() {
    const { arn } = await start('flaky', { once: `search-${Date.now()}`, severity: 'CRITICAL', host: 'i-0abcdef' }, undefined, 'carol');
    await ended(arn);
    const name = arn.split(':').at(-1);
    const page = await open('/executions');
    const box = page.getByRole('combobox', { name: 'search executions' });
    await box.fill('err');
    await page.getByRole('option', { name: /^error:/ }).waitFor();
    await box.press('ArrowDown');
    await box.press('Enter');
    assert.equal(await box.inputValue(), 'error:');
    await box.fill('error:RuntimeError state:Flaky sev:critical resource:i-0abc* actor:carol playbook:fl');
    await page.getByRole('option', { name: 'playbook:flaky' }).waitFor();
    await box.press('ArrowDown');
    await box.press('Tab');
    await box.press('Enter');
    // The list before the search has the link, too.
    await page.getByText('1 row loaded').waitFor();
    await page.getByRole('link', { name }).waitFor();
    assert.equal(await page.getByRole('row').count(), 2);
    await page.getByRole('button', { name: 'Views…' }).click();
    await page.getByLabel('Name').fill('flaky and critical');
    await page.getByLabel('for everybody').check();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('button', { name: 'flaky and critical' }).waitFor();
    const other = await open('/executions', 'bob');
    await other.getByRole('button', { name: 'flaky and critical' }).click();
    await other.getByRole('link', { name }).waitFor();
    await other.getByRole('button', { name: 'Views…' }).click();
    await other.getByText('by alice').waitFor();
    assert.equal(await other.getByRole('button', { name: /^delete/ }).count(), 0);
    await close(other);
    await page.getByRole('button', { name: 'Views…' }).click();
    await page.getByRole('button', { name: 'delete flaky and critical' }).click();
    await page.getByText('None is saved yet.').waitFor();
    await close(page);
  },

  async 'the first page tells what is stuck, and which files of the project cannot be read'() {
    const one = await context();
    await one.request.post(`${setup.url}/v1/session`, { data: { token: setup.tokens.alice } });
    const { arn } = await start('contain', { title: 'Stuck for the page' });
    await asked(arn);
    // What waits for an hour cannot be made in a test: the page is given an answer that tells of it.
    await one.route('**/v1/overview', async (route) => {
      const response = await route.fetch();
      const body = await response.json();
      body.stuck = { checked_at: body.now, executions: [{ arn, name: 'x', state_machine: 'a:b:contain', status: 'RUNNING', started_at: body.now, stopped_at: null, state: 'Ask', since: body.now, sentence: 'Ask: it waits without a limit for <b>somebody</b>' }] };
      await route.fulfill({ response, json: body });
    });
    const page = await one.newPage();
    await page.goto(setup.url);
    await page.getByRole('heading', { name: /^Stuck/ }).waitFor();
    await page.getByText('Ask: it waits without a limit for <b>somebody</b>').click();
    await page.getByRole('complementary', { name: 'step Ask' }).waitFor();
    await page.goto(setup.url);
    await page.getByRole('heading', { name: 'The project folder has problems' }).waitFor();
    await page.getByText('broken.asl.json').first().waitFor();
    await one.close();
  },

  async 'the audit trail tells who did what, and is filtered'() {
    const { arn } = await start('contain', { title: 'For the trail' }, undefined, 'carol');
    const approval = await asked(arn);
    await api('POST', `/v1/approvals/${approval.id}/decision`, { decision: 'reject', reason: 'for <i>the</i> trail' }, 'alice');
    const page = await open('/audit');
    await page.getByLabel('action', { exact: true }).fill('approval.decide');
    await page.getByLabel('action', { exact: true }).press('Enter');
    await page.getByText('“for <i>the</i> trail”').first().click();
    await page.getByRole('complementary').getByText('person:alice').waitFor();
    assert.match(page.url(), /action=approval\.decide/);
    await page.getByRole('complementary').getByRole('link').click();
    await page.getByRole('status').filter({ hasText: 'alice decided' }).waitFor();
    await page.goto(`${setup.url}/audit?actor=person:nobody`);
    await page.getByText('No entry fits.').waitFor();
    await close(page);
  },

  async 'the palette goes anywhere and does what the page can'() {
    const page = await open('/');
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'command' }).fill('playbook conta');
    await page.getByRole('option', { name: /^contain/ }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Start…' }).waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'command' }).fill('start');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Start contain' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'command' }).fill('night-shift');
    await page.keyboard.press('Enter');
    await page.waitForURL(/executions\?q=night-shift/);
    await close(page);
  },

  async 'new executions wait behind a pill, and rows change in place'() {
    const { arn } = await start('contain', { title: 'In place' });
    const approval = await asked(arn);
    const page = await open('/executions');
    const row = page.getByRole('row').filter({ hasText: arn.split(':').at(-1) });
    await row.getByText('waiting for people').waitFor();
    await start('tiny', {}, 'behind-the-pill');
    await page.getByRole('button', { name: '1 new' }).waitFor();
    assert.equal(await page.getByText('behind-the-pill').count(), 0);
    await api('POST', `/v1/approvals/${approval.id}/decision`, { decision: 'approve', reason: 'fine' }, 'alice');
    await row.getByText('succeeded').waitFor();
    await page.getByRole('button', { name: /new$/ }).click();
    await page.getByText('behind-the-pill').waitFor();
    await close(page);
  },

  async 'a history of 25,000 events and a Map of 6,200 items stay a page of rows'() {
    const { arn } = await start('each-item', { items: Array.from({ length: 6200 }, (_, i) => i) }, 'large');
    await ended(arn);
    const page = await open(x(arn));
    await page.getByRole('button', { name: /^Look, Pass, succeeded, 6200 times/ }).waitFor();
    await page.getByRole('button', { name: /^Events/ }).click();
    const body = page.getByRole('grid', { name: 'history events' }).locator('.rows-body');
    await body.focus();
    await page.keyboard.press('End');
    await page.getByText('ExecutionSucceeded').first().waitFor();
    const shown = await page.locator('.rows-space > .row').count();
    const total = Number(await page.getByRole('grid', { name: 'history events' }).getAttribute('aria-rowcount'));
    assert.ok(total > 24_800 && shown < 80, `${shown} of ${total} rows`);
    await page.getByRole('button', { name: 'Table' }).click();
    await page.getByRole('searchbox', { name: 'filter the states' }).fill('item 6199');
    await page.getByRole('row').filter({ hasText: 'item 6199' }).click();
    await page.getByText('in Each item 6199').waitFor();
    await close(page);
  },

  async 'everything is reached by keys alone'() {
    const { arn } = await start('tiny', { hello: 'keys' }, 'by-keys');
    await ended(arn);
    const page = await open('/');
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('e');
    await page.getByText('by-keys').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/x\/.*by-keys/);
    await page.getByRole('button', { name: /^A, Pass, succeeded/ }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'step A' }).getByText('"keys"').waitFor();
    await page.keyboard.press('3');
    await page.getByRole('grid', { name: 'states that were entered' }).waitFor();
    await page.keyboard.press('y');
    await page.getByText('command copied').waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^sortie run show arn:/);
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await page.getByRole('dialog').count(), 0);
    await close(page);
  },

  async 'a playbook is started, a function is tried, an event is sent again'() {
    const page = await open('/playbooks/tiny');
    await page.getByRole('button', { name: 'Start…' }).click();
    await page.locator('.editor-box .cm-content').waitFor();
    await page.getByRole('textbox', { name: 'Input (JSON)' }).fill('{"n": 1');
    assert.ok(await page.getByRole('button', { name: 'Start', exact: true }).isDisabled());
    await page.getByRole('textbox', { name: 'Input (JSON)' }).fill('{"n": 1}');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.waitForURL(/\/x\/.*tiny/);
    await page.goto(`${setup.url}/functions/Greet?tab=test`);
    await page.locator('.editor-box .cm-content').waitFor();
    await page.getByRole('textbox', { name: 'Payload (JSON)' }).fill('{"name":"Grace"}');
    await page.getByRole('button', { name: 'Invoke' }).click();
    await page.getByText('"Hello, Grace"').waitFor();
    const { id } = await api('POST', '/v1/events', { source: 'my.app', 'detail-type': 'Greeting', detail: { name: 'Ada' } });
    await page.goto(`${setup.url}/events/${id}`);
    await page.getByText('rule hello').waitFor();
    await page.getByRole('link', { name: /^execution / }).click();
    await page.getByRole('link', { name: 'this event' }).click();
    await page.waitForURL(new RegExp(`/events/${id}`));
    await page.getByRole('button', { name: 'Send again…' }).click();
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.waitForURL((url) => url.pathname.startsWith('/events/') && !url.pathname.endsWith(id));
    await page.goto(`${setup.url}/playbooks/contain?view=lint`);
    await page.getByRole('heading', { name: 'contain' }).waitFor();
    await close(page);
  },

  async 'an execution is stopped with a reason'() {
    const { arn } = await start('contain', { title: 'Stop me' });
    await asked(arn);
    const page = await open(x(arn));
    await page.getByRole('button', { name: 'Stop…' }).click();
    assert.ok(await page.getByRole('button', { name: 'Stop it' }).isDisabled());
    await page.getByLabel('Reason').fill('a false alarm');
    await page.getByRole('button', { name: 'Stop it' }).click();
    await page.locator('h1').getByText('aborted').waitFor();
    assert.equal((await ended(arn)).cause, 'a false alarm');
    await close(page);
  },

  async 'eight tabs share one stream, and another takes over'() {
    const first = await open('/executions');
    const streams = new Set();
    first.context().on('request', (request) => request.url().includes('/v1/stream') && streams.add(request));
    await first.locator('.live.on').waitFor();
    streams.clear();
    const tabs = [];
    for (let i = 0; i < 7; i++) {
      const tab = await first.context().newPage();
      await tab.goto(`${setup.url}/executions?q=name:shared-*`);
      await tab.locator('.live.on').waitFor();
      tabs.push(tab);
    }
    assert.equal(streams.size, 0, 'the first tab holds the only stream');
    await first.close();
    await until(() => streams.size === 1, 'no tab took over');
    await tabs[6].goto(`${setup.url}/executions`);
    await tabs[6].locator('.live.on').waitFor();
    await tabs[6].getByRole('row').nth(1).waitFor();
    await start('tiny', {}, 'shared-1');
    await tabs[6].getByRole('button', { name: '1 new' }).waitFor();
    await tabs[0].context().close();
  },

  async 'no finding of axe in either theme, and nothing wider than a phone'() {
    const { arn } = await start('contain', { title: 'CRITICAL: contain i-0abc, which serves the shop' });
    const approval = await asked(arn);
    const { id } = await api('POST', '/v1/events', { source: 'my.app', 'detail-type': 'Greeting', detail: {} });
    const failed = await start('contain', { title: 'Refuse me' });
    await api('POST', `/v1/approvals/${(await asked(failed.arn)).id}/decision`, { decision: 'reject', reason: 'for the picture' }, 'alice');
    await ended(failed.arn);
    const pages = {
      home: '/', executions: '/executions', graph: x(arn), step: x(arn, '?state=Ask'), timeline: x(arn, '?view=timeline'), table: x(arn, '?view=table'),
      events: x(arn, '?view=events&at=2'), io: x(arn, '?view=io'), failed: x(failed.arn), approvals: '/approvals?tab=all', approval: `/a/${approval.id}`,
      'events list': '/events', event: `/events/${id}`, playbooks: '/playbooks', playbook: '/playbooks/contain', code: '/playbooks/contain?view=code',
      lint: '/playbooks/contain?view=lint', edit: '/playbooks/contain?view=edit', functions: '/functions', function: '/functions/Greet', test: '/functions/Greet?tab=test',
      configuration: '/functions/Greet?tab=configuration', audit: '/audit', 'audit entry': '/audit?action=approval.decide',
    };
    for (const name of ['Ada', 'Grace', 'Edsger']) await api('POST', '/v1/functions/Greet/invoke', { payload: { name } });
    await api('POST', '/v1/functions/Greet/invoke', { payload: { once: `chart-${Date.now()}` } });
    const findings = [];
    const SHOWN = ['home', 'executions', 'approval', 'graph', 'step', 'timeline', 'table', 'failed', 'edit', 'function', 'test', 'audit', 'audit entry', 'event', 'playbook', 'lint', 'io'];
    for (const [theme, width] of [['light', 1280], ['dark', 1280], ['dark', 360], ['light', 360]]) {
      const page = await open('/', 'alice', { colorScheme: theme, viewport: { width, height: 740 } });
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(setup.url + path);
        await page.locator('main h1').first().waitFor();
        await page.waitForLoadState('networkidle', { timeout: 700 }).catch(() => undefined);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        const low = await page.evaluate(() => [...document.querySelectorAll('.split > .view')].filter((view) => view.clientHeight < 150).length);
        if (low > 0) findings.push(`${name} shows nothing of its view at ${width}`);
        if (wide > 0) findings.push(`${name} is ${wide} px wider than ${width}`);
        if (SHOWN.includes(name)) await picture(page, `${name}-${theme}-${width}`);
        if (width === 360 && theme === 'light') continue;
        await page.evaluate(axeSource.replace(/^/, '')).catch(() => undefined);
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
        for (const v of violations) findings.push(`${theme} ${width} ${name}: ${v.id}: ${v.nodes.slice(0, 2).map((n) => n.target.join(' ')).join(' | ')}`);
      }
      await close(page);
    }
    assert.deepEqual(findings, []);
  },
};
