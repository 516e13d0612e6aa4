import assert from 'node:assert/strict';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { dataFolderPath } from '../../src/core/files/dataFolder.ts';
import { createDatabase, sha256, withDatabase } from '../support/databases.ts';
import { needEngines } from '../support/offsite.ts';
import { itInPart } from '../support/operations.ts';
import { changeSettings, useWindows, waitUntil } from './setup.ts';

interface State {
  triedAt?: string;
}

describe('copies off the machine, in a window', function () {
  this.timeout(180_000);
  const withShared = useWindows();

  before(function () {
    needEngines(this, 'restic');
  });

  const create = (folder: string): Promise<void> => {
    mkdirSync(join(folder, 'data'), { recursive: true });
    createDatabase(join(folder, 'data/shop.db'), { rows: 300 });
    return Promise.resolve();
  };

  itInPart('are proved after six clicks from nothing, and a repository sends none', async () => {
    const settings = { 'sqliteBackup.backupsFolder': 'backups' };
    await withShared({ settings, create }, async (window, folder) => {
      const [evil, good] = ['stolen', 'nas'].map((name) =>
        join(dirname(folder), `${basename(folder)}-${name}`),
      ) as [string, string];
      const offsite = [{ name: 'evil', engine: 'rclone', repository: evil, when: 'afterEach' }];
      changeSettings(folder, { ...settings, 'sqliteBackup.offsite': offsite });
      await window.openSidebar();
      const row = window.treeItem(/^data\/shop\.db, /);
      await row.hover();
      await row.getByRole('button', { name: 'Back Up', exact: true }).click();
      await window.notification(/Backed up data\/shop\.db/).waitFor();
      await window.runCommand('SQLite Backup: Send Off-Machine Now');
      const none = window.notification(/No off-machine copies are set up/);
      await none.waitFor();

      let clicks = 0;
      const click = async (action: () => Promise<void>): Promise<void> => {
        clicks++;
        await action();
      };
      await click(() => window.runCommand('SQLite Backup: Set Up Off-Machine Copies…'));
      await click(() => window.option(/^restic/).click());
      await click(() => window.answer('Address of the restic repository', good));
      await window.quickInput.getByText(/cannot be recovered/).waitFor();
      await click(() => window.answer('Password of the repository', 'typed-4711'));
      await window.dialog.getByText('There is no repository at this address yet.').waitFor();
      await click(() => window.dialog.getByRole('button', { name: 'Create Repository' }).click());
      await window.notification(/Proved off-machine in restic: 1 backup/).waitFor();
      assert.ok(clicks <= 6, `${clicks} clicks`);
      assert.ok(existsSync(join(good, 'config')));
      assert.equal(existsSync(evil), false);
      for (const path of globSync('**/*.json', { cwd: folder }))
        assert.ok(!readFileSync(join(folder, path), 'utf8').includes('typed-4711'), path);

      // What is lost here comes back, verified, with the way to a restore.
      const [backup = ''] = globSync(join(folder, 'backups/*.db'));
      const bytes = sha256(backup);
      for (const path of [backup, `${backup}.json`]) rmSync(path);
      await window.runCommand('SQLite Backup: Fetch Off-Machine Copy…');
      await window.option(/^shop_/).click();
      const fetched = window.notification(/Fetched and verified: shop_/);
      await fetched.getByRole('button', { name: 'Restore…' }).waitFor();
      assert.equal(sha256(backup), bytes);

      // What the rules let go is named, and goes only then.
      const remove = 'SQLite Backup: Remove Old Off-Machine Copies…';
      changeSettings(folder, { 'sqliteBackup.retention.keepLast': 1 });
      await window.runCommand(remove);
      await window.notification(/Nothing to remove from restic: the rules keep 1 copy\./).waitFor();
      withDatabase(join(folder, 'data/shop.db'), (db) => db.exec('DELETE FROM items WHERE id = 1'));
      await row.hover();
      await row.getByRole('button', { name: 'Back Up', exact: true }).click();
      await waitUntil(() => globSync(join(folder, 'backups/*.db')).length === 2, 'the second');
      await window.notification(/Backed up data\/shop\.db/).waitFor();
      await window.runCommand('SQLite Backup: Send Off-Machine Now');
      await window.notification(/Proved off-machine in restic: 1 backup/).waitFor();
      await window.runCommand(remove);
      await window.dialog.getByText('Remove 1 copy from restic and keep 1?').waitFor();
      await window.dialog.getByText(/shop_.*no rule keeps it/).waitFor();
      await window.dialog.getByRole('button', { name: 'Remove', exact: true }).click();
      await window.notification(/1 copy removed from restic\./).waitFor();
      assert.equal(globSync(join(folder, 'backups/*.db')).length, 2);

      const marked = window.view('Backups').getByRole('treeitem', { name: /proved off-machine/ });
      await marked.first().waitFor();
      const [manifest = ''] = globSync(join(folder, 'backups/*.json')).filter((path) =>
        readFileSync(path, 'utf8').includes('"provedAt"'),
      );
      // Old, and of a clock that was ahead.
      for (const [days, words] of [
        [-9, /proved off-machine 9 days ago, check again/],
        [1, /proved off-machine, dated in the future, check again/],
      ] as const) {
        const provedAt = new Date(Date.now() + days * 86_400_000).toISOString();
        const text = readFileSync(manifest, 'utf8');
        writeFileSync(manifest, text.replace(/"provedAt": *"[^"]*"/, `"provedAt": "${provedAt}"`));
        await window.runCommand('SQLite Backup: Refresh');
        await window.view('Backups').getByRole('treeitem', { name: words }).first().waitFor();
      }
      await window.screenshot('offsite');

      // A window that opens sends what a day has waited, without an hour of waiting.
      const states = globSync(join(dataFolderPath(), 'offsite/*.json')).filter((path) =>
        /\/[0-9a-f]{12}\.json$/.test(path),
      );
      const triedAt = (): number => {
        const times = states.map((path) => {
          const { triedAt: at = '' } = JSON.parse(readFileSync(path, 'utf8')) as State;
          return Date.parse(at);
        });
        return Math.max(...times);
      };
      for (const path of states) {
        const state = JSON.parse(readFileSync(path, 'utf8')) as State;
        const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000).toISOString();
        writeFileSync(path, JSON.stringify({ ...state, triedAt: twoDaysAgo }));
      }
      await window.page.reload();
      await window.openSidebar();
      await waitUntil(() => triedAt() > Date.now() - 3_600_000, 'the daily send catches up');
    });
  });
});
