import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startWriter } from '../support/sampleWorkspace.ts';
import { inEachTheme, useWindows, waitUntil, withWindow } from './setup.ts';
import type { Window } from './window.ts';
import { itInPart } from '../support/operations.ts';

describe('backing up in a window', () => {
  const withShared = useWindows();

  itInPart('goes from the status bar to a verified row in the view', async () => {
    await withShared({}, async (window, folder) => {
      const writer = startWriter(folder);
      try {
        expectNotices(window);
        await window.findCommand('SQLite Backup: Show Log');
        await window.screenshot('commands');
        await window.page.keyboard.press('Escape');
        await window.openSidebar();
        await window.treeItem(/^data\/app\.db, .*never backed up/).waitFor();
        await window.treeItem(/^data\/sessions\.db, /).waitFor();
        await window.statusBarItem(/Back Up$/).click();
        await window.option(/data\/app\.db/).click();
        await window.quickInput.getByText('Where should backups go?').waitFor();
        await window.option(/^Outside the Work Tree/).waitFor();
        await inEachTheme(window, folder, (look) => window.screenshot(`where-${look}`));
        await window.option(/^In the Workspace: backups/).click();

        const done = window.notification(/Backed up data\/app\.db: .* in .* s, verified\./);
        await done.waitFor();
        await window.statusBarItem(/data\/app\.db just now/).waitFor();
        await window.treeItem(/^data\/app\.db, .*backed up just now/).waitFor();
        // Its row opens with its first backup.
        await window.treeItem(/^\d\d:\d\d today, .* verified/).waitFor();
        const names = readdirSync(join(folder, 'backups')).sort();
        assert.match(names.join(' '), /^app_\d{8}_\d{6}Z\.db app_\d{8}_\d{6}Z\.db\.json$/);
        await done.hover();
        await inEachTheme(window, folder, (look) => window.screenshot(`databases-${look}`));
        await done.getByRole('button', { name: 'Reveal' }).click();
        await window.page.getByRole('treeitem', { name: names[0] ?? '', exact: true }).waitFor();
        // This server writes no files for log channels: the lines are in an editor.
        await window.runCommand('SQLite Backup: Show Log');
        await window.page.locator('.view-lines', { hasText: /\[info\].Backed.up/ }).waitFor();
      } finally {
        writer.stop();
      }
    });
  });

  itInPart('works with the keyboard alone, and offers to ignore backups in git', async () => {
    await withShared(
      { settings: { 'sqliteBackup.backupsFolder': 'kept' } },
      async (window, folder) => {
        execFileSync('git', ['init', '--quiet'], { cwd: folder });
        await window.openSidebar();
        await window.treeItem(/^data\/app\.db, /).waitFor();
        await window.runCommand('SQLite Backup: Back Up Last Database');
        await window.option(/data\/sessions\.db/).waitFor();
        await window.page.keyboard.press('ArrowDown');
        await window.page.keyboard.press('Enter');
        const done = window.notification(/Backed up data\/sessions\.db/);
        await done.waitFor();
        assert.equal(readdirSync(join(folder, 'kept')).length, 2);
        await done.getByRole('button', { name: 'Ignore in Git' }).click();
        await waitUntil(
          () => existsSync(join(folder, 'kept/.gitignore')),
          'the backups are not ignored',
        );
        const status = execFileSync('git', ['status', '--porcelain', 'kept'], { cwd: folder });
        assert.equal(status.toString(), '');
      },
    );
  });

  itInPart(
    'backs up by hand in Restricted Mode, asks for the folder that the workspace chose, and prunes nothing',
    async () => {
      const settings = { 'sqliteBackup.retention.keepLast': 1 };
      const setup = { trusted: false, workspaceSettings: true, settings };
      await withWindow(setup, async (window, folder) => {
        await window.changeMachineSettings({ 'sqliteBackup.retention.afterBackup': true });
        await window.openSidebar();
        await window.treeItem(/^data\/app\.db, /).waitFor();
        await window.runCommand('SQLite Backup: Back Up Last Database');
        await window.option(/data\/app\.db/).click();
        await window.option(/^In the Workspace: backups/).click();
        await window.notification(/Backed up data\/app\.db/).waitFor();
        assert.deepEqual(
          readdirSync(folder).filter((name) => name === 'chosen-by-workspace'),
          [],
        );
        await window.runCommand('Notifications: Clear All Notifications');
        await window.notification(/Backed up/).waitFor({ state: 'detached' });
        await window.runCommand('SQLite Backup: Back Up Last Database');
        // It is told when retention is over.
        await window.notification(/Backed up data\/app\.db/).waitFor();
        assert.equal(readdirSync(join(folder, 'backups')).length, 4);
      });
    },
  );
});

/** The package brings the licences of all that it contains of others. */
function expectNotices(window: Window): void {
  const folder = window.server?.extensionsFolder ?? '';
  const [name = ''] = globSync('sqlite-backup*/dist/third-party-notices.txt', { cwd: folder });
  const notices = readFileSync(join(folder, name), 'utf8');
  for (const one of ['better-sqlite3', 'picomatch', 'yauzl'])
    assert.match(notices, new RegExp(`^${one} [\\d.]+ \\(MIT\\)$`, 'm'));
}
