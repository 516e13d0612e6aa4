import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { moveAside } from '../../src/core/restore/apply.ts';
import { takeSnapshot } from '../../src/core/snapshot/snapshot.ts';
import { looks, wear } from '../support/runbookPage.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { accessibilityProblems } from './axe.ts';
import { themes, withWindow } from './setup.ts';
import { setAsidesIn, type Shop, withShop } from './shop.ts';
import { thePackage, type Window } from './window.ts';
import { itInPart } from '../support/operations.ts';

async function openRunbook(window: Window): Promise<void> {
  await window
    .treeItem(/^shop\.db, /)
    .first()
    .click({ button: 'right' });
  await window.chooseFromMenu('Restore…');
  // A row that is just being drawn anew reaches no command, which then asks among all backups.
  await window.option(/^(Today|shop)/).click();
  await window.webview.getByRole('heading', { name: /Restore shop\.db/ }).waitFor();
}

const pageButton =
  (window: Window) =>
  (name: string | RegExp): Locator =>
    window.webview.getByRole('button', { name });

/** Once no program is seen to have it open. A user who does not see all programs has to confirm the rest. */
async function endStop(window: Window): Promise<void> {
  await window.webview.getByText(/^No program (that this user can see )?has it open\.$/).waitFor();
  const confirm = window.webview.getByRole('checkbox', { name: 'No other program uses it.' });
  if ((await confirm.count()) > 0) await confirm.check();
  await pageButton(window)('Continue').click();
}

async function expectAccessible(window: Window): Promise<void> {
  assert.deepEqual(await accessibilityProblems(await window.webviewFrame(), ['body']), []);
}

/**
 * Four pictures of each of nine steps, and axe in each, take most of the time of a restore, so they are taken when asked
 * for. The tests of the page alone ask axe about every state in every theme.
 */
const takesPictures = process.env['PICTURES'] === 'all';

/** With `PICTURES=all`: what axe finds in a step, and its pictures in all themes. */
async function lookAt(window: Window, name: string): Promise<void> {
  if (!takesPictures) return;
  await expectAccessible(window);
  const frame = await window.webviewFrame();
  for (const look of looks) {
    await wear(frame, look);
    await window.screenshot(`runbook-${name}-${look}`);
  }
  await wear(frame, 'dark');
}

