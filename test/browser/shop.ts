import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { isAlive, waitUntil } from '../support/processes.ts';
import { withWindow } from './setup.ts';
import type { Window } from './window.ts';

const entry = join(import.meta.dirname, '../fixtures/shopServer.ts');

/** The application that people restore: started and stopped as in a terminal, or by the tasks of its folder. */
export class Shop {
  readonly database: string;
  readonly port: number;
  readonly #pidFile: string;

  constructor(folder: string, port: number) {
    this.database = join(folder, 'shop.db');
    this.#pidFile = join(folder, 'shop.pid');
    this.port = port;
  }

  /** One task is a line for the shell, the other a program with arguments; the shop goes on in the background. */
  get tasks(): object[] {
    const quoted = [process.execPath, entry, this.database].map((path) => `'${path}'`);
    const untilGone = 'while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done';
    const calm = { presentation: { reveal: 'never' }, problemMatcher: [] };
    return [
      {
        ...{ ...calm, label: 'start shop', type: 'shell', isBackground: true },
        command: `echo $$ > shop.pid; exec ${quoted.join(' ')} ${this.port}`,
      },
      {
        ...{ ...calm, label: 'stop shop', type: 'process', command: 'sh' },
        args: ['-ec', `pid=$(cat shop.pid); kill "$pid"; ${untilGone}`],
      },
    ];
  }

  async start(): Promise<void> {
    const child = fork(entry, [this.database, String(this.port)], { execArgv: [] });
    writeFileSync(this.#pidFile, String(child.pid));
    await once(child, 'message');
    // A task may stop it, which is nothing that this process is to wait for.
    child.disconnect();
    child.unref();
  }

  async stop(): Promise<void> {
    const pid = this.pid;
    if (pid === undefined || !isAlive(pid)) return;
    process.kill(pid, 'SIGTERM');
    await waitUntil(() => !isAlive(pid), 'the shop has ended');
  }

  get pid(): number | undefined {
    return existsSync(this.#pidFile) ? Number(readFileSync(this.#pidFile, 'utf8')) : undefined;
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

/** A window with a running shop of 10 orders, a backup of it taken by `backUp`, and 5 orders since. */
export async function withShop(
  { theme, trusted = true, backUp = backUpByClick }: ShopSetup,
  use: (window: Window, shop: Shop, folder: string) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const settings = {
    'sqliteBackup.backupsFolder': 'backups',
    'sqliteBackup.restore.healthUrl': `http://127.0.0.1:${port}/health`,
    'sqliteBackup.restore.stopTask': 'stop shop',
    'sqliteBackup.restore.startTask': 'start shop',
  };
  const create = (folder: string): Promise<void> => {
    mkdirSync(join(folder, '.vscode'), { recursive: true });
    const { tasks } = new Shop(folder, port);
    writeFileSync(join(folder, '.vscode/tasks.json'), JSON.stringify({ version: '2.0.0', tasks }));
    return Promise.resolve();
  };
  await withWindow({ theme, trusted, settings, create }, async (window, folder) => {
    const shop = new Shop(folder, port);
    try {
      await shop.start();
      await shop.order(10);
      await backUp(window);
      await window.notification(/Backed up shop\.db/).waitFor();
      await shop.order(5);
      await use(window, shop, folder);
    } finally {
      await shop.stop();
    }
  });
}

interface ShopSetup {
  theme: string;
  trusted?: boolean;
  backUp?: (window: Window) => Promise<void>;
}

async function backUpByClick(window: Window): Promise<void> {
  await window.openSidebar();
  await window.runCommand('SQLite Backup: Refresh');
  const row = window.treeItem(/^shop\.db, /);
  await row.hover();
  await row.getByRole('button', { name: /Back Up/ }).click();
}

export function setAsidesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => /^shop\.db\.bad-\w+Z$/.test(name));
}
