// What bad input gets: a clear answer on the page, and no reload to see the truth.
import assert from 'node:assert/strict';
import { setup, api, start, until, asked, ended, context, open, close, x } from './stage.mjs';

export const tests = {
  async 'a link logs in once and leaves the address bar'() {
    const one = await context();
    const page = await one.newPage();
    await page.goto(setup.link);
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    assert.ok(!page.url().includes('#'), page.url());
    const cookie = (await one.cookies()).find((c) => c.name.startsWith('sortie_session'));
    assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict');
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();
    await one.close();
    const two = await context();
    const again = await two.newPage();
    await again.goto(setup.link);
    await again.getByText('this link is used, expired or wrong').waitFor();
    assert.equal((await two.cookies()).length, 0);
    await again.goto(`${setup.url}/login#nonsense`);
    await again.getByText('this link is used, expired or wrong').waitFor();
    await again.getByText('sortie login-link NAME').first().waitFor();
    await two.close();
  },

  async 'who decides second sees at once who was first'() {
    const { arn } = await start('contain', { title: 'Both look at it' }, undefined, 'bob');
    const approval = await asked(arn);
    const page = await open(`/a/${approval.id}`);
    await page.getByLabel(/^Reason/).fill('mine is slower');
    await page.getByRole('button', { name: 'Reject…' }).click();
    const other = await start('contain', { title: 'Not ours' }, undefined, 'alice');
    const foreign = await asked(other.arn);
    await api('POST', `/v1/executions/${encodeURIComponent(arn)}/stop`, { reason: 'superseded by hand' });
    await page.getByRole('status').getByText('cancelled').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Approve…' }).count(), 0);
    // Who started it may not decide on it, and is told why.
    await page.goto(`${setup.url}/a/${foreign.id}`);
    await page.getByText('You cannot decide this').waitFor();
    await api('POST', `/v1/approvals/${foreign.id}/decision`, { decision: 'reject', reason: 'not needed' }, 'bob');
    await page.getByText('“not needed”').first().waitFor();
    await close(page);
  },

  async 'a session that ends in the middle of a decision costs nothing that was typed'() {
    const { arn } = await start('contain', { title: 'Long night' });
    const approval = await asked(arn);
    const page = await open(`/a/${approval.id}`);
    await page.getByLabel(/^Reason/).fill('typed before the session ended');
    await page.context().clearCookies();
    await page.getByRole('button', { name: 'Reject…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();
    await page.getByLabel('Token').fill(setup.tokens.alice);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('dialog', { name: 'Reject this plan' }).getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('link', { name: 'Go to the execution' }).waitFor();
    assert.equal((await ended(arn)).error, 'Refused');
    await close(page);
  },

  async 'two who decide at the same instant: one decides, and both see who'() {
    const { arn } = await start('contain', { title: 'Both at once' }, undefined, 'carol');
    const approval = await asked(arn);
    const pages = await Promise.all(['alice', 'bob'].map((who) => open(`/a/${approval.id}`, who)));
    for (const page of pages) {
      await page.getByLabel(/^Reason/).fill('mine');
      await page.getByRole('button', { name: 'Reject…' }).click();
    }
    await Promise.all(pages.map((page) => page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click()));
    const { decision } = await until(async () => { const now = await api('GET', `/v1/approvals/${approval.id}`); return now.decision && now; }, 'nobody decided');
    for (const page of pages) {
      await page.getByRole('status').filter({ hasText: `${decision.by} decided` }).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Reject…' }).count(), 0);
    }
    await Promise.all(pages.map(close));
  },

  async 'what has expired under an open page cannot be decided, and the page leads to what is asked anew'() {
    const { arn } = await start('ask-briefly', { title: 'Be quick' }, undefined, 'carol');
    const approval = await asked(arn);
    const page = await open(`/a/${approval.id}`);
    await page.getByLabel(/^Reason/).fill('too slow');
    await page.getByRole('button', { name: 'Approve…' }).click();
    await page.getByText('It is asked again').waitFor();
    assert.equal(await page.getByRole('dialog').count(), 0);
    const refused = await fetch(`${setup.url}/v1/approvals/${approval.id}/decision`, { method: 'POST', headers: { Authorization: `Bearer ${setup.tokens.alice}`, 'Content-Type': 'application/json' }, body: JSON.stringify({ decision: 'reject', reason: 'late' }) });
    assert.equal(refused.status, 409);
    await page.getByRole('link', { name: 'Be quick' }).click();
    await page.waitForURL((url) => !url.pathname.endsWith(approval.id));
    await page.getByText('expired').first().waitFor();
    await close(page);
  },

  async 'a broken stream is told, and what was missed is there when it is back'() {
    const one = await context();
    await one.request.post(`${setup.url}/v1/session`, { data: { token: setup.tokens.alice } });
    await one.route('**/v1/stream*', (route) => route.abort());
    const page = await one.newPage();
    await page.goto(`${setup.url}/executions`);
    await page.getByText('reconnecting').waitFor();
    await page.getByRole('row').nth(1).waitFor();
    await start('tiny', {}, 'while-it-was-broken');
    await one.unroute('**/v1/stream*');
    await page.locator('.live.on').waitFor();
    await page.getByText('while-it-was-broken').or(page.getByRole('button', { name: /new$/ })).first().waitFor();
    await one.close();
  },

  async 'what comes from outside is text'() {
    const { arn } = await start('contain', { title: '<script>pwned=1</script>\u202eexe.' });
    const approval = await asked(arn);
    const page = await open(`/a/${approval.id}`);
    await page.getByRole('heading', { name: '<script>pwned=1</script>\\u202eexe.' }).waitFor();
    await api('POST', `/v1/approvals/${approval.id}/decision`, { decision: 'reject', reason: '<b>no</b>' }, 'alice');
    await page.getByText('“<b>no</b>”').first().waitFor();
    await page.goto(setup.url + x(arn, '?state=Refused'));
    await page.getByText('<img src=x onerror=window.pwned=1>\\u202egnp.exe').first().waitFor();
    assert.equal(await page.evaluate(() => [window.pwned, document.querySelectorAll('main img, main script').length].join()), ',0');
    await close(page);
  },

  async 'a playbook that does not parse is drawn as far as it was read, and is not published'() {
    const page = await open('/playbooks/tiny?view=edit');
    const editor = page.getByRole('textbox', { name: 'Definition' });
    await page.getByRole('button', { name: /^A, Pass/ }).waitFor();
    await page.locator('.editor-box .cm-content').waitFor();
    await editor.fill('{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"Gone"}}}');
    await page.getByRole('button', { name: /^Gone, missing/ }).waitFor();
    await page.getByRole('listitem').filter({ hasText: 'Gone' }).first().waitFor();
    await page.getByRole('button', { name: 'Publish…' }).click();
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByRole('dialog').getByRole('alert').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await editor.fill('{"StartAt":"A","States":{');
    await page.getByText('The text cannot be read').waitFor();
    await page.getByRole('button', { name: /^Gone, missing/ }).waitFor();
    assert.ok(await page.getByRole('button', { name: 'Publish…' }).isDisabled());
    // A reload loses nothing; Tab leaves the editor.
    await page.reload();
    await page.getByText('The text cannot be read').waitFor();
    await page.locator('.editor-box .cm-content').focus();
    await page.keyboard.press('Tab');
    assert.notEqual(await page.evaluate(() => document.activeElement.className), 'editor-box');
    await page.getByRole('button', { name: 'Give up the changes' }).click();
    await editor.fill('{"StartAt":"A","States":{"A":{"Type":"Pass","Comment":"edited","End":true}}}');
    await page.getByRole('button', { name: 'Publish…' }).click();
    await page.getByText('put this text there, too').waitFor();
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('published').first().waitFor();
    assert.match((await api('GET', '/v1/playbooks/tiny')).definition, /edited/);
    await page.goto(`${setup.url}/playbooks/tiny?view=versions`);
    await page.getByText('No version has been published.').waitFor();
    await close(page);
  },

  async 'payloads of a megabyte stay readable, and one that is too large is refused in words'() {
    const page = await open('/functions/Greet?tab=test');
    await page.locator('.editor-box .cm-content').waitFor();
    await page.getByRole('textbox', { name: 'Payload (JSON)' }).fill('{"size": 1000000}');
    await page.getByRole('button', { name: 'Invoke' }).click();
    await page.getByText('1.0 MB').waitFor();
    await page.getByText('{ blob }').click();
    await page.getByText(/^… 99\d\.\d KB more$/).waitFor();
    assert.ok((await page.locator('main').innerText()).length < 10_000, 'only its beginning is in the page');
    const large = { rows: Array.from({ length: 3000 }, (_, i) => ({ no: i, text: '<b>'.repeat(20) })) };
    const { arn } = await start('tiny', large, 'large-input');
    await ended(arn);
    await page.goto(setup.url + x(arn, '?view=io'));
    await page.getByText('{ rows }').first().click();
    await page.getByText('[ 3000 ]').first().waitFor();
    assert.ok((await page.locator('.j-root li').count()) < 300, 'folded until somebody looks');
    await page.goto(`${setup.url}/playbooks/tiny`);
    await page.getByRole('button', { name: 'Start…' }).click();
    await page.locator('.editor-box .cm-content').waitFor();
    await page.evaluate((text) => navigator.clipboard.writeText(text), JSON.stringify(Array.from({ length: 4000 }, () => 'x'.repeat(70)), null, 1));
    await page.getByRole('textbox', { name: 'Input (JSON)' }).focus();
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Control+v');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('dialog').getByText(/262144/).waitFor();
    await close(page);
  },

  async 'a restart under an open page needs no reload'() {
    const page = await open('/executions');
    await page.locator('.live.on').waitFor();
    await fetch(`${setup.control}/restart`, { method: 'POST' });
    await start('tiny', {}, 'after-the-restart');
    await page.getByText('after-the-restart').or(page.getByRole('button', { name: /new$/ })).first().waitFor();
    await page.locator('.live.on').waitFor();
    assert.equal(await page.getByRole('heading', { name: 'Your session has ended' }).count(), 0);
    await close(page);
  },
};
