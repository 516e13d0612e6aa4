import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createDatabase } from '../support/databases.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { accessibilityProblems } from './axe.ts';
import { inEachTheme, useWindows } from './setup.ts';
import { itInPart } from '../support/operations.ts';

describe('finding databases in a window', () => {
  const withShared = useWindows();

  itInPart(
    'puts files that only their content tells into one row, and backs one up from there',
    async () => {
      const create = (folder: string): Promise<void> => {
        createSampleWorkspace(folder);
        mkdirSync(join(folder, 'maps'));
        for (let n = 1; n <= 11; n++) createDatabase(join(folder, `maps/region-${n}.tiles`));
        createDatabase(join(folder, 'data/LEGACY.DB'));
        createDatabase(join(folder, 'data/travel-journal'));
        return Promise.resolve();
      };
      const settings = { 'sqliteBackup.backupsFolder': 'backups' };
      await withShared({ create, settings }, async (window, folder) => {
        await window.openSidebar();
        await window.treeItem(/^data\/travel-journal, .*never backed up/).waitFor();
        const row = window.treeItem('12 more files are SQLite');
        await row.click();
        await window.treeItem(/^maps\/region-1\.tiles, /).waitFor();
        // A press ends the hover under it.
        await window.statusBar.hover();
        await row.hover();
        const hover = window.page.locator('.workbench-hover', { hasText: 'sqliteBackup.include' });
        await hover.waitFor();
        assert.deepEqual(
          await accessibilityProblems(window.page, [
            '.part.sidebar .pane-body',
            '.workbench-hover',
          ]),
          [],
        );
        await inEachTheme(window, folder, (look) => window.screenshot(`more-files-${look}`));
        await window.resizeSidebar(170);
        await window.screenshot('more-files-narrow');
        await window.resizeSidebar(348);
        const legacy = window.treeItem(/^data\/LEGACY\.DB, .*never backed up/);
        await legacy.hover();
        await legacy.getByRole('button', { name: /Back Up/ }).click();
        await window.notification(/Backed up data\/LEGACY\.DB/).waitFor();
        await window.treeItem(/^data\/LEGACY\.DB, .*backed up just now/).waitFor();
        await window.treeItem('11 more files are SQLite').waitFor();

        const explorer = window.page.locator('.explorer-folders-view');
        await window.openSidebar('Explorer');
        await explorer.getByRole('treeitem', { name: 'data', exact: true }).click();
        const journal = explorer.getByRole('treeitem', { name: 'travel-journal', exact: true });
        const told = window.notification(/Backed up data\/travel-journal/);
        await window.chooseFromRow(journal, 'Back Up', told);
        // A backup has what a backup is for, and no backup of itself.
        await explorer.getByRole('treeitem', { name: 'backups', exact: true }).click();
        const backup = explorer.getByRole('treeitem', { name: /^travel-journal_\d+_\d+Z$/ });
        await backup.click({ button: 'right' });
        await window.screenshot('explorer-menu-backup');
        await window.page.getByRole('menuitem', { name: 'SQLite Backup', exact: true }).click();
        await window.chooseFromMenu('Show in Backups');
        await window
          .view('Backups')
          .locator('.monaco-list-row.selected', { hasText: 'travel-journal' })
          .waitFor();
      });
    },
  );
});
