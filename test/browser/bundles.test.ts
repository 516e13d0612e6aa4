import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Locator } from 'playwright-core';
import { bundleOf } from '../support/bundles.ts';
import { forgeBundle } from '../support/forgedBundles.ts';
import { isThorough, itInPart } from '../support/operations.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { accessibilityProblems, namesWithoutTheirText } from './axe.ts';
import { inEachTheme, useWindows, waitUntil } from './setup.ts';
import type { Window } from './window.ts';

const settings = { 'sqliteBackup.backupsFolder': 'backups' };

/** The files of the largest bundle. */
const many = isThorough ? 60_000 : 6_000;

const zipsIn = (folder: string): string[] =>
  readdirSync(join(folder, 'backups')).filter((name) => name.endsWith('.zip'));

/** Presses a button above the rows of the view Databases. */
async function pressInTitle(window: Window, name: string): Promise<void> {
  const header = window.view('Databases').locator('.pane-header');
  await header.hover();
  await header.getByRole('button', { name }).click();
}

async function tick(window: Window, database: string): Promise<void> {
  const box = window.treeItem(new RegExp(`^${database}, `)).getByRole('checkbox');
  await box.click();
}

function checkedBox(window: Window, database: string): Locator {
  return window.treeItem(new RegExp(`^${database}, `)).getByRole('checkbox', { checked: true });
}

async function open(window: Window, row: RegExp): Promise<void> {
  await window.treeItem(row).click();
  await window.page.keyboard.press('ArrowRight');
}

/** VS Code writes what extensions remember to the browser a moment later. */
async function untilRemembered({ page }: Window, memory: RegExp): Promise<void> {
  await waitUntil(
    async () => memory.test(JSON.stringify(await page.context().storageState({ indexedDB: true }))),
    'it is not remembered',
  );
}

/** Goes to the last row until that is `row`. */
async function toTheEnd(window: Window, row: Locator): Promise<void> {
  for (let tries = 0; !(await row.isVisible()); tries++) {
    assert.ok(tries < 100, 'the last row is another');
    await window.page.keyboard.press('End');
    await window.page.waitForTimeout(100);
  }
}

/** A bundle of the sample workspace, made without a window. */
async function bundleSample(folder: string): Promise<string> {
  createSampleWorkspace(folder);
  const workspace = basename(folder);
  const databases = ['data/app.db', 'data/sessions.db'];
  const { path } = await bundleOf(
    databases.map((database) => join(folder, database)),
    {
      databases: databases.map((database) => ({
        database: join(folder, database),
        recordAs: { path: database, workspace },
      })),
      ...{ folder: join(folder, 'backups'), name: 'shop', workspace },
    },
  );
  return path;
}

