import assert from 'node:assert/strict';
import { keysOf } from './keys.ts';
import { themes } from './setup.ts';
import { setAsidesIn, withShop } from './shop.ts';
import { thePackage, type Window } from './window.ts';
import { itInPart } from '../support/operations.ts';

describe('with the keyboard alone', () => {
  before(thePackage);

  itInPart(
    'a first backup, a restore with a reload in the middle, and its undo',
    async function () {
      // A whole restore, a reload and an undo in one window: the longest of all on a busy machine.
      this.timeout(480_000);
      const setup = { theme: themes.light, backUp: backUpByKeys };
      await withShop(setup, async (window, shop, folder) => {
        const keys = keysOf(window);
        const { webview, dialog } = window;
        await keys.command('SQLite Backup: Restore…');
        await window.option(/shop/).waitFor();
        await window.page.keyboard.press('Enter');

        await webview.getByRole('heading', { name: /Restore shop\.db/ }).waitFor();
        await keys.press(/^Restore over shop\.db/);
        await webview.getByText(`pid ${shop.pid}`).waitFor();
        await window.screenshot('keyboard-1-stop');
        await keys.press('Run Task "stop shop"');
        await webview.getByText('Task "stop shop" ended with 0.').waitFor();
        await webview.getByText(/^No program (that this user can see )?has it open\.$/).waitFor();
        // Only a user who does not see all programs is asked.
        const confirm = webview.getByRole('checkbox', { name: 'No other program uses it.' });
        if ((await confirm.count()) > 0) await keys.tick('No other program uses it.');
        await keys.press('Continue');
        await keys.press('Keep the Current Database');
        await dialog.getByText(/5 rows of orders are only in the live database/).waitFor();
        await keys.answer('Restore');
        await webview.getByRole('button', { name: 'Copy the Backup into Place' }).waitFor();
        assert.equal(setAsidesIn(folder).length, 1);
        await window.screenshot('keyboard-2-kept');

        // VS Code writes down what is open a moment later.
        await window.page.waitForTimeout(2000);
        await window.page.reload();
        await webview
          .getByRole('button', { name: 'Copy the Backup into Place' })
          .waitFor({ timeout: 60_000 });
        await keys.command('View: Focus Active Editor Group');
        await keys.press('Copy the Backup into Place');
        await webview.getByText('This step is done as soon as node opens').waitFor();
        await keys.press('Run Task "start shop"');
        await webview.getByText(/^node \(\d+\) has it open again, as before\.$/).waitFor();
        await keys.press('Check');
        await webview.getByText(/200 .*"orders":10/).waitFor();
        await window.screenshot('keyboard-3-checked');
        await keys.tick('The problem is fixed');
        await keys.press('Looks Good');
        await keys.press('Keep the Previous Database');
        await webview.getByText(/The previous database is kept\. Undo puts it back/).waitFor();

        await shop.stop();
        await keys.press('Undo');
        await dialog.waitFor();
        await window.screenshot('keyboard-4-question');
        await keys.answer('Undo');
        await webview.getByText('Undone: the previous database is back.').waitFor();
        await window.screenshot('keyboard-5-undone');
        await shop.start();
        assert.equal(await shop.orders(), 15);
      });
    },
  );
});

async function backUpByKeys(window: Window): Promise<void> {
  // The database has been found.
  await window.statusBarItem(/Back Up$/).waitFor();
  await keysOf(window).command('SQLite Backup: Back Up Last Database');
  // Only a list of databases that is not complete yet makes it ask.
  const asked = window.option(/shop\.db/);
  await asked
    .or(window.notification(/Backed up shop\.db/))
    .first()
    .waitFor();
  if (await asked.isVisible()) await window.page.keyboard.press('Enter');
}
