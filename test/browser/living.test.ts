import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Locator } from 'playwright-core';
import { createLivedInWorkspace, readManifest } from '../support/livedInWorkspace.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { accessibilityProblems, namesWithoutTheirText } from './axe.ts';
import { changeSettings, inEachTheme, useWindows, waitUntil, withWindow } from './setup.ts';
import type { Window } from './window.ts';
import { itInPart } from '../support/operations.ts';

const settings = { 'sqliteBackup.backupsFolder': 'backups' };
/** What we show all the time. */
const views = ['.part.sidebar .pane-body', '.statusbar-item[id*="sqliteBackup"]'];

const backupsIn = (folder: string): string[] =>
  readdirSync(join(folder, 'backups')).filter((name) => !name.endsWith('.json'));

describe('living with backups, in a window', () => {
  const withShared = useWindows();

  itInPart('reads well, wide and narrow, and axe finds nothing', async () => {
    await withShared({ settings, create: createLivedInWorkspace }, async (window, folder) => {
      await window.openSidebar();
      await window.treeItem(/^data\/app\.db, /).click();
      await window.page.keyboard.press('ArrowRight');
      await window
        .treeItem(/^\d\d:\d\d today.*restore tested/)
        .first()
        .waitFor();
      const looks = async (what: string, look: string): Promise<void> => {
        await window.screenshot(`${what}-${look}`);
        assert.deepEqual(await accessibilityProblems(window.page, views), [], `${what}, ${look}`);
      };
      await inEachTheme(window, folder, (look) => looks('lived-in', look));
      assert.deepEqual(await namesWithoutTheirText(window.page), []);
      await window.resizeSidebar(250);
      await inEachTheme(window, folder, (look) => looks('lived-in-narrow', look));
      await window.runCommand('SQLite Backup: Filter…');
      await window.answer('Filter Databases and Backups', 'app pinned');
      await window.page.getByText('Filter "app pinned": 1 of 4').waitFor();
      await window.treeItem(/^data\/cache\.db, /).waitFor({ state: 'detached' });
      await inEachTheme(window, folder, (look) => looks('lived-in-filter', look));
    });
  });

  itInPart('filters, sorts, selects, deletes, prunes, and follows its settings', async () => {
    const create = (folder: string): Promise<void> => createLivedInWorkspace(folder, 8);
    await withShared({ settings, create }, async (window, folder) => {
      await window.openSidebar();
      await window.treeItem(/^data\/app\.db, /).waitFor();
      await badge(window);
      await older(window);
      await filterAndSort(window);
      await statusBar(window, folder);
      await titleButton(window, folder);
      await selection(window, folder);
      await compact(window, folder);
      await deletion(window, folder);
      await retention(window, folder);
      await vanishing(window, folder);
    });
  });

  itInPart('works with the keyboard alone, menus included', async () => {
    await withShared({ settings }, async (window, folder) => {
      const { keyboard } = window.page;
      const focusView = async (): Promise<void> => {
        await window.findCommand('SQLite Backup: Focus on Databases View');
        await keyboard.press('Enter');
      };
      await focusView();
      await window.treeItem(/^data\/app\.db, /).waitFor();
      // While the databases are searched for, there is no row to focus.
      await focusView();
      await window.page.locator('.pane-body .monaco-list:focus').waitFor();
      await keyboard.press('Home');
      await keyboard.press('ArrowDown');
      await keyboard.press('Shift+F10');
      await window.page
        .getByRole('menuitem', { name: 'Back Up without Deleted Content' })
        .waitFor();
      const focused = window.page.locator('.monaco-menu .action-item.focused');
      await waitUntil(async () => {
        await keyboard.press('ArrowDown');
        return (await focused.textContent())?.trim() === 'Back Up';
      }, 'the keyboard does not reach Back Up');
      await keyboard.press('Enter');
      await window.notification(/Backed up data\/sessions\.db/).waitFor();
      assert.equal(backupsIn(folder).length, 1);
    });
  });

  itInPart(
    'is accessible while a backup runs, after it has failed, and in all that asks and tells',
    async () => {
      await withShared({ settings }, async (window, folder) => {
        const { page } = window;
        const axe = async (what: string, ...parts: string[]): Promise<void> =>
          assert.deepEqual(await accessibilityProblems(page, parts), [], what);
        await window.openSidebar();
        const row = window.treeItem(/^data\/sessions\.db, /);
        await row.hover();
        const locker = await lock(join(folder, 'data/sessions.db'));
        try {
          await row.getByRole('button', { name: 'Back Up' }).click();
          await window.statusBarItem(/sessions\.db starting/).waitFor();
          await window.treeItem(/^data\/sessions\.db, starting/).waitFor();
          await row.getByRole('button', { name: 'Cancel Backup' }).waitFor();
          await window.screenshot('running');
          await axe('running', ...views);
          const failed = window.notification(/sessions\.db is locked by another program/);
          await failed.waitFor();
          await failed.hover();
          await window.treeItem(/^data\/sessions\.db, backup failed/).waitFor();
          const item = window.statusBar.locator('[id*="sqliteBackup"]');
          assert.match((await item.getAttribute('class')) ?? '', /\bwarning-kind\b/);
          await window.statusBarItem(/^SQLite Backup: data\/sessions\.db: backup failed/).waitFor();
          await inEachTheme(window, folder, async (look) => {
            await window.screenshot(`failed-${look}`);
            await axe(`failed, ${look}`, ...views, '.notification-list-item');
          });
          locker.kill();
          await failed.getByRole('button', { name: 'Retry' }).click();
        } finally {
          locker.kill();
        }
        await window.notification(/Backed up data\/sessions\.db/).waitFor();
        await window.statusBarItem(/sessions\.db just now/).waitFor();
        assert.doesNotMatch(
          (await window.statusBar.locator('[id*="sqliteBackup"]').getAttribute('class')) ?? '',
          /\bwarning-kind\b/,
        );

        // The list around the entries is VS Code's own, and axe does not like it for any extension.
        const picks = ['.quick-input-list .monaco-icon-label', '.quick-input-box'];
        await window.runCommand('SQLite Backup: Back Up');
        await window.quickInput.getByPlaceholder('Databases to back up').waitFor();
        await window.quickInput.getByText('data/app.db').waitFor();
        await window.screenshot('pick-databases');
        await axe('databases to pick', ...picks);
        await page.keyboard.press('Escape');
        await window.runCommand('SQLite Backup: Verify');
        await window.quickInput.getByText(/^sessions\.db · /).waitFor();
        await window.screenshot('pick-backups');
        await axe('backups to pick', ...picks);
        await page.keyboard.press('Escape');
        await window.runCommand('SQLite Backup: Filter…');
        await window.quickInput.getByText('Filter Databases and Backups').waitFor();
        await axe('filter', '.quick-input-titlebar', '.quick-input-message');
        await page.keyboard.press('Escape');
        const sessions = window.treeItem(/^sessions_\d{8}_\d{6}Z\.db, /);
        const question = window.dialog.getByText(/Move sessions_.* to the trash\?/);
        await window.chooseFromRow(sessions, 'Delete…', question);
        await axe('delete', '.dialog-message-container', '.dialog-buttons-row');
        await page.keyboard.press('Escape');
        assert.equal(backupsIn(folder).length, 1);
      });
    },
  );

  itInPart(
    'prunes after a backup when told to, says so, and asks only before what cannot be undone',
    async () => {
      const create = (folder: string): Promise<void> => createLivedInWorkspace(folder, 4);
      const own = {
        ...settings,
        'sqliteBackup.confirmations': 'irreversible',
        'sqliteBackup.retention.keepLast': 1.5,
      };
      await withWindow({ settings: own, create }, async (window, folder) => {
        await window.changeMachineSettings({ 'sqliteBackup.retention.afterBackup': true });
        await window.openSidebar();
        const app = window.treeItem(/^data\/app\.db, /);
        const backUp = async (): Promise<void> => {
          await app.hover();
          await app.getByRole('button', { name: 'Back Up' }).click();
        };
        const before = backupsIn(folder);
        await backUp();
        await window
          .notification(
            /Backed up data\/app\.db: .*, verified\. Retention could not delete some backups: keepLast must be a whole number/,
          )
          .waitFor();
        await window.screenshot('retention-failed');
        assert.equal(backupsIn(folder).length, before.length + 1);

        changeSettings(folder, {
          'sqliteBackup.retention.keepLast': 1,
          'sqliteBackup.statusBar.text': 'attention',
        });
        await window.statusBarItem(/attention$/).waitFor();
        // The pinned one stays, and so does what is not of this database.
        const gone = before.filter((name) => {
          const { pinned, source } = readManifest(join(folder, 'backups', name)) ?? {};
          return source?.path === 'data/app.db' && pinned !== true;
        });
        assert.equal(gone.length, 3);
        await backUp();
        await window
          .notification(/Backed up data\/app\.db: .*, verified\. Retention deleted 4 backups \(/)
          .waitFor();
        await window.screenshot('retention-after-backup');
        for (const name of before) {
          const isThere = existsSync(join(folder, 'backups', name));
          assert.equal(isThere, !gone.includes(name), name);
        }

        await window.runCommand('SQLite Backup: Filter…');
        await window.answer('Filter Databases and Backups', 'old.db');
        const old = window.treeItem(/^old_\d{8}_\d{6}Z\.db, /);
        await old.first().waitFor();
        const left = backupsIn(folder).length;
        // A server has no trash, so this cannot be undone, and is asked about at once.
        const question = /There is no trash here\. Delete old_.* permanently\?/;
        await window.chooseFromRow(old.first(), 'Delete…', window.dialog.getByText(question));
        assert.equal(await window.dialog.getByText(/to the trash\?/).count(), 0);
        await window.page.keyboard.press('Escape');
        await window.dialog.waitFor({ state: 'detached' });
        assert.equal(backupsIn(folder).length, left);
        await window.runCommand('SQLite Backup: Apply Retention…');
        await window.dialog.getByText(/Retention would delete 2 backups/).waitFor();
        await window.page.keyboard.press('Escape');
        await window.dialog.waitFor({ state: 'detached' });
        assert.equal(backupsIn(folder).length, left);
      });
    },
  );

  itInPart('asks before a folder outside that the workspace chose is used, once', async () => {
    const outside = join(tmpdir(), `outside-${process.pid}`);
    try {
      const create = (folder: string): Promise<void> => {
        createSampleWorkspace(folder);
        changeSettings(folder, { 'sqliteBackup.backupsFolder': outside });
        return Promise.resolve();
      };
      await withShared({ create }, async (window) => {
        await window.openSidebar();
        const app = window.treeItem(/^data\/app\.db, /);
        await app.hover();
        await app.getByRole('button', { name: /Back Up/ }).click();
        const question = window.notification(
          /wants its backups in .*outside-\d+, outside the workspace/,
        );
        await question.waitFor();
        await window.screenshot('outside');
        assert.equal(existsSync(outside), false);
        await question.getByRole('button', { name: 'Use This Folder' }).click();
        await window.notification(/Backed up data\/app\.db/).waitFor();
        assert.equal(readdirSync(outside).length, 2);
        await window.runCommand('SQLite Backup: Back Up Last Database');
        await waitUntil(() => readdirSync(outside).length === 4, 'asked twice');
        rmSync(outside, { recursive: true });
        await window.treeItem(/^data\/app\.db, never backed up/).waitFor();
      });
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
  });

  itInPart('does not even name the folder outside in Restricted Mode', async () => {
    const outside = join(tmpdir(), `outside-${process.pid}`);
    const create = async (folder: string): Promise<void> => {
      await createLivedInWorkspace(folder, 1);
      changeSettings(folder, { 'sqliteBackup.backupsFolder': outside });
      writeFileSync(join(folder, '.env'), `BACKUPS_DIR=${outside}\n`);
    };
    await withWindow({ trusted: false, create }, async (window, folder) => {
      await window.openSidebar();
      const app = window.treeItem(/^data\/app\.db, /);
      await app.hover();
      await app.getByRole('button', { name: /Back Up/ }).click();
      await window.quickInput.getByText('Where should backups go?').waitFor();
      assert.equal(await window.option(/BACKUPS_DIR/).count(), 0);
      await window.page.keyboard.press('Escape');
      await window.notification('Nothing was backed up').waitFor();
      assert.equal(await window.page.getByText('wants its backups').count(), 0);
      assert.equal(existsSync(outside), false);
      const backups = window.view('Backups');
      await backups.getByText('No backups folder yet.').waitFor();
      await backups.getByText('This folder is not trusted').waitFor();
      await backups.getByRole('button', { name: 'Manage Trust' }).waitFor();
      for (const name of ['data', 'backups'])
        rmSync(join(folder, name), { recursive: true, force: true });
      const databases = window.view('Databases');
      await databases.getByText('No SQLite database in this workspace yet.').waitFor();
      await databases.getByText('This folder is not trusted').waitFor();
      await window.screenshot('empty-restricted');
      assert.deepEqual(await accessibilityProblems(window.page, views), []);
      await databases.getByRole('button', { name: 'Manage Trust' }).click();
      await window.page.locator('.workspace-trust-editor').waitFor();
    });
  });
});

/** Locks a database for everybody else, and resolves when the lock is held. */
async function lock(path: string): Promise<ChildProcess> {
  const child = fork(resolve(import.meta.dirname, '../support/lockDatabase.ts'), [path]);
  await once(child, 'message');
  return child;
}

async function badge(window: Window): Promise<void> {
  const tab = window.page
    .getByRole('tablist', { name: 'Active View Switcher' })
    .getByRole('tab', { name: /SQLite Backup/ });
  assert.match(
    (await tab.getAttribute('aria-label')) ?? '',
    /need attention: 1 never backed up, 1 backed up long ago.*1 damaged backup$/,
  );
}

/** The row that shows what does not fit at first. */
async function older(window: Window): Promise<void> {
  const databases = window.view('Databases');
  await window.treeItem(/^data\/app\.db, /).click();
  await window.page.keyboard.press('ArrowRight');
  const below = databases.locator('[role="treeitem"][aria-level="2"]');
  await window.treeItem('3 more…').waitFor();
  assert.equal(await below.count(), 6);
  await window.treeItem('3 more…').click();
  await window.treeItem('3 more…').waitFor({ state: 'detached' });
  assert.equal(await below.count(), 8);
  await window.treeItem(/^data\/app\.db, /).click();
}

async function filterAndSort(window: Window): Promise<void> {
  await window.chooseFromViewMenu('Backups', 'Filter…');
  await window.answer('Filter Databases and Backups', 'damaged');
  await window.page.getByText(/^Filter "damaged": 1 of 4$/).waitFor();
  await window.page.getByText(/^Filter "damaged": 1 of 14$/).waitFor();
  await window.treeItem(/^data\/cache\.db/).waitFor({ state: 'detached' });
  await window.chooseFromViewMenu('Backups', 'Filter…');
  await window.answer('Filter Databases and Backups', 'no such thing');
  await window.view('Backups').getByText('Filter "no such thing": 0 of 14').waitFor();
  await window.chooseFromViewMenu('Databases', 'Clear Filter');
  await window.treeItem(/^data\/cache\.db/).waitFor();

  await window.chooseFromViewMenu('Backups', 'Sort By…');
  await window.option('Backups by Name').click();
  await window.treeItem(/^Today/).waitFor({ state: 'detached' });
  await window.screenshot('sorted-by-name');
  await window.chooseFromViewMenu('Databases', 'Sort By…');
  await window.option('Databases by Size').click();
  await window.chooseFromViewMenu('Databases', 'Sort By…');
  await window.option('Databases by Last Backup').click();
  const first = window.page.getByRole('tree', { name: 'Databases' }).getByRole('treeitem').first();
  const isCache = async (): Promise<boolean> =>
    /^data\/cache/.test((await first.getAttribute('aria-label')) ?? '');
  await waitUntil(isCache, 'what was never backed up does not come first');
  // What a person chooses is for all workspaces, those of the next tests included.
  await window.chooseFromViewMenu('Databases', 'Sort By…');
  await window.option('Databases by Path').click();
  await waitUntil(async () => !(await isCache()), 'the order by path is not back');
  await window.chooseFromViewMenu('Backups', 'Sort By…');
  await window.option('Backups by Day').click();
  await window.treeItem(/^Today/).waitFor();
}

async function statusBar(window: Window, folder: string): Promise<void> {
  const item = window.statusBar.locator('[id*="sqliteBackup"]');
  await window.statusBarItem(/data\/app\.db \d+ min ago/).waitFor();
  changeSettings(folder, { 'sqliteBackup.statusBar.text': 'attention' });
  await window.statusBarItem(/2 need attention/).waitFor();
  changeSettings(folder, { 'sqliteBackup.statusBar.text': 'icon' });
  await waitUntil(async () => (await item.textContent())?.trim() === '', 'the text is still there');
  await window.statusBarItem(/^SQLite Backup: data\/app\.db \d+ min ago/).waitFor();
  changeSettings(folder, { 'sqliteBackup.statusBar.visible': false });
  await item.waitFor({ state: 'hidden' });
  changeSettings(folder, {
    'sqliteBackup.statusBar.visible': true,
    'sqliteBackup.statusBar.text': 'lastBackup',
    'sqliteBackup.statusBar.click': 'backUp',
  });
  await window.statusBarItem(/data\/app\.db/).click();
  await window.quickInput.getByPlaceholder('Databases to back up').waitFor();
  await window.page.keyboard.press('Escape');
}

async function titleButton(window: Window, folder: string): Promise<void> {
  writeFileSync(join(folder, 'notes.txt'), 'notes');
  await window.page.keyboard.press('Control+p');
  await window.quickInput.getByRole('textbox').fill('notes.txt');
  await window.option(/notes\.txt/).click();
  const button = window.page
    .locator('.editor-actions')
    .getByRole('button', { name: /Back Up Last Database/ });
  assert.equal(await button.count(), 0);
  await window.chooseFromViewMenu('Databases', 'Show in Editor Title');
  await button.waitFor();
  await window.screenshot('editor-title');
  await window.chooseFromViewMenu('Databases', '✓ Show in Editor Title');
  await button.waitFor({ state: 'detached' });
}

/** Selects the first two backups of today, and returns the row of one of them. */
async function selectTwo(window: Window): Promise<Locator> {
  const rows = window.treeItem(
    /^app_\d{8}_\d{6}Z\.db, .*verified|^app_\d{8}_\d{6}Z\.db, .*restore tested/,
  );
  await rows.nth(0).click();
  await rows.nth(1).click({ modifiers: ['ControlOrMeta'] });
  return rows.nth(1);
}

async function selection(window: Window, folder: string): Promise<void> {
  const pinned = (): number =>
    backupsIn(folder).filter((name) => readManifest(join(folder, 'backups', name))?.pinned === true)
      .length;
  assert.equal(pinned(), 1);
  await window.chooseFromRow(await selectTwo(window), 'Pin', window.treeItem(/, pinned/).nth(2));
  await waitUntil(() => pinned() === 3, 'not both were pinned');
}

async function compact(window: Window, folder: string): Promise<void> {
  const told = window.notification(/Backed up data\/cache\.db/);
  await window.chooseFromRow(
    window.treeItem(/^data\/cache\.db, /),
    'Back Up without Deleted Content',
    told,
  );
  const [made] = backupsIn(folder).filter((name) => name.startsWith('cache_'));
  assert.equal(readManifest(join(folder, 'backups', made ?? ''))?.method, 'compact');
}

/** What the audit log of the only window of a server says, without the times. */
function auditOf(window: Window): Record<string, unknown>[] {
  const logs = join(window.server?.extensionsFolder ?? '', '../server/data/logs');
  const [log] = globSync(join(logs, '**/audit.jsonl'));
  if (log === undefined) return [];
  return readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { at, ...entry } = JSON.parse(line) as Record<string, unknown>;
      assert.match(String(at), /^\d{4}-\d\d-\d\dT/);
      return entry;
    });
}