describe('bundles in a window', () => {
  const withShared = useWindows();

  itInPart('go from the boxes to a row that opens to what is in it', async () => {
    await withShared({ settings }, async (window, folder) => {
      const { page } = window;
      const looks = async (what: string, look: string, parts: string[]): Promise<void> => {
        await window.screenshot(`${what}-${look}`);
        assert.deepEqual(await accessibilityProblems(page, parts), [], `${what}, ${look}`);
      };
      await window.openSidebar();
      await window.treeItem(/^data\/app\.db, /).waitFor();
      await window.chooseFromViewMenu('Databases', 'Select for Bundle');
      await tick(window, 'data/app\\.db');
      // The rows are drawn again then, and what has the focus loses it.
      await checkedBox(window, 'data/app\\.db').waitFor();
      // A box is a stop of its own for the keyboard.
      await window
        .treeItem(/^data\/sessions\.db, /)
        .getByRole('checkbox')
        .focus();
      await page.keyboard.press('Space');
      await checkedBox(window, 'data/sessions\\.db').waitFor();
      const views = ['.part.sidebar .pane-body'];
      await inEachTheme(window, folder, (look) => looks('bundle-boxes', look, views));
      // The tooltip of the box that was pressed lies over the next row.
      await page.mouse.move(800, 300);
      // What has the focus is not what was ticked.
      await window.treeItem(/^data\/sessions\.db, /).click();
      await pressInTitle(window, 'Create Bundle');
      await window.answer('Create Bundle (1/2)', 'uploads/**, thumbs/*.{png,jpg}');
      await window.quickInput.getByText('Create Bundle (2/2)').waitFor();
      await window.quickInput.getByRole('textbox').fill('a/b');
      await window.quickInput.getByText('is a path, not a name').waitFor();
      await window.answer('Create Bundle (2/2)', 'shop');
      const done = window.notification(
        /Bundled 2 databases at the same moment, 5 files copied beside them: .* verified\. Note: thumbs\/\*\.\{png,jpg\} matched no file\./,
      );
      await done.waitFor();
      await window.treeItem(/^data\/app\.db, .*bundled just now/).waitFor();
      await window.statusBarItem(/just now/).waitFor();
      await open(window, /^shop_.*2 databases at the same moment · 5 files/);
      await window.treeItem(/^data\/app\.db, .* verified$/).waitFor();
      await window.treeItem(/^files\/uploads\/receipt-5\.txt, /).waitFor();
      const all = [...views, '.statusbar-item[id*="sqliteBackup"]'];
      await inEachTheme(window, folder, (look) => looks('bundle-open', look, all));
      assert.deepEqual(await namesWithoutTheirText(page), []);
      assert.equal(zipsIn(folder).length, 1);
    });
  });

  itInPart(
    'are made without what fails when a person says so, and show that they are incomplete',
    async () => {
      const create = (folder: string): Promise<void> => {
        createSampleWorkspace(folder);
        cpSync(join(folder, 'data/sessions.db'), join(folder, 'data/$(bug) <b>.db'));
        return Promise.resolve();
      };
      await withShared({ settings, create }, async (window, folder) => {
        const { page } = window;
        await window.openSidebar();
        await window.treeItem(/<b>\.db, /).waitFor();
        await window.runCommand('SQLite Backup: Create Bundle…');
        await window.quickInput.getByText('3 Selected').waitFor();
        await window.screenshot('bundle-databases');
        // Gone between the choice and the bundle.
        rmSync(join(folder, 'data/$(bug) <b>.db'));
        await page.keyboard.press('Enter');
        await window.answer('Create Bundle (2/3)', '');
        await window.answer('Create Bundle (3/3)', 'part');
        const failed = window.notification(/No bundle was made\. .*<b>\.db does not exist/);
        await failed.waitFor();
        await window.screenshot('bundle-failed');
        assert.equal(await page.locator('.notification-toast .codicon-bug').count(), 0);
        await failed.getByRole('button', { name: /Create without .*<b>\.db/ }).click();
        await window
          .notification(/Bundled 2 databases .* It is incomplete, without .*<b>\.db\./)
          .waitFor();
        await open(window, /^part_.*incomplete · 2 databases/);
        await window.treeItem(/^left out: .*<b>\.db, /).waitFor();
        await window.screenshot('bundle-incomplete');
        await page.mouse.move(800, 300);
        await window.treeItem(/^part_/).hover();
        await page.locator('.workbench-hover', { hasText: 'Left out:' }).waitFor();
        await window.screenshot('bundle-incomplete-tooltip');

        await window.runCommand('SQLite Backup: Filter…');
        await window.answer('Filter Databases and Backups', 'incomplete');
        await window.treeItem(/^part_/).waitFor();
      });
    },
  );

  itInPart('remember boxes over a reload, and offer saved bundles by name', async () => {
    const bundles = [
      { name: 'night', databases: ['data/*.db'], companions: ['uploads/*-1.txt'] },
      { name: '$(bug) [x](command:x)', databases: ['nowhere/*.db'] },
    ];
    await withShared(
      { settings: { ...settings, 'sqliteBackup.bundles': bundles } },
      async (window, folder) => {
        const { page } = window;
        await window.openSidebar();
        await window.treeItem(/^data\/app\.db, /).waitFor();
        await window.chooseFromViewMenu('Databases', 'Select for Bundle');
        await tick(window, 'data/sessions\\.db');
        await untilRemembered(window, /tickedForBundle[^\]]*sessions\.db/);
        await page.reload();
        const box = checkedBox(window, 'data/sessions\\.db');
        await box.waitFor();
        await pressInTitle(window, 'Done Selecting');
        await box.waitFor({ state: 'detached' });

        await window.runCommand('SQLite Backup: Create Bundle…');
        await window.option(/\$.*\[x\]/).waitFor();
        await window.screenshot('bundle-saved');
        assert.equal(await window.quickInput.locator('.codicon-bug').count(), 0);
        await window.option(/\$.*\[x\]/).click();
        const none = window.notification(/matches no database of this workspace: nowhere/);
        await none.waitFor();
        assert.equal(await none.locator('.notification-list-item-message a').count(), 0);
        await window.runCommand('SQLite Backup: Create Bundle…');
        await window.option(/^night/).click();
        await window
          .notification(/Bundled 2 databases at the same moment, 1 file copied beside them/)
          .waitFor();
        assert.match(zipsIn(folder).join(), /^night_\d{8}_\d{6}Z\.zip$/);

        await window.runCommand('SQLite Backup: Create Bundle…');
        await window.option('Choose Databases…').click();
        await window.quickInput.getByText('1 Selected').waitFor();
        await page.keyboard.press('Escape');

        // One row may be there by chance; two were meant.
        const [app, sessions] = [
          window.treeItem(/^data\/app\.db, /),
          window.treeItem(/^data\/sessions\.db, /),
        ];
        await app.click({ button: 'right' });
        await window.chooseFromMenu('Create Bundle…');
        await window.quickInput.getByText('1 Selected').waitFor();
        await page.keyboard.press('Escape');
        await app.click();
        await sessions.click({ modifiers: ['ControlOrMeta'] });
        await app.click({ button: 'right' });
        await window.chooseFromMenu('Create Bundle…');
        await window.answer('Create Bundle (1/2)', '');
        await window.answer('Create Bundle (2/2)', 'rows');
        await window
          .notification(/Bundled 2 databases at the same moment/)
          .first()
          .waitFor();
      },
    );
  });

  itInPart(
    'have menus for what is in them, by mouse and keyboard, and can be deleted',
    async () => {
      const create = async (folder: string): Promise<void> => void (await bundleSample(folder));
      await withShared({ settings, create }, async (window, folder) => {
        const { page } = window;
        await window.openSidebar();
        await open(window, /^shop_/);
        const member = window.treeItem(/^data\/sessions\.db, .* verified$/);
        await member.click({ button: 'right' });
        await page.getByRole('menuitem', { name: 'Extract…' }).waitFor();
        await window.screenshot('bundle-member-menu');
        await window.chooseFromMenu('Verify');
        await window.notification('Verified 1 file: nothing is wrong.').waitFor();
        const same = page.getByText('The schemas are the same.');
        await window.chooseFromRow(member, 'Compare with Live', same);
        await window.screenshot('bundle-compare');
        // Both databases, with the keyboard.
        await member.click();
        await page.keyboard.press('Shift+ArrowUp');
        await page.keyboard.press('Shift+F10');
        await window.chooseFromMenu('Verify');
        await window.notification('Verified 2 files: nothing is wrong.').waitFor();

        // Without dialogs of the system, VS Code asks for a folder itself.
        mkdirSync(join(folder, 'out/inside'), { recursive: true });
        await window.treeItem(/^shop_/).click({ button: 'right' });
        await window.screenshot('bundle-menu');
        await window.chooseFromMenu('Extract…');
        await window.chooseFolder(join(folder, 'out'), 'inside', 'Extract Here');
        await window.notification(/Extracted 2 files to out, each checked\./).waitFor();
        assert.deepEqual(readdirSync(join(folder, 'out/data')).sort(), ['app.db', 'sessions.db']);

        await window.chooseFromRow(window.treeItem(/^shop_/), 'Delete…', window.dialog);
        await window.dialog.getByRole('button', { name: 'Move to Trash' }).click();
        await window.dialog.getByRole('button', { name: 'Delete Permanently' }).click();
        await window.treeItem(/^shop_/).waitFor({ state: 'detached' });
        assert.deepEqual(zipsIn(folder), []);
      });
    },
  );

  itInPart(
    'with very many files, with forged names, or gone meanwhile, leave the tree quick and whole',
    async () => {
      const link = '[x](command:workbench.action.terminal.new)';
      const create = async (folder: string): Promise<void> => {
        const bundle = await bundleSample(folder);
        const names = Array.from({ length: many }, (_, index) => `files/${index}.txt`);
        const to = (name: string): string =>
          join(folder, 'backups', `${name}_20261120_120000Z.zip`);
        forgeBundle(bundle, to('many'), names, { inZip: true, changes: { name: 'many' } });
        const odd = [
          'twice',
          'twice',
          '',
          `${link} <img src=x> $(bug) \u202egpj`,
          'a\nb',
          '../../up',
        ];
        forgeBundle(bundle, to('odd'), odd, { changes: { name: `${link} $(bug)` } });
        forgeBundle(bundle, to('gone'), [], { changes: { name: 'gone' } });
      };
      const calm = { ...settings, 'sqliteBackup.autoRefresh': false };
      await withShared({ settings: calm, create }, async (window, folder) => {
        const { page } = window;
        await window.openSidebar();
        await open(window, /^odd_/);
        const acting = page.locator(
          '.pane-body a:text-is("x"), img[src="x"], .pane-body .codicon-bug',
        );
        await window.treeItem(/^twice, /).waitFor();
        await window.treeItem(/^a↵b, /).waitFor();
        assert.equal(await window.treeItem(/^twice, /).count(), 1);
        assert.equal(await acting.count(), 0);
        assert.equal(await page.getByText('\u202e').count(), 0);
        await window.screenshot('bundle-forged');
        await window.treeItem(/^odd_/).click();
        await page.keyboard.press('ArrowLeft');

        rmSync(join(folder, 'backups/gone_20261120_120000Z.zip'));
        await open(window, /^gone_/);
        await window.treeItem(/^This bundle cannot be read\., /).waitFor();
        await window.screenshot('bundle-gone');

        const before = performance.now();
        await open(window, /^many_/);
        await window.treeItem(/^files\/1\.txt, /).waitFor();
        const openedMs = Math.round(performance.now() - before);
        assert.ok(openedMs < 10_000, `${openedMs} ms`);
        const more = (count: number): Locator => window.treeItem(`${count} more…`);
        await toTheEnd(window, more(many - 100));
        await more(many - 100).click();
        await toTheEnd(window, more(many - 1100));
        await window.screenshot('bundle-many');
      });
    },
  );

  itInPart('follow each other in two windows', async () => {
    const create = async (folder: string): Promise<void> => void (await bundleSample(folder));
    await withShared({ settings, create }, async (window, folder) => {
      const page = await window.page.context().newPage();
      await page.goto(window.page.url());
      const other = window.besides(page);
      for (const one of [window, other]) {
        await one.page.bringToFront();
        await one.openSidebar();
        await open(one, /^shop_/);
        await one.treeItem(/^data\/app\.db, .* verified$/).waitFor();
      }
      await window.page.bringToFront();
      for (const name of zipsIn(folder)) {
        rmSync(join(folder, 'backups', name));
        rmSync(join(folder, 'backups', `${name}.json`));
      }
      for (const one of [window, other]) {
        await one.treeItem(/^shop_/).waitFor({ state: 'detached' });
        await one.runCommand('SQLite Backup: Create Bundle…');
        await one.quickInput.getByText('2 Selected').waitFor();
        await one.page.keyboard.press('Enter');
        await one.answer('Create Bundle (2/3)', '');
        await one.quickInput.getByText('Create Bundle (3/3)').waitFor();
      }
      await Promise.all([window, other].map((one) => one.page.keyboard.press('Enter')));
      for (const one of [window, other]) {
        await one.notification(/Bundled 2 databases at the same moment/).waitFor();
      }
      assert.equal(zipsIn(folder).length, 2);

      // Each shows what the other has done to a snapshot as well.
      await window.page.bringToFront();
      await window.runCommand('SQLite Backup: Back Up Last Database');
      await window.option(/^data\/app\.db/).click();
      const snapshot = (one: Window, state: string): Locator =>
        one.view('Backups').getByRole('treeitem', {
          name: new RegExp(`^app_\\d{8}_\\d{6}Z\\.db, ${state}`),
        });
      for (const one of [window, other]) await snapshot(one, '').first().waitFor();
      await other.page.bringToFront();
      await other.chooseFromRow(snapshot(other, '').first(), 'Pin', snapshot(other, 'pinned'));
      await window.page.bringToFront();
      await snapshot(window, 'pinned').first().waitFor();
    });
  });

  itInPart('take databases of several workspace folders, each with its files', async () => {
    await withShared({ folders: ['shop', 'blog'], settings }, async (window, folder) => {
      rmSync(join(folder, 'blog/uploads'), { recursive: true });
      await window.openSidebar();
      await window.treeItem(/^blog/).waitFor();
      await window.runCommand('SQLite Backup: Create Bundle…');
      await window.quickInput.getByText('4 Selected').waitFor();
      await window.page.keyboard.press('Enter');
      await window.answer('Create Bundle (2/3)', 'uploads/**');
      await window.answer('Create Bundle (3/3)', 'both');
      // One folder without such files is no news.
      await window
        .notification(/Bundled 4 databases at the same moment, 5 files copied beside them/)
        .waitFor();
      assert.equal(await window.notification(/matched no file/).count(), 0);
      await open(window, /^both_/);
      await window.treeItem(/^data\/app\.db, blog · .* verified$/).waitFor();
      await window.treeItem(/^data\/app-2\.db, shop · .* verified$/).waitFor();
      assert.equal(await window.treeItem(/bundled just now/).count(), 4);
      await window.screenshot('bundle-several-folders');
    });
  });
});
