import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { storedIn, checkpointsFolder } from '../../src/core/checkpoint/store.ts';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { changeSettings, useWindows, waitUntil } from './setup.ts';

const alarmMs = 10_000;

describe('checkpoints in a window', function () {
  this.timeout(180_000);
  const withShared = useWindows();

  const create = (folder: string): Promise<void> => {
    mkdirSync(join(folder, 'data'), { recursive: true });
    for (const name of ['shop.db', 'other.db'])
      createDatabase(join(folder, 'data', name), { rows: 300 });
    return Promise.resolve();
  };

  it('are offered by the first backup and the walkthrough, taken by one click, restored, told of when rows go, and deleted with every other copy', async () => {
    await withShared({ create }, async (window, folder) => {
      const shop = join(folder, 'data/shop.db');
      const copiesOf = (path: string): string[] =>
        storedIn(checkpointsFolder(undefined))
          .filter(({ manifest }) => manifest.livePath === path)
          .map((one) => one.path);
      // What a repository brings along decides nothing here.
      changeSettings(folder, {
        'sqliteBackup.lossAlarm': false,
        'sqliteBackup.schedule': '',
        'sqliteBackup.before.debug': 'off',
      });
      await window.openSidebar();
      await window.treeItem(/^data\/shop\.db, /).waitFor();
      const machine = await window.changeMachineSettings({ 'sqliteBackup.lossAlarm': true });
      const settings = (): unknown => JSON.parse(readFileSync(machine, 'utf8'));

      await window.runCommand('SQLite Backup: Back Up All');
      await window.option(/^In the Workspace: backups/).click();
      const backedUp = window.notification(/Backed up/);
      await backedUp.hover();
      await backedUp.getByRole('button', { name: 'Take Checkpoints Automatically' }).click();
      const automatic = window.notification(
        /Checkpoints are taken every 15 minutes and before debugging\. .*at most [\d.]+ [KM]B each time .*together take at most 2\.0 GB/,
      );
      await automatic.hover();
      await automatic.getByRole('button', { name: 'Undo' }).click();
      const undone = { 'sqliteBackup.schedule': '', 'sqliteBackup.before.debug': 'off' };
      await waitUntil(
        () => isDeepStrictEqual(settings(), { 'sqliteBackup.lossAlarm': true, ...undone }),
        'both settings are as before',
      );

      await window.runCommand('Welcome: Open Walkthrough...');
      await window.option(/Get Started with SQLite Backup/).click();
      const step = window.page.getByRole('button', { name: 'Take checkpoints automatically' });
      await step.click();
      await window.page
        .locator('.step-container, .getting-started-step')
        .getByRole('button', { name: 'Take Checkpoints Automatically', exact: true })
        .click();
      await automatic.waitFor();
      await window.runCommand('View: Close All Editors');
      await waitUntil(() => copiesOf(shop).length === 1, 'the schedule takes the first one');

      await window.runCommand('SQLite Backup: Restore Checkpoint…');
      await window.option(/^Restore to .*data\/shop\.db/).click();
      await window.webview.getByRole('heading', { name: /Restore data\/shop\.db/ }).waitFor();
      await window.runCommand('View: Close All Editors');

      // Its rows are known once it is counted.
      await new Promise((settle) => setTimeout(settle, 8000));
      const otherPath = join(folder, 'data/other.db');
      for (const path of [shop, otherPath])
        withDatabase(path, (db) => db.exec('DELETE FROM items WHERE id > 20'));
      const both = window.notification(/2 databases lost data since .*280 of 300 rows gone/);
      await both.waitFor({ timeout: alarmMs });
      for (const name of ['shop', 'other'])
        await both.getByText(`data/${name}.db (items: 280 of 300 rows gone)`).waitFor();
      assert.equal(
        await window.notification(/./).count(),
        1,
        'it takes the place of the older one',
      );
      await window.screenshot('lost-both');
      const [kept] = copiesOf(shop);
      assert.equal(valueOf(kept ?? '', 'SELECT count(*) FROM items'), 300);
      const review = async (): Promise<void> => {
        await both.hover();
        await both.getByRole('button', { name: 'Review…' }).click();
        await window.option(/data\/shop\.db.*data\/shop\.db lost rows since/).waitFor();
      };
      await review();
      await window.screenshot('lost-review');
      // It is told again when the list is left without an answer.
      await window.page.keyboard.press('Escape');
      await review();
      await window.option(/data\/shop\.db/).click();
      await window.option('Not a Loss').click();
      const other = window.notification(
        /data\/other\.db lost rows since .*items: 280 of 300 rows gone/,
      );
      await other.waitFor();
      await window.screenshot('lost-other');
      await other.hover();
      await other.getByRole('button', { name: 'Not a Loss' }).click();

      await window.runCommand('SQLite Backup: Delete Every Copy of This Database…');
      await window.option(/data\/shop\.db/).click();
      await window.dialog.getByText('Delete every copy of data/shop.db?').waitFor();
      await window.dialog.getByText('The database itself stays.').waitFor();
      await window.dialog.getByRole('button', { name: 'Delete', exact: true }).click();
      await waitUntil(() => copiesOf(shop).length === 0, 'its copies are gone');
      assert.ok(existsSync(shop));
      assert.equal(copiesOf(otherPath).length, 1);
    });
  });
});
