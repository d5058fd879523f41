// What people do in the console, done in Chromium. Gets the stage as JSON on stdin (tests/e2e/console_e2e.py); the last line counts.
// Words on the command line choose tests by their names.
import assert from 'node:assert/strict';
import { tests as badInput } from './bad_input.mjs';
import { browser, setup, wrong } from './stage.mjs';
import { tests as stories } from './stories.mjs';

const tests = { ...stories, ...badInput };

let passed = 0;
let failed = 0;
const only = process.argv.slice(2);
for (const [name, test] of Object.entries(tests)) {
  if (only.length > 0 && !only.some((word) => name.includes(word))) continue;
  const began = Date.now();
  wrong.length = 0;
  try {
    await test();
    assert.deepEqual(wrong, []);
    passed++;
    console.log(`ok: ${name} (${((Date.now() - began) / 1000).toFixed(0)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAILED: ${name}\n${error.stack ?? error}`);
    for (const open of browser.contexts()) {
      for (const page of open.pages()) await page.screenshot({ path: `${setup.pictures}/failed-${name.replace(/\W+/g, '-').slice(0, 40)}.png` }).catch(() => undefined);
    }
  }
  for (const open of browser.contexts()) await open.close();
}
await browser.close();
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
