import assert from 'node:assert/strict';
import { hostileLook, shopState } from '../support/lookStates.ts';
import { looks, startPages, type RunbookPage } from '../support/runbookPage.ts';
import { accessibilityProblems } from './axe.ts';

describe('the page of a look inside a backup', () => {
  let pages: Awaited<ReturnType<typeof startPages>>;
  let look: RunbookPage;

  before(async () => {
    pages = await startPages('look');
    look = await pages.open();
  });
  beforeEach(() => look.startOver());
  after(async () => {
    await pages?.close();
  });
  const show = (state: typeof shopState): Promise<void> => look.postAnything({ state });

  it('reports what is no message, and goes on showing what it had', async () => {
    await show(shopState);
    await look.sent();
    await look.postAnything({ state: { ...shopState, title: 1 } });
    assert.deepEqual(await look.sent(), [{ trouble: 'message-refused' }]);
    await look.page.getByRole('heading', { name: 'api/dev.db' }).waitFor();
  });

  it('shows names and values that could act as text that cannot', async () => {
    await show(hostileLook());
    assert.equal(await look.page.locator('img, a, script:not([nonce])').count(), 0);
    const shown = await look.page.locator('#runbook').innerText();
    assert.match(shown, /<img src=x onerror=alert\(1\)>\[Fix\]\(command:x\)\ufffdgpj\.bd\ufffd/);
    assert.doesNotMatch(shown, /\p{Bidi_Control}/u);
    assert.deepEqual(await look.sent(), [{ ready: true }], 'the policy has blocked something');
  });

  it('sends what is pressed once, and nothing for what is disabled', async () => {
    await show(shopState);
    await look.sent();
    await look.page.getByRole('button', { name: 'Restore…' }).dblclick();
    await look.page.getByRole('button', { name: 'Compare with Live' }).dispatchEvent('click');
    await look.page.getByRole('button', { name: /^orders/ }).press('Enter');
    assert.deepEqual(await look.sent(), [{ act: 'restore' }, { act: 't5' }]);
  });

  it('gives the focus to the table when the button that had it is gone', async () => {
    await show(shopState);
    await look.page.getByRole('button', { name: 'Next 100' }).focus();
    const state = structuredClone(shopState);
    for (const { content } of state.tables.items) content?.actions.splice(0);
    await show(state);
    assert.match(await look.focused(), /^orders/);
    assert.equal(await look.announced(), 'reading…');
  });

  it('fits 300 pixels, and 170, whatever is in it', async () => {
    for (const width of [300, 170]) {
      await look.page.setViewportSize({ width, height: 800 });
      for (const state of [shopState, hostileLook()]) {
        await show(state);
        const shown = await look.page.evaluate('document.documentElement.scrollWidth');
        assert.equal(shown, width, state.title);
      }
    }
    await show(shopState);
    await look.page.screenshot({ path: 'out/screenshots/look-170.png', fullPage: true });
  });

  it('has no violation of accessibility rules in any theme', async () => {
    for (const theme of looks) {
      await look.wear(theme);
      // The theme changes colours only.
      for (const state of theme === 'dark' ? [shopState, hostileLook()] : [shopState]) {
        await show(state);
        assert.deepEqual(await accessibilityProblems(look.page, ['body']), [], theme);
      }
      await show(shopState);
      await look.page.screenshot({ path: `out/screenshots/look-page-${theme}.png` });
    }
  });
});