async function deletion(window: Window, folder: string): Promise<void> {
  const before = new Set(backupsIn(folder));
  // What is far down is not in the page until it is scrolled to.
  await window.runCommand('SQLite Backup: Filter…');
  await window.answer('Filter Databases and Backups', 'old.db');
  const rows = window.treeItem(/^old_\d{8}_\d{6}Z\.db, /);
  await rows.nth(2).waitFor();
  await rows.nth(0).click();
  await rows.nth(1).click({ modifiers: ['ControlOrMeta'] });
  const question = window.dialog.getByText(/Move 2 backups .* to the trash\?/);
  await window.chooseFromRow(rows.nth(1), 'Delete…', question);
  await window.screenshot('delete');
  const text = (await window.dialog.textContent()) ?? '';
  const named = text.match(/old_\d{8}_\d{6}Z\.db/g) ?? [];
  assert.equal(new Set(named).size, 2);
  await window.dialog.getByRole('button', { name: 'Move to Trash' }).click();
  // A server has no trash.
  await window.dialog
    .getByText(/There is no trash here\. Delete 2 backups .* permanently\?/)
    .waitFor();
  assert.equal(backupsIn(folder).length, before.size);
  await window.dialog.getByRole('button', { name: 'Delete Permanently' }).click();
  // A manifest goes after its backup.
  const files = named.flatMap((name) => [name, `${name}.json`]);
  await waitUntil(
    () => !files.some((name) => existsSync(join(folder, 'backups', name))),
    'not both are gone',
  );
  assert.equal(backupsIn(folder).length, before.size - 2);
  const deleted = (): unknown[] => auditOf(window).filter(({ what }) => what === 'deletion');
  await waitUntil(() => deleted().length === 2, 'the audit log does not have both');
  assert.deepEqual(
    deleted(),
    [...new Set(named)].map((name) => ({
      ...{ what: 'deletion', path: join(folder, 'backups', name) },
      ...{ trigger: 'manual', result: 'ok' },
    })),
  );
  await waitUntil(async () => (await rows.count()) === 1, 'their rows are still there');
  await window.runCommand('SQLite Backup: Clear Filter');
}

