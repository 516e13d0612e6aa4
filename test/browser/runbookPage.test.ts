import assert from 'node:assert/strict';
import axe from 'axe-core';
import type { RunbookState, Step } from '../../src/runbook/protocol.ts';
import { essentially } from '../support/operations.ts';
import { looks, startPages, type RunbookPage } from '../support/runbookPage.ts';
import { hostileState, states } from '../support/runbookStates.ts';

describe('the runbook page', () => {
  let pages: Awaited<ReturnType<typeof startPages>>;
  let runbook: RunbookPage;

  before(async () => {
    pages = await startPages();
    runbook = await pages.open();
  });
  beforeEach(() => runbook.startOver());
  after(async () => {
    await pages?.close();
  });

  it('says that it is ready, once, and keeps the interface to itself', async () => {
    assert.deepEqual(await runbook.sent(), [{ ready: true }]);
    assert.equal(await runbook.page.evaluate('typeof window.acquireVsCodeApi'), 'undefined');
  });

  it('reports what is no message, and goes on showing what it had', async () => {
    await runbook.show(states.stop);
    await runbook.sent();
    await runbook.postAnything({ state: { ...states.plan, title: 1 } });
    await runbook.postAnything('<b>');
    assert.deepEqual(await runbook.sent(), [
      { trouble: 'message-refused' },
      { trouble: 'message-refused' },
    ]);
    await runbook.page.getByText('watching…').waitFor();
  });

  it('shows names that could act as text that cannot', async () => {
    let dialogs = 0;
    runbook.page.on('dialog', (dialog) => {
      dialogs++;
      void dialog.dismiss();
    });
    await runbook.show(hostileState());
    assert.equal(await runbook.page.locator('img, a, script:not([nonce])').count(), 0);
    const shown = await runbook.page.locator('#runbook').innerText();
    assert.match(
      shown,
      /<img src=x onerror=alert\(1\)>\[Fix\]\(command:[\w.]+\)\ufffdgpj\.bd\ufffd/,
    );
    assert.doesNotMatch(shown, /\p{Bidi_Control}/u);
    assert.equal(dialogs, 0);
    assert.deepEqual(
      await runbook.sent(),
      [{ ready: true }],
      'something was blocked by the policy',
    );
  });

  it('is blocked by its policy from running anything else', async () => {
    await runbook.sent();
    await runbook.page.evaluate(`{
      const script = document.createElement('script');
      script.textContent = 'window.sent.push("ran")';
      document.body.append(script);
      document.body.append(Object.assign(document.createElement('img'), { src: '/x.png' }));
    }`);
    await runbook.until('window.sent.length === 2');
    assert.deepEqual(
      ((await runbook.sent()) as { violation: string }[])
        .map(({ violation }) => violation.split(' ')[0])
        .sort(),
      ['img-src', 'script-src-elem'],
    );
  });

  it('can be used from start to end with the keyboard alone', async () => {
    await runbook.show(states.plan);
    await runbook.sent();
    const { keyboard } = runbook.page;

    await tabTo('Restore over data/app.db…');
    await keyboard.press('Enter');
    assert.deepEqual(await runbook.sent(), [{ act: 'restore-live' }]);

    await runbook.show(states.stop);
    assert.match(
      await runbook.focused(),
      /^Step 1: Stop everything/,
      'the next step has the focus',
    );
    await tabTo('I know that no program');
    await keyboard.press('Space');
    assert.deepEqual(await runbook.sent(), [{ tick: 'confirm-stopped', value: true }]);
    await tabTo('Continue');
    await keyboard.press('Enter');
    assert.deepEqual(await runbook.sent(), [], 'a disabled button was used');
    const why = await runbook.page
      .getByRole('button', { name: 'Continue' })
      .getAttribute('aria-describedby');
    assert.match(await runbook.page.locator(`[id="${why}"]`).innerText(), /both programs/);

    await tabTo('By hand');
    await keyboard.press('Enter');
    await tabTo('POSIX shell');
    assert.match(await runbook.page.getByRole('tabpanel').innerText(), /^lsof/);
    await keyboard.press('ArrowRight');
    assert.equal(await runbook.focused(), 'PowerShell');
    assert.match(await runbook.page.getByRole('tabpanel').innerText(), /^Get-Process/);
    await tabTo('Copy');
    await keyboard.press('Enter');
    assert.deepEqual(await runbook.sent(), [{ copy: { step: 'stop', shell: 'powershell' } }]);
    await runbook.post({ copied: { step: 'stop', shell: 'powershell' } });
    assert.equal(await runbook.focused(), 'Copied');
    assert.equal(await runbook.announced(), 'Copied');

    await runbook.show(states.moving);
    assert.match(await runbook.focused(), /^Step 2: Keep the current/);
    await runbook.show(states.restart);
    await tabTo('Skip');
    await keyboard.press('Enter');
    assert.deepEqual(await runbook.sent(), [{ act: 'skip-restart' }]);
    await runbook.show(states.verify);
    await tabTo('The newest order');
    await keyboard.press('Space');
    assert.deepEqual(await runbook.sent(), [{ tick: 'spot-1', value: true }]);
    await runbook.show(states.done);
    await tabTo('Delete…');
    await keyboard.press('Enter');
    await tabTo('Undo');
    await keyboard.press('Enter');
    assert.deepEqual(await runbook.sent(), [{ act: 'delete-set-aside' }, { act: 'undo' }]);
  });

  it('leaves the focus where the person has it in another step or the footer', async () => {
    await runbook.show(states.stop);
    await runbook.page.getByRole('button', { name: 'Export Runbook' }).focus();
    await runbook.show(states.moving);
    assert.equal(await runbook.focused(), 'Export Runbook…');
  });

  it('keeps the place of one whose button went away', async () => {
    const failed = states['copy-failed'];
    await runbook.show(failed);
    await runbook.page.getByRole('button', { name: 'Try Again' }).focus();
    await runbook.show(withStep(failed, 'copy', { status: 'running', actions: [], lines: [] }));
    assert.match(await runbook.focused(), /^Step 3: Copy/);
    await runbook.show(failed);
    assert.match(await runbook.focused(), /^Step 3: Copy/);

    await runbook.show(states.interrupted);
    await runbook.page.getByRole('button', { name: 'Roll Back' }).focus();
    await runbook.show({ ...states.interrupted, notices: [] });
    assert.match(await runbook.focused(), /^Step 3: Copy/);
  });

  it('keeps focus, scroll position and what was unfolded when the state comes again', async () => {
    const { page } = runbook;
    await page.setViewportSize({ width: 900, height: 500 });
    await runbook.show(states.stop);
    const check = page.getByRole('button', { name: 'Check Now' });
    await page.getByText('By hand').nth(1).click();
    await check.focus();
    await page.evaluate('scrollTo(0, 300)');
    await page.evaluate('window.before = document.activeElement');
    const stop = states.stop.steps[1];
    const [first, ...rest] = stop?.holders ?? [];
    assert.ok(first);
    for (const holders of [rest, [first, ...rest], []]) {
      await runbook.show(withStep(states.stop, 'stop', { holders }));
      assert.equal(await page.locator('.holders li').count(), holders.length);
      assert.equal(await runbook.focused(), 'Check Now');
      assert.equal(await page.evaluate('window.before === document.activeElement'), true);
    }
    assert.equal(await page.evaluate('scrollY'), 300);
    assert.equal(await page.getByRole('tabpanel').count(), 1);
  });

  it('remembers scroll position, unfolded parts and the shell when it is loaded again', async () => {
    const { page } = runbook;
    await page.setViewportSize({ width: 900, height: 500 });
    await runbook.show(states.stop);
    await page.getByText('By table').click();
    await page.getByText('By hand').nth(1).click();
    await page.getByRole('tab', { name: 'PowerShell' }).click();
    await page.evaluate('scrollTo(0, 320)');
    await runbook.until(`JSON.parse(sessionStorage.getItem('kept')).scrollTop === 320`);
    await runbook.load();
    assert.deepEqual(await runbook.sent(), [{ ready: true }]);
    await runbook.show(states.stop);
    assert.equal(await page.evaluate('scrollY'), 320);
    await page.getByRole('table').waitFor();
    assert.match(await page.getByRole('tabpanel').innerText(), /^Copy-Item/);
    assert.equal(
      await page.evaluate(`JSON.parse(sessionStorage.getItem('kept')).runbook`),
      'app-1',
    );
  });

  it('says of a new state what changed, and only that', async () => {
    await runbook.show(states.stop);
    assert.equal(await runbook.announced(), '2 programs have app.db open.');
    await runbook.show(states.moving);
    assert.equal(
      await runbook.announced(),
      'Step 1, Stop everything that uses the database: Done. Step 2, Keep the current database: Running.',
    );
    await runbook.show(
      withStep(states.moving, 'move', { progress: { done: 1, total: 2, text: '50 %' } }),
    );
    assert.match(await runbook.announced(), /Running\.$/);
    await runbook.show(states['copy-failed']);
    assert.match(await runbook.announced(), /Step 3, Copy the backup into place: Failed\.$/);
  });

  it('gives the progress of a step a name and a value', async () => {
    await runbook.show(states.moving);
    const bar = runbook.page.getByRole('progressbar', { name: 'Keep the current database' });
    assert.equal(await bar.getAttribute('value'), '18600000');
    assert.equal(await bar.getAttribute('aria-valuetext'), '38 % · 210 MB/s · 3 s left');
    assert.equal(await runbook.page.locator('.progress').innerText(), '38 % · 210 MB/s · 3 s left');
  });

  it('takes a double click for one', async () => {
    await runbook.show(states.stop);
    await runbook.sent();
    await runbook.page.getByRole('button', { name: 'Check Now' }).dblclick();
    assert.deepEqual(await runbook.sent(), [{ act: 'check-holders' }]);
  });

  it('moves nothing for those who want no motion', async () => {
    await runbook.show(states.moving);
    const running = 'document.getAnimations().length';
    assert.notEqual(await runbook.page.evaluate(running), 0);
    await runbook.page.evaluate(`document.body.classList.add('vscode-reduce-motion')`);
    assert.equal(await runbook.page.evaluate(running), 0);
    await runbook.page.evaluate(`document.body.classList.remove('vscode-reduce-motion')`);
    await runbook.page.emulateMedia({ reducedMotion: 'reduce' });
    assert.equal(await runbook.page.evaluate(running), 0);
  });

  it('fits 300 pixels, and 170, with long names, whatever the stage', async () => {
    const path = `/srv/${'a-very-long-folder-name'.repeat(8)}/app.db`;
    const { page } = runbook;
    const long = withStep(states.stop, 'stop', {
      holders: [{ name: path, pid: 1, note: path }],
      lines: [{ kind: 'error', text: path, at: '13:52:10' }],
      commands: { posix: `rm -- '${path}'`, powershell: path },
      actions: [{ id: 'long', label: path, kind: 'primary', enabled: true }],
    });
    for (const width of [300, 170]) {
      await page.setViewportSize({ width, height: 800 });
      for (const state of [...Object.values(states), { ...long, title: path }, hostileState()]) {
        await runbook.show(state);
        const shown = await page.evaluate('document.documentElement.scrollWidth');
        assert.equal(shown, width, state.title);
      }
    }
  });

  it('shows the whole of what the keyboard comes to, also in a narrow editor', async () => {
    const { page } = runbook;
    // Of the element with the focus: whether each of its corners is in sight and not under another element.
    const covered = `(() => {
      const element = document.activeElement;
      if (element === document.body) return 'none';
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const corners = [[left + 3, top + 3], [right - 3, top + 3], [left + 3, bottom - 3], [right - 3, bottom - 3]];
      const isShown = corners.every(([x, y]) => {
        const there = document.elementFromPoint(x, y);
        return there !== null && (element.contains(there) || there.contains(element));
      });
      return isShown ? undefined : element.innerText || element.id;
    })()`;
    for (const width of [170, 300]) {
      await page.setViewportSize({ width, height: 500 });
      for (const name of ['stop', 'done'] as const) {
        await runbook.load();
        await runbook.show(states[name]);
        for (let presses = 0; presses < 40; presses++) {
          await page.keyboard.press('Tab');
          const found = await page.evaluate(covered);
          if (found === 'none') break;
          assert.equal(found, undefined, `${name} at ${width} pixels`);
        }
      }
    }
  });

  it('has no violation of accessibility rules in any stage and theme', async () => {
    const { page } = runbook;
    await page.evaluate(axe.source);
    const others = looks.filter((look) => look !== 'dark');
    for (const [n, state] of [...Object.values(states), hostileState()].entries()) {
      await runbook.show(state);
      await expectNoViolations([], `${state.title}, dark`);
      for (const look of essentially(others, n)) {
        await runbook.wear(look);
        // The theme changes colours only.
        await expectNoViolations(['color-contrast'], `${state.title}, ${look}`);
      }
      await runbook.wear('dark');
    }
  });

  it('has none either with everything unfolded, and in a narrow editor', async () => {
    const { page } = runbook;
    await page.evaluate(axe.source);
    await page.setViewportSize({ width: 300, height: 800 });
    await runbook.show(states.verify);
    for (const summary of await page.locator('summary').all()) await summary.click();
    await expectNoViolations([], 'unfolded');
  });

  async function expectNoViolations(rules: string[], what: string): Promise<void> {
    const only = rules.length > 0 ? `, runOnly: ${JSON.stringify(rules)}` : '';
    const found = await runbook.page.evaluate(
      `axe.run({ resultTypes: ['violations']${only} }).then(({ violations, passes }) => ({
        ran: passes.length + violations.length,
        wrong: violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ target }) => target).join(', ')),
      }))`,
    );
    const { ran, wrong } = found as { ran: number; wrong: string[] };
    assert.ok(ran > 0, `${what}: no rule was applied`);
    assert.deepEqual(wrong, [], what);
  }

  /** Presses Tab until something of that name has the focus. */
  async function tabTo(name: string): Promise<void> {
    for (let presses = 0; presses < 60; presses++) {
      if ((await runbook.focused()).trim().startsWith(name)) return;
      await runbook.page.keyboard.press('Tab');
    }
    assert.fail(`Tab does not lead to ${name}`);
  }
});

function withStep(state: RunbookState, id: string, change: Partial<Step>): RunbookState {
  return {
    ...state,
    steps: state.steps.map((step) => (step.id === id ? { ...step, ...change } : step)),
  };
}
