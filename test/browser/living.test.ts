import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createLivedInWorkspace, readManifest } from '../support/livedInWorkspace.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { accessibilityProblems, namesWithoutTheirText } from './axe.ts';
import { themes, withWindow } from './setup.ts';
import type { Window } from './window.ts';

const settings = { 'sqliteBackup.backupsFolder': 'backups' };

const backupsIn = (folder: string): string[] =>
  readdirSync(join(folder, 'backups')).filter((name) => !name.endsWith('.json'));

function writeSettings(folder: string, values: Record<string, unknown>): void {
  mkdirSync(join(folder, '.vscode'), { recursive: true });
  writeFileSync(join(folder, '.vscode/settings.json'), JSON.stringify(values));
}

async function waitUntil(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; !(await isSo()); tries++) {
    assert.ok(tries < 150, what);
    await new Promise((settle) => setTimeout(settle, 100));
  }
}

describe('living with backups, in a window', () => {
  for (const [look, theme] of Object.entries(themes)) {
    it(`reads well, wide and narrow, and axe finds nothing (${look})`, async () => {
      await withWindow({ theme, settings, create: createLivedInWorkspace }, async (window) => {
        await window.openSidebar();
        const app = window.treeItem(/^data\/app\.db, /);
        await app.click();
        await window.page.keyboard.press('ArrowRight');
        await window
          .treeItem(/^Today .*proved restorable/)
          .first()
          .waitFor();
        await window.screenshot(`lived-in-${look}`);
        const parts = ['.part.sidebar .pane-body', '.statusbar-item[id*="sqliteBackup"]'];
        assert.deepEqual(await accessibilityProblems(window.page, parts), []);
        assert.deepEqual(await namesWithoutTheirText(window.page), []);
        await window.resizeSidebar(250);
        await window.screenshot(`lived-in-narrow-${look}`);
        await window.runCommand('SQLite Backup: Filter…');
        await window.answer('Filter Databases and Backups', 'app pinned');
        await window.page.getByText('Filter "app pinned": 1 of 4').waitFor();
        await window.treeItem(/^data\/cache\.db, /).waitFor({ state: 'detached' });
        await window.screenshot(`lived-in-filter-${look}`);
        assert.deepEqual(await accessibilityProblems(window.page, parts), []);
      });
    });
  }

  it('filters, sorts, selects, deletes, prunes, and follows its settings', async () => {
    const create = (folder: string): Promise<void> => createLivedInWorkspace(folder, 8);
    await withWindow({ settings, create }, async (window, folder) => {
      await window.openSidebar();
      await window.treeItem(/^data\/app\.db, /).waitFor();
      await badge(window);
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

  it('works with the keyboard alone, menus included', async () => {
    await withWindow({ settings }, async (window, folder) => {
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
      await window.page.getByRole('menuitem', { name: 'Back Up Compact' }).waitFor();
      await window.page.waitForTimeout(300);
      // Restore… comes first.
      for (const key of ['ArrowDown', 'ArrowDown', 'Enter']) await keyboard.press(key);
      await window.notification(/Backed up data\/sessions\.db/).waitFor();
      assert.equal(backupsIn(folder).length, 1);
    });
  });

  it('asks before a folder outside that the workspace chose is used, once', async () => {
    const outside = join(tmpdir(), `outside-${process.pid}`);
    try {
      const create = (folder: string): Promise<void> => {
        createSampleWorkspace(folder);
        writeSettings(folder, { 'sqliteBackup.backupsFolder': outside });
        return Promise.resolve();
      };
      await withWindow({ create }, async (window) => {
        await window.openSidebar();
        const app = window.treeItem(/^data\/app\.db, /);
        await app.hover();
        await app.getByRole('button', { name: /Back Up/ }).click();
        const question = window.notification(
          /wants its backups in .*outside-\d+, outside of itself/,
        );
        await question.waitFor();
        await window.screenshot('outside');
        assert.equal(existsSync(outside), false);
        await question.getByRole('button', { name: 'Use This Folder' }).click();
        await window.notification(/Backed up data\/app\.db/).waitFor();
        assert.equal(readdirSync(outside).length, 2);
        await window.runCommand('SQLite Backup: Quick Backup');
        await waitUntil(() => readdirSync(outside).length === 4, 'asked twice');
        rmSync(outside, { recursive: true });
        await window.treeItem(/^data\/app\.db, never backed up/).waitFor();
      });
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
  });

  it('does not even name the folder outside in Restricted Mode', async () => {
    const outside = join(tmpdir(), `outside-${process.pid}`);
    const create = async (folder: string): Promise<void> => {
      await createLivedInWorkspace(folder, 1);
      writeSettings(folder, { 'sqliteBackup.backupsFolder': outside });
      writeFileSync(join(folder, '.env'), `BACKUPS_DIR=${outside}\n`);
    };
    await withWindow({ trusted: false, create }, async (window) => {
      await window.openSidebar();
      const app = window.treeItem(/^data\/app\.db, /);
      await app.hover();
      await app.getByRole('button', { name: /Back Up/ }).click();
      await window.notification('Where should backups go?').waitFor();
      assert.equal(await window.page.getByText('wants its backups').count(), 0);
      assert.equal(existsSync(outside), false);
    });
  });
});

async function badge(window: Window): Promise<void> {
  const tab = window.page
    .getByRole('tablist', { name: 'Active View Switcher' })
    .getByRole('tab', { name: /SQLite Backup/ });
  assert.match(
    (await tab.getAttribute('aria-label')) ?? '',
    /need attention: 1 never backed up, 1 backed up long ago.*1 damaged backup$/,
  );
}

async function filterAndSort(window: Window): Promise<void> {
  await window.chooseFromViewMenu('Backups', 'Filter…');
  await window.answer('Filter Databases and Backups', 'damaged');
  await window.page.getByText(/^Filter "damaged": 1 of 4$/).waitFor();
  await window.page.getByText(/^Filter "damaged": 1 of 14$/).waitFor();
  await window.treeItem(/^data\/cache\.db/).waitFor({ state: 'detached' });
  await window.chooseFromViewMenu('Backups', 'Filter…');
  await window.answer('Filter Databases and Backups', 'no such thing');
  await window.page.getByText('Filter "no such thing": 0 of 14').waitFor();
  assert.equal(await window.page.getByText('No backups yet.').count(), 0);
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
  await window.chooseFromViewMenu('Backups', 'Sort By…');
  await window.option('Backups by Day').click();
  await window.treeItem(/^Today/).waitFor();
}

async function statusBar(window: Window, folder: string): Promise<void> {
  const item = window.statusBar.locator('[id*="sqliteBackup"]');
  await window.statusBarItem(/data\/app\.db \d+ min ago/).waitFor();
  writeSettings(folder, { 'sqliteBackup.statusBar.text': 'attention' });
  await window.statusBarItem(/2 need attention/).waitFor();
  writeSettings(folder, { 'sqliteBackup.statusBar.text': 'icon' });
  await waitUntil(async () => (await item.textContent())?.trim() === '', 'the text is still there');
  await window.statusBarItem(/^SQLite Backup: data\/app\.db \d+ min ago/).waitFor();
  writeSettings(folder, { 'sqliteBackup.statusBar.visible': false });
  await item.waitFor({ state: 'hidden' });
  writeSettings(folder, { 'sqliteBackup.statusBar.click': 'backUp' });
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
    .getByRole('button', { name: /Quick Backup/ });
  assert.equal(await button.count(), 0);
  await window.chooseFromViewMenu('Databases', 'Show in Editor Title');
  await button.waitFor();
  await window.screenshot('editor-title');
  await window.chooseFromViewMenu('Databases', '✓ Show in Editor Title');
  await button.waitFor({ state: 'detached' });
}

/** Selects the first two backups of today and opens the menu on them. */
async function selectTwo(window: Window): Promise<void> {
  const rows = window.treeItem(/^app_\d{8}_\d{6}Z\.db, .*verified|^app_\d{8}_\d{6}Z\.db, .*proved/);
  await rows.nth(0).click();
  await rows.nth(1).click({ modifiers: ['ControlOrMeta'] });
  await rows.nth(1).click({ button: 'right' });
}

async function selection(window: Window, folder: string): Promise<void> {
  const pinned = (): number =>
    backupsIn(folder).filter((name) => readManifest(join(folder, 'backups', name))?.pinned === true)
      .length;
  assert.equal(pinned(), 1);
  await selectTwo(window);
  await window.chooseFromMenu('Pin');
  await waitUntil(() => pinned() === 3, 'not both were pinned');
  await waitUntil(
    async () => (await window.treeItem(/, pinned/).count()) >= 3,
    'no pins are shown',
  );
}

async function compact(window: Window, folder: string): Promise<void> {
  await window.treeItem(/^data\/cache\.db, /).click({ button: 'right' });
  await window.chooseFromMenu('Back Up Compact');
  await window.notification(/Backed up data\/cache\.db/).waitFor();
  const [made] = backupsIn(folder).filter((name) => name.startsWith('cache_'));
  assert.equal(readManifest(join(folder, 'backups', made ?? ''))?.method, 'compact');
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
  await rows.nth(1).click({ button: 'right' });
  await window.chooseFromMenu('Delete…');
  await window.dialog.getByText(/Move 2 backups .* to the trash\?/).waitFor();
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
  await waitUntil(() => backupsIn(folder).length === before.size - 2, 'not both are gone');
  for (const name of named) {
    assert.ok(!existsSync(join(folder, 'backups', name)));
    assert.ok(!existsSync(join(folder, 'backups', `${name}.json`)));
  }
  await waitUntil(async () => (await rows.count()) === 1, 'their rows are still there');
  await window.runCommand('SQLite Backup: Clear Filter');
}

async function retention(window: Window, folder: string): Promise<void> {
  await window.runCommand('SQLite Backup: Apply Retention…');
  await window.notification(/No retention rule is set/).waitFor();
  writeSettings(folder, { 'sqliteBackup.retention.keepLast': 1 });
  await window.page.waitForTimeout(1000);
  await window.runCommand('SQLite Backup: Apply Retention…');
  const question = /Retention would remove 5 backups .* and keep \d+\./;
  await window.dialog.getByText(question).waitFor();
  await window.screenshot('retention');
  await window.dialog.getByRole('button', { name: 'Review…' }).click();
  await window.page
    .getByText(/^Goes:\s5\sbackups/)
    .first()
    .waitFor();
  await window.screenshot('retention-review');
  const before = backupsIn(folder).length;
  await window.notification(question).getByRole('button', { name: 'Apply Retention…' }).click();
  await window.dialog.getByText(question).waitFor();
  await window.dialog.getByRole('button', { name: 'Remove' }).click();
  await waitUntil(() => backupsIn(folder).length === before - 5, 'not all are gone');
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