async function retention(window: Window, folder: string): Promise<void> {
  await window.runCommand('SQLite Backup: Apply Retention…');
  await window.notification(/No retention rule is set/).waitFor();
  // The status bar tells when the settings have been read.
  await window.statusBarItem(/^SQLite Backup: data\//).waitFor();
  changeSettings(folder, {
    'sqliteBackup.retention.keepLast': 1,
    'sqliteBackup.statusBar.text': 'attention',
  });
  await window.statusBarItem(/attention$/).waitFor();
  await window.runCommand('SQLite Backup: Apply Retention…');
  const question = /Retention would delete 5 backups .* and keep \d+\./;
  await window.dialog.getByText(question).waitFor();
  await window.screenshot('retention');
  await window.dialog.getByRole('button', { name: 'Review…' }).click();
  await window.page
    .getByText(/^Delete:\s5\sbackups/)
    .first()
    .waitFor();
  await window.screenshot('retention-review');
  const before = backupsIn(folder).length;
  await window.notification(question).getByRole('button', { name: 'Apply Retention…' }).click();
  await window.dialog.getByText(question).waitFor();
  await window.dialog.getByRole('button', { name: 'Remove' }).click();
  await waitUntil(() => backupsIn(folder).length === before - 5, 'not all are gone');
  await window.notification(/Retention deleted 5 backups \(.*\) and kept \d+ backups?\./).waitFor();
  assert.ok(existsSync(join(folder, 'backups/corescope-backup-1700000000.db')));
}

async function vanishing(window: Window, folder: string): Promise<void> {
  rmSync(join(folder, 'backups'), { recursive: true });
  await window.page.getByText('No backups yet.').waitFor();
  await window.treeItem(/^data\/app\.db, never backed up/).waitFor();
  const app = window.treeItem(/^data\/app\.db, /);
  await app.hover();
  await app.getByRole('button', { name: /Back Up/ }).click();
  await window.treeItem(/^app_\d{8}_\d{6}Z\.db, .*verified/).waitFor();
  // What another window writes is seen as well.
  const [name = ''] = backupsIn(folder);
  rmSync(join(folder, 'backups', name));
  rmSync(join(folder, 'backups', `${basename(name)}.json`));
  await window.treeItem(/^app_\d{8}_\d{6}Z\.db, /).waitFor({ state: 'detached' });
}
