// npm run screenshots: takes every picture in media/ anew, from a real window with the packed extension. With names of
// pictures of the walkthrough (`-- keep look`) it takes those.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { changeSettings } from '../browser/setup.ts';
import { openWindow, startHost, type Window } from '../browser/window.ts';
import { withDatabase } from './databases.ts';
import { temporaryFolder } from './hosts/lifetime.ts';
import { backUpAsOf, createLivedInWorkspace } from './livedInWorkspace.ts';

const media = resolve(import.meta.dirname, '../../media');
const themes = { light: 'Light 2026', dark: 'Dark 2026' };
const minute = 60_000;

/** Without the frame of the window: what the picture is about, at a size that a walkthrough shows whole. */
const walkthroughClip = { x: 48, y: 30, width: 760, height: 520 };

const made = temporaryFolder('pictures');
const folder = join(made.path, 'shop');
mkdirSync(folder, { recursive: true });
process.env['XDG_DATA_HOME'] = join(made.path, 'data');
await prepare();
const host = await startHost({
  settings: { 'sqliteBackup.backupsFolder': '', 'window.titleBarStyle': 'custom' },
});
const asked = process.argv.slice(2);
try {
  await withNewWindow('folder', takeFirstQuestion);
  changeSettings(folder, { 'sqliteBackup.backupsFolder': 'backups' });
  await withNewWindow('databases', takeViews);
  await withNewWindow('look', takeLook);
  await withNewWindow('rehearse', takeRestore);
  await withNewWindow('keep', takeRules);
} finally {
  await host.close();
  made.remove();
}

async function prepare(): Promise<void> {
  await createLivedInWorkspace(folder, 6);
  const change = (sql: string): void =>
    withDatabase(join(folder, 'data/app.db'), (db) => void db.exec(sql));
  change('DELETE FROM orders WHERE id BETWEEN 3800 AND 3931');
  await backUpAsOf(folder, 'data/app.db', 4 * minute);
  await backUpAsOf(folder, 'data/cache.db', 3 * minute);
  change(`UPDATE users SET name = 'A new name' WHERE id <= 49;
    INSERT INTO orders SELECT id + 10000, user_id, total_cents, placed_at, NULL FROM orders WHERE id <= 345`);
  for (const left of ['corescope-backup-1700000000.db', 'notes.txt'])
    rmSync(join(folder, 'backups', left), { force: true });
  rmSync(join(folder, '.git'), { recursive: true, force: true });
}

async function withNewWindow(name: string, take: (window: Window) => Promise<void>): Promise<void> {
  if (asked.length > 0 && !asked.includes(name)) return;
  const window = await openWindow({ folder, host });
  try {
    await window.openSidebar();
    await window.treeItem(/^data\/app\.db, /).waitFor();
    await take(window);
  } catch (error) {
    await window.screenshot('failed');
    throw error;
  } finally {
    await window.close();
  }
}

/** The same picture for a dark and a light theme. */
async function takeBoth(
  window: Window,
  name: string,
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  for (const [look, theme] of Object.entries(themes)) {
    changeSettings(folder, { 'workbench.colorTheme': theme });
    await window.page.locator(`.monaco-workbench.${look === 'dark' ? 'vs-dark' : 'vs'}`).waitFor();
    await before();
    await settle(window);
    await shoot(window, join('walkthrough', `${name}-${look}`), walkthroughClip);
  }
}

async function settle(window: Window): Promise<void> {
  await window.page.mouse.move(640, 795);
  await window.page.waitForTimeout(500);
}

async function shoot(
  window: Window,
  name: string,
  clip?: { x: number; y: number; width: number; height: number },
): Promise<void> {
  const path = join(media, `${name}.png`);
  mkdirSync(join(path, '..'), { recursive: true });
  await window.page.screenshot({ path, ...(clip && { clip }) });
  console.log(path);
}

async function takeFirstQuestion(window: Window): Promise<void> {
  await window.runCommand('SQLite Backup: Choose Backups Folder…');
  await window.quickInput.getByText('Where should backups go?').waitFor();
  await takeBoth(window, 'folder');
}

async function takeViews(window: Window): Promise<void> {
  const app = window.treeItem(/^data\/app\.db, /);
  await takeBoth(window, 'databases');
  await app.click();
  await window.page.keyboard.press('ArrowRight');
  await window
    .treeItem(/^\d\d:\d\d today/)
    .first()
    .waitFor();
  await takeBoth(window, 'backUp');
  await app.hover();
  await app.getByRole('button', { name: /Back Up/ }).click();
  const done = window.notification(/Backed up data\/app\.db: .* verified\./);
  await done.waitFor();
  await done.hover();
  await window.page.waitForTimeout(500);
  const clip = { x: 0, y: 0, width: 1280, height: 800 };
  await shoot(window, 'screenshots/databases', clip);
}

async function takeLook(window: Window): Promise<void> {
  const backups = window.view('Backups');
  await backups
    .getByRole('treeitem', { name: /data\/app|app_/ })
    .first()
    .click();
  const { webview } = window;
  await webview.getByRole('region', { name: 'Since then, in the live database' }).waitFor();
  await webview.getByText('reading…').waitFor({ state: 'detached' });
  await takeBoth(window, 'look');
  await shoot(window, 'screenshots/look');
}

async function takeRestore(window: Window): Promise<void> {
  await window
    .treeItem(/^data\/app\.db, /)
    .first()
    .click({ button: 'right' });
  await window.chooseFromMenu('Restore…');
  // The backup that the pictures of the views have made differs in nothing: the one before shows what a restore changes.
  const made = asked.length === 0 || asked.includes('databases') ? 1 : 0;
  await window.quickInput
    .getByRole('option', { name: /^(Today|app)/ })
    .nth(made)
    .click();
  await window.webview.getByRole('button', { name: 'Restore to a New File' }).waitFor();
  await takeBoth(window, 'rehearse');
  await shoot(window, 'screenshots/runbook');
}

async function takeRules(window: Window): Promise<void> {
  await window.runCommand('SQLite Backup: Take Checkpoints Automatically');
  const done = window.notification(/Checkpoints are taken every 15 minutes/);
  await done.getByRole('button', { name: 'Open Settings' }).click();
  await window.page.getByText('When checkpoints of all databases').first().waitFor();
  await takeBoth(window, 'keep');
}

// Chromium is quiet about a picture that shows nothing: the sizes tell.
execFileSync('ls', ['-l', join(media, 'walkthrough'), join(media, 'screenshots')], {
  stdio: 'inherit',
});
process.exit(0);
