import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backUpAsOf, readManifest } from '../support/livedInWorkspace.ts';
import { everyNth, itInPart } from '../support/operations.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { accessibilityProblems } from './axe.ts';
import { changeSettings, inEachTheme, useWindows } from './setup.ts';
import type { Window } from './window.ts';

const settings = { 'sqliteBackup.backupsFolder': 'backups' };
const panes = ['.part.sidebar .pane-body'];

describe('the views in a window', function () {
  this.timeout(240_000);
  const withShared = useWindows();

  itInPart('show names that could act as text that cannot', async () => {
    await withShared({ settings }, async (window, folder) => {
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

      // A name that turns its end around, and one as long as a file system takes with what a backup adds.
      for (const one of ['turned \u202egpj.db', `${'n'.repeat(197)}.db`])
        cpSync(join(folder, 'data/sessions.db'), join(folder, one));
      await window.treeItem(/^turned \ufffdgpj\.db, never backed up/).waitFor();
      await window.treeItem(/^n{197}\.db, never backed up/).waitFor();
      await window.runCommand('SQLite Backup: Back Up All');
      await window.notification(/Backed up 5 databases at the same moment: .* verified/).waitFor();
      assert.equal(await window.page.getByText('\u202e').count(), 0);
      await window.screenshot('inert-names-all');
    });
  });

  itInPart('show forged backups as text that does nothing, wherever they are named', async () => {
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
    await withShared({ settings, create }, async (window) => {
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

  itInPart(
    'list all backups by day, pin them, and compare one with the live database',
    async () => {
      await withShared({ settings }, async (window, folder) => {
        await window.openSidebar();
        await window.treeItem(/^data\/app\.db, .*never backed up/).waitFor();
        await window.page.getByRole('button', { name: 'Back Up All' }).first().click();
        await window.notification(/Backed up 2 databases at the same moment/).waitFor();
        writeFileSync(join(folder, 'backups/notes.txt'), 'not a database');
        const theirs = ['corescope-backup-1700000000.db', 'graph_tracker_20261001_120000.sqlite'];
        for (const name of theirs) {
          cpSync(join(folder, 'data/sessions.db'), join(folder, 'backups', name));
        }

        await window
          .view('Backups')
          .getByRole('treeitem', { name: /^Today/ })
          .waitFor();
        for (const name of theirs) {
          const row = new RegExp(`^${name.replaceAll('.', '\\.')}, .*not made by SQLite Backup`);
          await window.treeItem(row).waitFor();
        }
        assert.equal(await window.treeItem(/notes\.txt/).count(), 0);
        // What a restore kept is one too, when somebody has put it there.
        const kept = 'app.db.bad-20261001_120000Z';
        cpSync(join(folder, 'data/sessions.db'), join(folder, 'backups', kept));
        await window
          .treeItem(/^app\.db\.bad-20261001_120000Z, .*previous database, kept by a restore/)
          .waitFor();
        rmSync(join(folder, 'backups', kept));
        await window.treeItem(/^app\.db\.bad-/).waitFor({ state: 'detached' });
        const backup = window.treeItem(/^app_\d{8}_\d{6}Z\.db, .*verified/);
        const pinned = window.treeItem(/^app_\d{8}_\d{6}Z\.db, pinned/);
        await window.chooseFromRow(backup, 'Pin', pinned);
        await inEachTheme(window, folder, (look) => window.screenshot(`backups-${look}`));
        assert.equal(readdirSync(join(folder, 'backups')).length, 7);
        const sessions = window.treeItem(/^sessions_\d{8}_\d{6}Z\.db, /);
        const same = window.page.getByText('The schemas are the same.');
        await window.chooseFromRow(sessions, 'Compare with Live', same);
        await window.screenshot('compare');
        const inExplorer = window.page.locator('.explorer-folders-view').getByRole('treeitem', {
          name: /^app_\d{8}_\d{6}Z\.db(,|$)/,
          selected: true,
        });
        await window.chooseFromRow(pinned, 'Reveal', inExplorer);
      });
    },
  );

  itInPart('say in words what is missing, with a way on, in every state without rows', async () => {
    const noFolder = async (window: Window): Promise<void> => {
      await window.openSidebar();
      for (const [view, text] of [
        ['Databases', 'Open a folder to see its SQLite databases here.'],
        ['Backups', 'Open a folder to see its backups here.'],
      ] as const) {
        await window.view(view).getByText(text).waitFor();
        await window.view(view).getByRole('button', { name: 'Open Folder' }).waitFor();
      }
      await window.screenshot('empty-no-folder');
      assert.deepEqual(await accessibilityProblems(window.page, panes), []);
    };
    // The other is a workspace that lists no folder yet.
    for (const setup of everyNth([{ sample: 'none' as const }, { folders: [] }], 2, 0)) {
      await withShared(setup, noFolder);
    }
    await withShared({ sample: false }, async (window, folder) => {
      const [databases, backups] = [window.view('Databases'), window.view('Backups')];
      await window.openSidebar();
      await databases.getByText('No SQLite database in this workspace yet.').waitFor();
      await backups.getByText('No backups folder yet.').waitFor();
      await window.screenshot('empty');
      assert.deepEqual(await accessibilityProblems(window.page, panes), []);
      assert.equal(await window.statusBarItem(/Back Up/).count(), 0);
      await backups.getByRole('button', { name: 'Choose Backups Folder…' }).click();
      await window.option(/^Another Folder…/).click();
      await window.quickInput.getByRole('button', { name: 'Keep Backups Here' }).waitFor();
      await window.page.keyboard.press('Escape');

      changeSettings(folder, { ...settings, 'sqliteBackup.autoRefresh': false });
      await backups.getByText('No backups yet, and no SQLite database').waitFor();
      await backups.getByRole('button', { name: 'Choose Backups Folder…' }).waitFor();
      createSampleWorkspace(folder);
      await databases.getByRole('button', { name: 'Look Again' }).click();
      await window.treeItem(/^data\/app\.db, /).waitFor();
      await backups.getByText('No backups yet. Your backups appear').waitFor();
      await window.screenshot('empty-no-backups');
      await backups.getByRole('button', { name: 'Back Up All' }).click();
      await window.treeItem(/^Today/).waitFor();

      await window.runCommand('SQLite Backup: Filter…');
      await window.answer('Filter Databases and Backups', 'no such thing');
      for (const view of [databases, backups]) {
        await view.getByText('No matches.').waitFor();
        await view.getByText('Filter "no such thing": 0 of 2').waitFor();
        assert.equal(await view.getByText(/No (backups|SQLite)/).count(), 0);
      }
      await window.screenshot('empty-filter');
      assert.deepEqual(await accessibilityProblems(window.page, panes), []);
      await backups.getByRole('button', { name: 'Clear Filter' }).last().click();
      await window.treeItem(/^data\/app\.db, /).waitFor();
      await window.treeItem(/^Today/).waitFor();

      writeFileSync(join(folder, 'a-file'), '');
      changeSettings(folder, { 'sqliteBackup.backupsFolder': 'a-file' });
      await backups.getByText('The backups folder a-file cannot be used').waitFor();
      // What could not be looked at is not called never backed up.
      await window.treeItem(/^data\/app\.db, backups unknown/).waitFor();
      await window.screenshot('bad-folder');
      const wrong = { 'sqliteBackup.include': '*.db', 'sqliteBackup.exclude': [1, null] };
      changeSettings(folder, { 'sqliteBackup.backupsFolder': 7, ...wrong });
      const told = window.notification(
        /The setting sqliteBackup\.\w+ is .*, but must be .*text.*\. The default is used/,
      );
      await told.getByRole('button', { name: 'Open Settings' }).waitFor();
      await backups.getByText('No backups folder yet.').waitFor();
      await window.treeItem(/^data\/app\.db, /).waitFor();
      await window.screenshot('bad-settings');
    });
  });

  itInPart(
    'show each workspace folder when there are several, and follow files that come and go',
    async () => {
      await withShared({ folders: ['shop', 'blog'], settings }, async (window, folder) => {
        await window.openSidebar();
        await window.treeItem(/^shop/).waitFor();
        await window.treeItem(/^blog/).waitFor();
        assert.equal(await window.treeItem(/app\.db, .*never backed up/).count(), 2);
        cpSync(join(folder, 'shop/data/sessions.db'), join(folder, 'blog/late.sqlite'));
        await window.treeItem(/^late\.sqlite, /).waitFor();
        rmSync(join(folder, 'blog/late.sqlite'));
        await window.treeItem(/^late\.sqlite, /).waitFor({ state: 'detached' });
        // A program that opens its file first and writes to it later. What is found after it tells that it was looked at.
        writeFileSync(join(folder, 'blog/slow.db'), '');
        cpSync(join(folder, 'shop/data/sessions.db'), join(folder, 'blog/after.db'));
        await window.treeItem(/^after\.db, /).waitFor();
        assert.equal(await window.treeItem(/^slow\.db, /).count(), 0);
        cpSync(join(folder, 'shop/data/sessions.db'), join(folder, 'blog/slow.db'));
        await window.treeItem(/^slow\.db, /).waitFor();
        await window.screenshot('several-folders');
        // Of a whole folder that is moved or deleted, VS Code tells the folder alone.
        mkdirSync(join(folder, 'aside'));
        cpSync(join(folder, 'shop/data/sessions.db'), join(folder, 'aside/moved.db'));
        renameSync(join(folder, 'aside'), join(folder, 'blog/v1.2'));
        await window.treeItem(/^v1\.2\/moved\.db, /).waitFor();
        rmSync(join(folder, 'blog/v1.2'), { recursive: true });
        await window.treeItem(/^v1\.2\/moved\.db, /).waitFor({ state: 'detached' });
      });
    },
  );

  itInPart(
    'show a file once that several workspace folders have, and backups that several share',
    async () => {
      const create = (folder: string): Promise<void> => {
        createSampleWorkspace(join(folder, 'shop'));
        return Promise.resolve();
      };
      // One folder is within the other, so both find the databases in it.
      const folders = ['shop', 'shop/data'];
      await withShared({ create, folders }, async (window, folder) => {
        for (const name of folders) {
          const kept = join(folder, 'shop/kept');
          changeSettings(join(folder, name), { 'sqliteBackup.backupsFolder': kept });
        }
        await window.openSidebar();
        await window.treeItem(/^app\.db, never backed up/).waitFor();
        assert.equal(await window.treeItem(/app\.db, /).count(), 1);
        await window.view('Backups').getByText('No backups yet. Your backups appear').waitFor();
        await window.runCommand('SQLite Backup: Back Up All');
        await window.notification(/Backed up 2 databases at the same moment/).waitFor();
        await window.treeItem(/^app\.db, .*backed up just now/).waitFor();
        const backup = window.treeItem(/^app_\d{8}_\d{6}Z\.db, /);
        await backup.waitFor();
        assert.equal(await backup.count(), 1);
        assert.equal(readdirSync(join(folder, 'shop/kept')).length, 4);
      });
    },
  );
});
