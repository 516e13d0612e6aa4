import assert from 'node:assert/strict';
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { themes, withWindow } from './setup.ts';

const settings = { 'sqliteBackup.backupsFolder': 'backups' };

describe('the views in a window', () => {
  it('show names that could act as text that cannot', async () => {
    await withWindow({ settings }, async (window, folder) => {
      const name = '[Fix it](command:workbench.action.terminal.new) $(bug).db';
      cpSync(join(folder, 'data/sessions.db'), join(folder, name));
      await window.openSidebar();
      const row = window.treeItem(/^\[Fix it\].*never backed up/);
      await row.hover();
      await row.getByRole('button', { name: /Back Up/ }).click();
      const done = window.notification(/Backed up \[Fix it\].*verified\./);
      await done.waitFor();
      assert.equal(await done.locator('.notification-list-item-message a').count(), 0);
      const item = window.statusBarItem(/Fix it/);
      await item.waitFor();
      assert.equal(await item.locator('.codicon-bug').count(), 0);
      await window.screenshot('inert-names');
    });
  });

  for (const [look, theme] of Object.entries(themes)) {
    it(`list all backups by day, verify and pin them (${look})`, async () => {
      await withWindow({ theme, settings }, async (window, folder) => {
        await window.openSidebar();
        await window.treeItem(/^data\/app\.db, .*never backed up/).waitFor();
        await window.page.getByRole('button', { name: 'Back Up All' }).first().click();
        await window.notification(/Backed up 2 databases at one instant/).waitFor();
        writeFileSync(join(folder, 'backups/notes.txt'), 'not a database');
        cpSync(
          join(folder, 'data/sessions.db'),
          join(folder, 'backups/corescope-backup-1700000000.db'),
        );

        await window.treeItem(/^Today/).waitFor();
        await window
          .treeItem(/^corescope-backup-1700000000\.db, .*not made by SQLite Backup/)
          .waitFor();
        assert.equal(await window.treeItem(/notes\.txt/).count(), 0);
        const backup = window.treeItem(/^app_\d{8}_\d{6}Z\.db, .*verified/);
        // The copies above are found one by one, and a row that is drawn anew loses its menu.
        await window.page.waitForTimeout(1500);
        await backup.click({ button: 'right' });
        await window.chooseFromMenu('Pin');
        await window.treeItem(/^app_\d{8}_\d{6}Z\.db, pinned/).waitFor();
        await window.screenshot(`backups-${look}`);
        assert.equal(readdirSync(join(folder, 'backups')).length, 6);
      });
    });
  }

  it('show each workspace folder when there are several, and follow files that come and go', async () => {
    await withWindow({ folders: ['shop', 'blog'], settings }, async (window, folder) => {
      await window.openSidebar();
      await window.treeItem(/^shop/).waitFor();
      await window.treeItem(/^blog/).waitFor();
      assert.equal(await window.treeItem(/app\.db, .*never backed up/).count(), 2);
      cpSync(join(folder, 'shop/data/sessions.db'), join(folder, 'blog/late.sqlite'));
      await window.treeItem(/^late\.sqlite, /).waitFor();
      rmSync(join(folder, 'blog/late.sqlite'));
      await window.treeItem(/^late\.sqlite, /).waitFor({ state: 'detached' });
      // A program that opens its file first and writes to it later.
      writeFileSync(join(folder, 'blog/slow.db'), '');
      await window.page.waitForTimeout(1500);
      cpSync(join(folder, 'shop/data/sessions.db'), join(folder, 'blog/slow.db'));
      await window.treeItem(/^slow\.db, /).waitFor();
      await window.screenshot('several-folders');
    });
  });

  it('compare a backup with the live database in a diff and a document', async () => {
    await withWindow({ settings }, async (window) => {
      await window.openSidebar();
      await window.treeItem(/^data\/sessions\.db, .*never backed up/).hover();
      await window
        .treeItem(/^data\/sessions\.db, /)
        .getByRole('button', { name: /Back Up/ })
        .click();
      await window.notification(/Backed up data\/sessions\.db/).waitFor();
      await window.treeItem(/^sessions_\d{8}_\d{6}Z\.db, /).click({ button: 'right' });
      await window.chooseFromMenu('Compare with Live');
      await window.page.getByText('The schemas are the same.').waitFor();
      await window.screenshot('compare');
    });
  });
});
