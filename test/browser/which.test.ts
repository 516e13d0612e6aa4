import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase } from '../support/databases.ts';
import { backUpAsOf } from '../support/livedInWorkspace.ts';
import { accessibilityProblems } from './axe.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { inEachTheme, useWindows, withWindow } from './setup.ts';
import { itInPart } from '../support/operations.ts';

const settings = { 'sqliteBackup.backupsFolder': 'backups' };
const panes = ['.part.sidebar .pane-body'];

function database(folder: string, path: string): void {
  mkdirSync(join(folder, dirname(path)), { recursive: true });
  createDatabase(join(folder, path), { rows: 3 });
}

/** Two databases of the same name with a backup each, and many more in folders, in a git work tree. */
async function create(folder: string): Promise<void> {
  for (const [index, path] of ['api/prisma/dev.db', 'web/prisma/dev.db'].entries()) {
    database(folder, path);
    await backUpAsOf(folder, path, (index + 1) * 60_000);
  }
  for (let index = 0; index < 34; index++)
    database(folder, `services/s${index % 2}/db${index}/app.db`);
  execFileSync('git', ['init', '--quiet', folder]);
}

describe('which database it is, in a window', function () {
  this.timeout(240_000);
  const withShared = useWindows();

  itInPart(
    'is told by rows, lists and tooltips in the fewest words, also where there is little room',
    async () => {
      await withShared({ settings, create }, async (window, folder) => {
        const { page } = window;
        await window.openSidebar();
        const backups = window.view('Backups');
        const api = backups.getByRole('treeitem', { name: /\d\d:\d\d api\/prisma\/dev\.db/ });
        const web = backups.getByRole('treeitem', { name: /\d\d:\d\d web\/prisma\/dev\.db/ });
        await api.waitFor();
        await web.waitFor();
        await backups.getByRole('treeitem', { name: /backups is in the work tree/ }).waitFor();
        // Many databases are in folders that begin where their paths differ.
        await window.treeItem(/^services, 34 databases/).click();
        await window.treeItem(/^s0, 17 databases/).click();
        await window.treeItem(/^services\/s0\/db0\/app\.db, /).waitFor();
        await web.hover();
        await page
          .locator('.workbench-hover', { hasText: 'Database: web/prisma/dev.db' })
          .waitFor();
        await inEachTheme(window, folder, (look) => window.screenshot(`which-${look}`));
        assert.deepEqual(await accessibilityProblems(page, panes), []);

        await window.runCommand('SQLite Backup: Delete…');
        await window.quickInput.getByText('Delete Backups').waitFor();
        await window.quickInput.getByText(/^api\/prisma\/dev\.db · Today \d\d:\d\d/).waitFor();
        await window.screenshot('which-list');
        await page.keyboard.press('Escape');

        await window.resizeSidebar(170);
        await window.treeItem(/^services, 34 databases/).click();
        await window.treeItem(/^api\/prisma\/dev\.db, /).click();
        const below = window.treeItem(/^\d\d:\d\d today, /);
        for (const row of [web, below]) {
          const label = (await row.locator('.label-name').textContent()) ?? '';
          assert.match(label, /^\d\d:\d\d /, 'the time comes first, and what is cut is the end');
        }
        await window.screenshot('which-170');
      });
    },
  );
});

describe('the first question', function () {
  this.timeout(240_000);
  const data = useTempFolder();
  useDataFolder(data);

  it('needs three clicks from an empty profile to a verified backup outside of the work tree', async () => {
    await withWindow({}, async (window, folder) => {
      await window.openSidebar();
      await window.treeItem(/^data\/sessions\.db, .*never backed up/).waitFor();
      const begun = performance.now();
      await window.statusBarItem(/Back Up$/).click();
      await window.option(/data\/app\.db/).click();
      const first = window.option(/^Outside the Work Tree/);
      await first.waitFor();
      // It stays when the focus goes elsewhere.
      await window.page.locator('.part.editor').click();
      await window.screenshot('where');
      await first.click();
      await window.notification(/Backed up data\/app\.db: .* verified\./).waitFor();
      const seconds = (performance.now() - begun) / 1000;
      console.log(`        ${seconds.toFixed(1)} s with three clicks`);
      const place = data('sqlite-backup/backups', basename(folder));
      assert.equal(readdirSync(place).length, 2);
      assert.ok(!readdirSync(folder).includes('backups'));
      assert.ok(!readdirSync(folder).includes('.vscode'), 'no setting of this machine is written');

      // A newer outcome takes the place of the older one, which the notification center keeps.
      await window.runCommand('SQLite Backup: Checkpoint Now');
      await window.notification(/[12] checkpoints? taken\./).waitFor();
      await window.runCommand('SQLite Backup: Checkpoint Now');
      await window.notification(/Nothing has changed since the last checkpoint/).waitFor();
      assert.equal(await window.notification(/./).count(), 1);
    });
  });
});