describe('the runbook in a window', () => {
  before(thePackage);

  it('restores a running application, also when the window is reloaded, proves it, and undoes it', async function () {
    // A whole restore, a reload and two undos in one window: the longest of all on a busy machine.
    this.timeout(takesPictures ? 600_000 : 240_000);
    await withShop({ theme: themes.dark }, async (window, shop, folder) => {
      const page = pageButton(window);
      const { webview, dialog } = window;
      // What is below the fold is to be seen in the pictures as well.
      await window.page.setViewportSize({ width: 1280, height: 1200 });
      await openRunbook(window);
      await page(/Restore over shop\.db/).waitFor();
      const losses = webview.getByRole('row', { name: /orders/ });
      assert.match((await losses.innerText()).replace(/\s+/g, ' '), /orders 15 10 5 0 0/);
      await lookAt(window, '0-plan');

      await page(/Restore over shop\.db/).click();
      await webview.getByText(`pid ${shop.pid}`).waitFor();
      await lookAt(window, '1-stop');
      await page('Run Task "stop shop"').click();
      await webview.getByText('Task "stop shop" ended with 0.').waitFor();
      await endStop(window);
      await page('Keep the Current Database').waitFor();
      await lookAt(window, '2-move');

      await page('Keep the Current Database').click();
      await dialog.getByText(/5 rows of orders are only in the live database/).waitFor();
      await window.screenshot('runbook-2-question');
      await dialog.getByRole('button', { name: 'Restore' }).click();
      await page('Copy the Backup into Place').waitFor();
      assert.equal(setAsidesIn(folder).length, 1);

      // VS Code writes down what is open a moment later.
      await window.page.waitForTimeout(2000);
      await window.page.reload();
      await page('Copy the Backup into Place').waitFor({ timeout: 60_000 });
      await lookAt(window, '3-copy');
      await page('Copy the Backup into Place').click();
      await webview.getByText('This step is done as soon as node opens').waitFor();
      await lookAt(window, '4-restart');
      await page('Run Task "start shop"').click();
      await webview.getByText(/^node \(\d+\) has it open again, as before\.$/).waitFor();
      await webview.getByText('Task "start shop" runs.').waitFor();
      assert.equal(await shop.orders(), 10);

      await page('Check').click();
      await webview.getByText(/200 .*"orders":10/).waitFor();
      await webview.getByRole('checkbox', { name: /The problem is fixed/ }).check();
      await lookAt(window, '5-verify');
      await expectAccessible(window);
      await page('Looks Good').click();
      await page('Keep the Previous Database').waitFor();
      await lookAt(window, '6-clean-up');
      await page('Keep the Previous Database').click();
      await webview.getByText(/The previous database is kept\. Undo puts it back/).waitFor();

      await shop.order(1);
      await page('Undo').click();
      await dialog.getByText(/orders: 1 added/).waitFor();
      await dialog.getByRole('button', { name: 'Undo' }).click();
      await webview.getByText('It was not undone.').waitFor();
      await lookAt(window, '6-not-undone');
      assert.equal(await shop.orders(), 11);
      await shop.stop();
      await window.runCommand('SQLite Backup: Undo Restore…');
      await window.option(/^shop\.db before the restore of /).click();
      await dialog.getByText(/orders: 1 added/).waitFor();
      await window.screenshot('runbook-7-question');
      await dialog.getByRole('button', { name: 'Undo' }).click();
      await webview.getByText('Undone: the previous database is back.').waitFor();
      assert.equal(await webview.getByText('It was not undone.').count(), 0);
      await lookAt(window, '7-undone');
      await shop.start();
      assert.equal(await shop.orders(), 15);
    });
  });

  itInPart(
    'in a folder that is not trusted, makes a new file by keyboard alone, and restores without tasks',
    async () => {
      const setup = { theme: themes['high-contrast'], trusted: false };
      await withShop(setup, async (window, shop, folder) => {
        await window.page.setViewportSize({ width: 1280, height: 1200 });
        await restoreBeside(window, shop, folder);
        await restoreByHand(window, shop, folder);
      });
    },
  );

  itInPart('offers to finish what a crash has left in the middle', async () => {
    const create = async (folder: string): Promise<void> => {
      createSampleWorkspace(folder);
      const database = join(folder, 'data/sessions.db');
      const options = {
        folder: join(folder, 'backups'),
        method: 'exact',
        trigger: 'manual',
        ...{ verify: true, busyTimeoutMs: 1000, largestBytes: 1e9, toolVersion: '0.0.0' },
      } as const;
      const recordAs = { path: 'data/sessions.db' };
      const hooks = { onProgress: () => undefined, beforePublish: () => Promise.resolve() };
      const { path } = await takeSnapshot({ ...options, database, recordAs }, hooks);
      const items = [{ target: database }];
      await moveAside({ ...options, backup: path, items }, hooks);
    };
    const settings = { 'sqliteBackup.backupsFolder': 'backups' };
    await withWindow({ create, settings }, async (window, folder) => {
      const offer = window.notification(/A restore of data\/sessions\.db was interrupted/);
      await offer.waitFor();
      await window.screenshot('runbook-interrupted');
      await offer.getByRole('button', { name: 'Finish' }).click();
      await window
        .notification(/Finished\. data\/sessions\.db: the restored database is live\./)
        .waitFor();
      const names = readdirSync(join(folder, 'data'));
      const kept = names.find((name) => /^sessions\.db\.bad-\w+Z$/.test(name));
      assert.ok(kept, names.join(' '));
      // What was set aside is recorded beside it; nothing else of the restore stays.
      assert.deepEqual(
        names.filter((name) => name.startsWith('.')),
        [`.${kept}.json`],
      );
    });
  });
});

async function restoreBeside(window: Window, shop: Shop, folder: string): Promise<void> {
  await openRunbook(window);
  const beside = pageButton(window)('Restore to a New File');
  await beside.waitFor();
  await window.screenshot('runbook-high-contrast-plan');
  await expectAccessible(window);
  await beside.focus();
  await window.page.keyboard.press('Enter');
  await window.webview.getByText('The new file holds what was backed up.').waitFor();
  await window.screenshot('runbook-high-contrast-beside');
  const made = readdirSync(folder).filter((name) => /^shop\.restored_\w+\.db$/.test(name));
  assert.equal(made.length, 1);
  assert.equal(await shop.orders(), 15);
  assert.deepEqual(setAsidesIn(folder), []);
  await window.openSidebar();
  await window.treeItem(/^shop\.restored_.*copy of a backup/).waitFor();
}

async function restoreByHand(window: Window, shop: Shop, folder: string): Promise<void> {
  const page = pageButton(window);
  const { webview, dialog } = window;
  await openRunbook(window);
  await page(/Restore over shop\.db/).click();
  await webview.getByText(`pid ${shop.pid}`).waitFor();
  await webview.getByText('This folder is not trusted: tasks are not run.').waitFor();
  // The button is there, and does nothing.
  await page('Run Task "stop shop"').click({ force: true });
  await window.page.waitForTimeout(1000);
  await window.screenshot('runbook-restricted-stop');
  assert.equal(await shop.orders(), 15, 'the shop was stopped');
  await shop.stop();
  await endStop(window);
  await page('Keep the Current Database').click();
  await dialog.getByRole('button', { name: 'Restore' }).click();
  await page('Copy the Backup into Place').click();
  await page('I Have Started It').waitFor();
  await shop.start();
  await page('Check').click();
  await webview.getByText(/was not requested: this folder is not trusted/).waitFor();
  await window.screenshot('runbook-restricted-verify');
  await expectAccessible(window);
  assert.equal(await shop.orders(), 10);
  assert.equal(setAsidesIn(folder).length, 1);
}
