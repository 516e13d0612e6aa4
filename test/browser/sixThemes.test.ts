import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { backUpAsOf, createLivedInWorkspace } from '../support/livedInWorkspace.ts';
import { itInPart } from '../support/operations.ts';
import { accessibilityProblems } from './axe.ts';
import { keysOf } from './keys.ts';
import { changeSettings, useWindows } from './setup.ts';
import type { Window } from './window.ts';

const settings = { 'sqliteBackup.backupsFolder': 'backups' };
const panes = ['.part.sidebar .pane-body'];
const themes = [
  ...['Light 2026', 'Dark 2026', 'Default Light Modern', 'Default Dark Modern'],
  ...['Default High Contrast', 'Default High Contrast Light'],
];

async function create(folder: string): Promise<void> {
  await createLivedInWorkspace(folder, 6);
  await backUpAsOf(folder, 'data/app.db', 60_000);
}

describe('in six themes', function () {
  this.timeout(300_000);
  const withShared = useWindows();

  itInPart(
    'keys alone lead to the rows of a table in a backup, and axe finds nothing there or in the views',
    async () => {
      await withShared({ settings, create }, async (window, folder) => {
        const { page, webview } = window;
        const keys = keysOf(window);
        const before = readdirSync(join(folder, 'backups')).sort();
        await window.openSidebar();
        const rows = page.getByRole('treeitem', { name: /^app_.*\.db, / });
        await rows.first().waitFor();
        await keys.command('SQLite Backup: Focus on Backups View');
        await window.view('Backups').locator('.monaco-list:focus').waitFor();
        const focused = rows.and(page.locator('.monaco-list-row.focused'));
        for (let presses = 0; presses < 20 && (await focused.count()) === 0; presses++)
          await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await webview.getByRole('heading', { name: /app\.db/ }).waitFor();
        await keys.command('View: Focus Active Editor Group');
        await keys.press(/^orders/);
        await webview.getByText('Rows 1 to 100').waitFor();
        assert.deepEqual(readdirSync(join(folder, 'backups')).sort(), before);
        await inSix(window, folder, 'look');
      });
    },
  );
});

async function inSix(window: Window, folder: string, what: string): Promise<void> {
  for (const theme of themes) {
    changeSettings(folder, { 'workbench.colorTheme': theme });
    // VS Code has dropped the word from some ids.
    const id = theme.replace('Default ', '');
    await window.webview.locator(`body[data-vscode-theme-id$="${id}"]`).waitFor();
    await window.screenshot(`six-${what}-${theme.replaceAll(' ', '-')}`);
    assert.deepEqual(await accessibilityProblems(window.page, panes), [], `views, ${theme}`);
    const frame = await window.webviewFrame();
    assert.deepEqual(await accessibilityProblems(frame, ['body']), [], `${what}, ${theme}`);
  }
}
