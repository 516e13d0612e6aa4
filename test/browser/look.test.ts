import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { withDatabase } from '../support/databases.ts';
import { backUpAsOf } from '../support/livedInWorkspace.ts';
import { itInPart } from '../support/operations.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { accessibilityProblems } from './axe.ts';
import { changeSettings, useWindows } from './setup.ts';

const settings = { 'sqliteBackup.backupsFolder': 'backups' };
const hour = 60 * 60 * 1000;

/** Two backups of `data/app.db`, which changes before the second and after it. */
async function create(folder: string): Promise<void> {
  createSampleWorkspace(folder);
  const change = (sql: string): void =>
    withDatabase(join(folder, 'data/app.db'), (db) => void db.exec(sql));
  await backUpAsOf(folder, 'data/app.db', 3 * hour);
  change('DELETE FROM orders WHERE id <= 10');
  await backUpAsOf(folder, 'data/app.db', hour);
  change(`UPDATE users SET name = 'Somebody else' WHERE id <= 7`);
}

const looks = {
  'dark-2026': 'Dark 2026',
  'light-2026': 'Light 2026',
  'high-contrast': 'Default High Contrast',
  'high-contrast-light': 'Default High Contrast Light',
};

describe('a look inside a backup, in a window', function () {
  this.timeout(240_000);
  const withShared = useWindows();

  itInPart(
    'opens by a click on its row: what it is, what changed, and the rows of its tables',
    async () => {
      await withShared({ settings, create }, async (window, folder) => {
        const before = readdirSync(join(folder, 'backups')).sort();
        await window.openSidebar();
        const row = window
          .view('Backups')
          .getByRole('treeitem', { name: /app\.db/ })
          .first();
        await row.click();
        const { webview } = window;
        await webview.getByRole('heading', { name: /app\.db/ }).waitFor();
        const since = webview.getByRole('region', { name: /Since the backup before it/ });
        await since.getByRole('row', { name: /^orders 0 10 0$/ }).waitFor();
        const live = webview.getByRole('region', { name: 'Since then, in the live database' });
        await live.getByRole('row', { name: /^users 0 0 7$/ }).waitFor();
        await webview.getByText('Verified', { exact: true }).waitFor();
        await webview.getByRole('button', { name: /^orders/ }).click();
        await webview.getByText('Rows 1 to 100').waitFor();
        await webview
          .getByRole('cell', { name: 'uploads/receipt-1.txt' })
          .waitFor({ state: 'detached' });
        await webview.getByRole('button', { name: 'Next 100' }).click();
        await webview.getByText('Rows 101 to 200').waitFor();
        await webview.getByRole('button', { name: 'Schema' }).click();
        await webview.getByText('CREATE INDEX orders_by_user').waitFor();

        for (const [name, theme] of Object.entries(looks)) {
          changeSettings(folder, { 'workbench.colorTheme': theme });
          const mark = name.includes('light') ? 'vscode-light' : 'vscode-dark';
          const body = name.includes('contrast') ? 'vscode-high-contrast' : mark;
          await webview.locator(`body.${body}`).waitFor();
          await window.page.waitForTimeout(300);
          await window.screenshot(`look-${name}`);
          assert.deepEqual(await accessibilityProblems(await window.webviewFrame(), ['main']), []);
        }
        assert.deepEqual(readdirSync(join(folder, 'backups')).sort(), before);
      });
    },
  );
});
