import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { moveAside } from '../../src/core/restore.ts';
import { takeSnapshot } from '../../src/core/snapshot.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { accessibilityProblems } from './axe.ts';
import { themes, withWindow } from './setup.ts';
import type { Window } from './window.ts';

/** The application that people restore: started and stopped by the test, as a person would in a terminal. */
class Shop {
  readonly database: string;
  readonly port: number;
  #child: ChildProcess | undefined;

  constructor(database: string, port: number) {
    this.database = database;
    this.port = port;
  }

  async start(): Promise<void> {
    const entry = join(import.meta.dirname, '../fixtures/shopServer.ts');
    this.#child = fork(entry, [this.database, String(this.port)], { execArgv: [] });
    await once(this.#child, 'message');
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  async order(times: number): Promise<void> {
    for (let n = 0; n < times; n++) await fetch(this.url, { method: 'POST' });
  }

  async orders(): Promise<number> {
    return ((await (await fetch(this.url)).json()) as { orders: number }).orders;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/health`;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** A window with a running shop of 10 orders, a backup of it, and 5 orders since. */
async function withShop(
  theme: string,
  use: (window: Window, shop: Shop, folder: string) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const settings = {
    'sqliteBackup.backupsFolder': 'backups',
    'sqliteBackup.restore.healthUrl': `http://127.0.0.1:${port}/health`,
  };
  await withWindow({ theme, settings }, async (window, folder) => {
    const shop = new Shop(join(folder, 'shop.db'), port);
    try {
      await shop.start();
      await shop.order(10);
      await window.openSidebar();
      const row = window.treeItem(/^shop\.db, /);
      await row.hover();
      await row.getByRole('button', { name: /Back Up/ }).click();
      await window.notification(/Backed up shop\.db/).waitFor();
      await shop.order(5);
      await use(window, shop, folder);
    } finally {
      await shop.stop();
    }
  });
}

async function openRunbook(window: Window): Promise<void> {
  await window
    .treeItem(/^shop\.db, /)
    .first()
    .click({ button: 'right' });
  await window.chooseFromMenu('Restore…');
  // A row that is just being drawn anew reaches no command, which then asks among all backups.
  await window.option(/^(Today|shop_)/).click();
  await window.webview.getByRole('heading', { name: /Restore shop\.db/ }).waitFor();
}

describe('the runbook in a window', () => {
  it('restores a running application, proves it, and undoes it', async () => {
    await withShop(themes.dark, async (window, shop, folder) => {
      const page = (name: string | RegExp) => window.webview.getByRole('button', { name });
      await openRunbook(window);
      await page(/Restore over shop\.db/).waitFor();
      const losses = window.webview.getByRole('row', { name: /orders/ });
      assert.match((await losses.innerText()).replace(/\s+/g, ' '), /orders 15 10 5 0 0/);
      await window.screenshot('runbook-1-plan');

      await page(/Restore over shop\.db/).click();
      await window.webview
        .getByText(/pid \d+/)
        .first()
        .waitFor();
      await window.screenshot('runbook-2-stop');
      await shop.stop();
      await window.webview.getByText('Nobody is seen to use it.').waitFor();
      await page('Continue').click();

      await page('Move It Aside').click();
      await window.dialog.getByText(/5 rows of orders are only in the live database/).waitFor();
      await window.screenshot('runbook-3-question');
      await window.dialog.getByRole('button', { name: 'Restore' }).click();
      await page('Copy the Backup into Place').click();
      await page('It Runs Again').waitFor();
      assert.ok(readdirSync(folder).some((name) => /^shop\.db\.bad-/.test(name)));
      await window.screenshot('runbook-4-restart');
      await shop.start();
      assert.equal(await shop.orders(), 10);
      await page('Check').click();
      await window.webview.getByText(/200 .*"orders":10/).waitFor();
      await window.screenshot('runbook-5-verify');
      await page('All Is Well').click();
      await page('Keep the Old Database').click();
      await window.webview.getByText(/The old database is kept, and can be put back/).waitFor();
      await window.screenshot('runbook-6-done');

      await shop.order(1);
      await shop.stop();
      await page('Undo').click();
      await window.dialog.getByText(/orders: 1 added/).waitFor();
      await window.screenshot('runbook-6-undo-question');
      await window.dialog.getByRole('button', { name: 'Undo' }).click();
      await window.webview
        .getByText(/Undone/)
        .first()
        .waitFor();
      await window.screenshot('runbook-7-undone');
      await shop.start();
      assert.equal(await shop.orders(), 15);
      assert.ok(existsSync(join(folder, 'shop.db')));
    });
  });

  it('goes on after the window was reloaded in the middle, and can still be undone', async () => {
    await withShop(themes.light, async (window, shop, folder) => {
      const page = (name: string | RegExp) => window.webview.getByRole('button', { name });
      await openRunbook(window);
      await shop.stop();
      await page(/Restore over shop\.db/).click();
      await page('Continue').click();
      await page('Move It Aside').click();
      await window.dialog.getByRole('button', { name: 'Restore' }).click();
      await page('Copy the Backup into Place').waitFor();
      const asides = readdirSync(folder).filter((name) => /^shop\.db\.bad-\w+Z$/.test(name));
      assert.equal(asides.length, 1);
      await window.screenshot('runbook-light-moved');

      // VS Code writes down what is open a moment later.
      await window.page.waitForTimeout(2000);
      await window.page.reload();
      await page('Copy the Backup into Place').click({ timeout: 60_000 });
      await page('It Runs Again').click();
      await page('Check').click();
      await page('All Is Well').click();
      await page('Keep the Old Database').click();
      await window.screenshot('runbook-light-done');
      assert.deepEqual(await accessibilityProblems(await window.webviewFrame(), ['body']), []);
      await shop.start();
      assert.equal(await shop.orders(), 10);
      await page('Undo').click();
      await window.dialog.getByRole('button', { name: 'Undo' }).click();
      await window.webview.getByText(/It was not undone/).waitFor();
      await shop.stop();
      await page('Undo').click();
      await window.dialog.getByRole('button', { name: 'Undo' }).click();
      await window.webview
        .getByText(/Undone/)
        .first()
        .waitFor();
      await shop.start();
      assert.equal(await shop.orders(), 15);
    });
  });

  it('makes a new file by keyboard alone, and touches nothing else', async () => {
    await withShop(themes['high-contrast'], async (window, shop, folder) => {
      await openRunbook(window);
      const beside = window.webview.getByRole('button', { name: 'Restore to a New File' });
      await beside.waitFor();
      await window.screenshot('runbook-high-contrast-plan');
      assert.deepEqual(await accessibilityProblems(await window.webviewFrame(), ['body']), []);
      await beside.focus();
      await window.page.keyboard.press('Enter');
      await window.webview.getByText('The new file holds what was backed up.').waitFor();
      await window.screenshot('runbook-high-contrast-beside');
      const made = readdirSync(folder).filter((name) => /^shop\.restored_\w+\.db$/.test(name));
      assert.equal(made.length, 1);
      assert.equal(await shop.orders(), 15);
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.includes('.bad-')),
        [],
      );
    });
  });

  it('offers to finish what a crash has left in the middle', async () => {
    const create = async (folder: string): Promise<void> => {
      createSampleWorkspace(folder);
      const database = join(folder, 'data/sessions.db');
      const options = {
        folder: join(folder, 'backups'),
        method: 'exact',
        trigger: 'manual',
        ...{ verify: true, busyTimeoutMs: 1000, largestBytes: 1e9, toolVersion: '0.0.0' },
      } as const;
      const recordAs = { path: 'data/sessions.db' };
      const hooks = { onProgress: () => undefined, beforePublish: () => Promise.resolve() };
      const { path } = await takeSnapshot({ ...options, database, recordAs }, hooks);
      const items = [{ target: database }];
      await moveAside({ ...options, backup: path, items }, hooks);
    };
    const settings = { 'sqliteBackup.backupsFolder': 'backups' };
    await withWindow({ create, settings }, async (window, folder) => {
      const offer = window.notification(/A restore of data\/sessions\.db was interrupted/);
      await offer.waitFor();
      await window.screenshot('runbook-interrupted');
      await offer.getByRole('button', { name: 'Finish' }).click();
      await window.notification(/Finished: data\/sessions\.db is the backup now/).waitFor();
      const names = readdirSync(join(folder, 'data'));
      assert.ok(
        names.some((name) => /^sessions\.db\.bad-/.test(name)),
        names.join(' '),
      );
      assert.deepEqual(
        names.filter((name) => name.startsWith('.')),
        [],
      );
    });
  });
});
