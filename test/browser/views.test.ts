import assert from 'node:assert/strict';
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backUpAsOf, readManifest } from '../support/livedInWorkspace.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
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

  it('show forged backups as text that does nothing, wherever they are named', async () => {
    const link = '[x](command:workbench.action.terminal.new)';
    const name = `${link} <b>b $(bug) \u202egpj.db`;
    const create = async (folder: string): Promise<void> => {
      createSampleWorkspace(folder);
      const backup = await backUpAsOf(folder, 'data/sessions.db', 60_000);
      const manifest = readManifest(backup);
      assert.ok(manifest !== undefined);
      const note = `${link}\n<img src=x onerror=alert(1)> https://example.com www.example.com`;
      const source = { ...manifest.source, path: `${link} <i>i</i>\n.db` };
      cpSync(backup, join(folder, 'backups', name));
      writeFileSync(
        join(folder, 'backups', `${name}.json`),
        JSON.stringify({ ...manifest, source, note, verdict: { ...manifest.verdict } }),
      );
    };
    await withWindow({ settings, create }, async (window) => {
      const { page } = window;
      await window.openSidebar();
      const row = window.treeItem(/^\[x\].*<b>b/);
      await row.waitFor();
      const acting = page.locator(
        'a:text-is("x"), a:has-text("example.com"), img[src="x"], b:has-text("bug"), .monaco-workbench .codicon-bug:visible',
      );
      const nothingActs = async (where: string): Promise<void> =>
        assert.equal(await acting.count(), 0, where);
      await nothingActs('rows');
      assert.equal(await page.getByText('\u202e').count(), 0);
      await row.hover();
      await page.locator('.workbench-hover', { hasText: 'example.com' }).waitFor();
      await window.screenshot('inert-tooltip');
      await nothingActs('tooltip');

      await row.click({ button: 'right' });
      await window.chooseFromMenu('Rename…');
      await window.quickInput.getByRole('textbox').fill(`${link}/`);
      await window.quickInput.getByText('is a path, not a name').waitFor();
      await window.screenshot('inert-rename');
      await nothingActs('rename');
      await page.keyboard.press('Escape');

      await row.click({ button: 'right' });
      await window.chooseFromMenu('Note…');
      await window.quickInput.getByText('Note on').waitFor();
      await nothingActs('note');
      await page.keyboard.press('Escape');

      await row.click({ button: 'right' });
      await window.chooseFromMenu('Delete…');
      await window.dialog.getByText(/to the trash/).waitFor();
      await nothingActs('modal');
      await page.keyboard.press('Escape');

      await row.click({ button: 'right' });
      await window.chooseFromMenu('Verify');
      await window.notification(/Verified 1 backup: nothing is wrong/).waitFor();
      await nothingActs('notification');

      await window.runCommand('SQLite Backup: Filter…');
      await window.answer('Filter Databases and Backups', link);
      await page
        .getByText(/^Filter "\[x\]/)
        .first()
        .waitFor();
      assert.equal(await page.locator('.pane-body .message a').count(), 0);
      await window.screenshot('inert-filter');
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
