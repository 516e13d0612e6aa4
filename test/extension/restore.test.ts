import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import { moveAside } from '../../src/core/restore/apply.ts';
import { runTask } from '../../src/editor/runTask.ts';
import { putLitestream } from '../support/litestream.ts';
import { applyRequest, leftoversIn, quiet, setAsidesIn } from '../support/restores.ts';
import {
  backUp,
  inWorkspace,
  makeDatabase,
  removeLater,
  rowOf,
  run,
  until,
  uriOf,
  useBackupsFolder,
  workspaceFolder,
  type RefreshResult,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

const folder = 'restored-from';
const database = 'restoring/shop.db';
const holding = inWorkspace('restoring');

const execute = (path: string, sql: string): void => {
  const db = new Database(path);
  db.exec(sql);
  db.close();
};

const rows = (path: string): unknown => {
  const db = new Database(path, { readonly: true });
  const found = db.prepare('SELECT count(*) FROM t').pluck().get();
  db.close();
  return found;
};

const closeEditors = (): Thenable<unknown> =>
  vscode.commands.executeCommand('workbench.action.closeAllEditors');

const pages = (): string[] =>
  vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .filter(({ input }) => input instanceof vscode.TabInputWebview)
    .map(({ label }) => label);

/** The commands of a restore on a database of 10 rows in a backup, and 2 more since. */
describe('restores', () => {
  let live = '';
  let backup = '';

  before(async () => {
    removeLater(folder, 'restoring');
    await useBackupsFolder(folder);
    await vscode.workspace.fs.createDirectory(vscode.Uri.file(holding));
  });
  after(() => useBackupsFolder(undefined));

  beforeEach(async () => {
    live = inWorkspace(database);
    rmSync(live, { force: true });
    makeDatabase(database, 10);
    await run('refresh');
    backup = await backUp(database);
    execute(live, "INSERT INTO t (text) VALUES ('a'), ('b')");
  });

  afterEach(async () => {
    await closeEditors();
    for (const name of readdirSync(holding)) rmSync(join(holding, name), { force: true });
    rmSync(inWorkspace(folder), { recursive: true, force: true });
  });

  it('open one page for a backup, however often it is asked for, by its row or its file', async () => {
    const [one, two] = await Promise.all([
      run<{ runbook?: string }>('restore', rowOf(backup)),
      run<{ runbook?: string }>('restore', vscode.Uri.file(backup)),
    ]);
    assert.ok(one.runbook);
    assert.equal(two.runbook, one.runbook);
    await until(() => pages().length === 1, 'the page is there');
    assert.deepEqual(pages(), ['Restore restoring/shop.db']);
    assert.equal(rows(live), 12, 'nothing is restored by opening it');
  });

  it('know the database of a backup although it is gone', async () => {
    rmSync(live);
    await run('refresh');
    const { runbook } = await run<{ runbook?: string }>('restore', rowOf(backup));
    assert.ok(runbook);
    assert.equal(existsSync(live), false);
  });

  it('say nothing about files that are no backups', async () => {
    assert.equal(await run('restore', uriOf('data/app.db.no')), undefined);
    assert.deepEqual(pages(), []);
  });

  it('show who has a database open', async () => {
    const holders = async (): Promise<number[]> =>
      (await run<{ holders: { pid: number }[] }>('showHolders', vscode.Uri.file(live))).holders.map(
        ({ pid }) => pid,
      );
    assert.deepEqual(await holders(), []);
    const db = new Database(live);
    db.prepare('SELECT * FROM t').all();
    // This process is the extension host: an extension that holds the file counts like any program.
    assert.deepEqual(await holders(), [process.pid]);
    db.close();
  });

  itInPart('save what a program still has open of a deleted database', async function () {
    if (process.platform !== 'linux') this.skip();
    type Saved = { backups: { path: string; pid: number }[] };
    const open = inWorkspace('data/open.db');
    assert.deepEqual(await run<Saved>('saveOpenFiles', vscode.Uri.file(open)), { backups: [] });
    execute(open, 'CREATE TABLE t (a); INSERT INTO t VALUES (7)');
    const db = new Database(open);
    db.prepare('SELECT * FROM t').all();
    rmSync(open);
    const { backups } = await run<Saved>('saveOpenFiles', vscode.Uri.file(open));
    assert.deepEqual(
      backups.map(({ pid }) => pid),
      [process.pid],
    );
    db.close();
    const copy = new Database(backups[0]?.path, { readonly: true });
    assert.deepEqual(copy.prepare('SELECT a FROM t').pluck().all(), [7]);
    copy.close();
  });

  it('come from Litestream where it replicates a database and its program is there', async function () {
    if (process.platform === 'win32') this.skip();
    const replicated = inWorkspace('data/replicated.db');
    const bin = inWorkspace('litestream-bin');
    execute(replicated, 'CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)');
    for (const one of [bin, inWorkspace('data/.replicated.db-litestream')]) mkdirSync(one);
    cpSync(replicated, join(bin, 'replica'));
    execute(replicated, 'DELETE FROM t');
    const seen = async (): Promise<unknown> =>
      (await run<RefreshResult>('refresh')).databases.find(({ path }) =>
        path.endsWith('replicated.db'),
      )?.litestream;
    const { PATH: before = '' } = process.env;
    type Opened = { path?: string; runbook?: string };
    try {
      assert.deepEqual(await seen(), { hasProgram: false });
      putLitestream(bin);
      process.env['PATH'] = `${bin}:${before}`;
      assert.deepEqual(await seen(), { hasProgram: true });
      // The database has no backup, so the list of Restore… has only what Litestream keeps; then the newest state is first.
      let opened: Opened | undefined;
      void run<Opened>('restore', vscode.Uri.file(replicated)).then((one) => (opened = one));
      await until(async () => {
        await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
        return opened !== undefined;
      }, 'the restore of the newest state');
      assert.match(basename(opened?.path ?? ''), /^replicated_litestream_20260424_120000Z\.db$/);
      assert.ok(opened?.runbook !== undefined);
      assert.deepEqual([rows(opened.path ?? ''), rows(replicated)], [2, 0]);
      assert.ok(
        pages().some((label) => label.includes('replicated.db')),
        pages().join(),
      );
      const earlier = await run<Opened>(
        ...(['restoreLitestream', vscode.Uri.file(replicated), undefined] as const),
        '2026-04-24T11:00:00Z',
      );
      assert.match(earlier.path ?? '', /_litestream_20260424_110000Z\.db$/);
      putLitestream(bin, { restore: 'echo "no matching backup files" >&2; exit 1' });
      const files = readdirSync(inWorkspace(folder)).length;
      const failed = await run<Opened | undefined>(
        ...(['restoreLitestream', vscode.Uri.file(replicated), undefined] as const),
        'newest',
      );
      assert.equal(failed, undefined);
      assert.equal(readdirSync(inWorkspace(folder)).length, files);
    } finally {
      process.env['PATH'] = before;
      for (const one of ['litestream-bin', 'data/.replicated.db-litestream', 'data/replicated.db'])
        rmSync(inWorkspace(one), { recursive: true });
      await closeEditors();
    }
  });

  it('are undone by naming what they kept, after a question about what it would hide', async () => {
    const request = { ...applyRequest(backup, live), folder: inWorkspace(folder) };
    const { intent, items } = await moveAside(request, quiet);
    assert.ok(existsSync(intent));
    const kept = items[0]?.setAside ?? '';
    // It is needed as long as the restore is not finished.
    assert.equal(await run('deleteSetAside', vscode.Uri.file(kept)), undefined);
    assert.ok(existsSync(kept));
    rmSync(intent);
    for (const name of leftoversIn(holding)) rmSync(join(holding, name), { recursive: true });
    rmSync(live);
    execute(live, 'CREATE TABLE t (id INTEGER PRIMARY KEY)');
    // In a test, nobody answers a modal question. What was written since would be hidden, so one is asked.
    assert.notDeepEqual(await run('undoRestore', vscode.Uri.file(kept)), { target: live });
    assert.equal(rows(live), 0);
    assert.deepEqual(setAsidesIn(holding), [basename(kept)]);
    rmSync(live);
    const undone = await run<{ target?: string }>('undoRestore', vscode.Uri.file(kept));
    assert.deepEqual(undone, { target: live });
    assert.equal(rows(live), 12);
    assert.equal(
      await run('undoRestore', vscode.Uri.file(live)),
      undefined,
      'that is no set-aside',
    );
  });

  it('do not delete what they kept unless somebody says yes', async () => {
    const kept = `${live}.bad-20260101_000000Z`;
    execute(kept, 'CREATE TABLE t (id INTEGER PRIMARY KEY)');
    // In a test, nobody answers a modal question.
    assert.notDeepEqual(await run('deleteSetAside', vscode.Uri.file(kept)), { path: kept });
    assert.ok(existsSync(kept));
  });

  itInPart(
    'offer no file for deletion that no restore has recorded, and refuse one that is named',
    async () => {
      const stray = join(holding, 'notes.bad-20260101_000000Z');
      writeFileSync(stray, 'of another program');
      // Nothing is offered, so no list opens that would wait for an answer.
      assert.deepEqual(await run('deleteSetAside'), {});
      assert.equal(await run('deleteSetAside', vscode.Uri.file(stray)), undefined);
      assert.ok(existsSync(stray));
    },
  );

  it('are not recovered where none was interrupted', async () => {
    assert.deepEqual(await run('recoverRestore'), { recovered: [] });
  });

  itInPart('are written down as Markdown with the commands filled in', async () => {
    const to = vscode.Uri.file(join(holding, 'runbook.md'));
    await run('exportRunbook', to);
    assert.equal(existsSync(to.fsPath), false, 'no page is open');
    await run('restore', rowOf(backup));
    await until(async () => {
      await run('exportRunbook', to);
      return existsSync(to.fsPath);
    }, 'the comparison is done');
    const text = readFileSync(to.fsPath, 'utf8');
    assert.match(text, /t: 2 rows lost, 0 rows brought back, 0 rows changed/);
    assert.ok(text.includes(`'BACKUP_1=${backup}'`), text);
    assert.ok(text.includes(`'LIVE_1=${live}'`), text);
    assert.ok(text.includes(`'KEPT_1=${live}.bad-`), text);
    assert.ok(
      vscode.window.visibleTextEditors.some(({ document }) => document.uri.path === to.path),
    );
  });
});

describe('tasks that stop and start an application', () => {
  const started: string[] = [];
  let provider: vscode.Disposable;

  /** A task without a program, which ends with a code or goes on. */
  const task = (name: string, exitCode: number | undefined): vscode.Task => {
    const written = new vscode.EventEmitter<string>();
    const closed = new vscode.EventEmitter<number>();
    const execution = new vscode.CustomExecution(() =>
      Promise.resolve({
        onDidWrite: written.event,
        onDidClose: closed.event,
        open: () => {
          started.push(name);
          if (exitCode !== undefined) setTimeout(() => closed.fire(exitCode), 20);
        },
        close: () => undefined,
      }),
    );
    const made = new vscode.Task(
      ...([{ type: 'shop', name }, workspaceFolder(), name, 'shop', execution] as const),
    );
    made.presentationOptions = { reveal: vscode.TaskRevealKind.Never };
    return made;
  };

  before(() => {
    provider = vscode.tasks.registerTaskProvider('shop', {
      provideTasks: () => [task('ends well', 0), task('ends badly', 1), task('serve', undefined)],
      resolveTask: () => undefined,
    });
  });
  after(() => {
    provider.dispose();
    for (const execution of vscode.tasks.taskExecutions) execution.terminate();
  });

  it('are refused when there is none of that name', async () => {
    await assert.rejects(runTask('no such task', 'stop'), { code: 'bad-setting' });
  });

  itInPart('are waited for, and tell how they ended', async () => {
    assert.deepEqual(await runTask('ends well', 'stop'), { ended: true, exitCode: 0 });
    assert.deepEqual(await runTask('shop: ends badly', 'stop'), { ended: true, exitCode: 1 });
    assert.deepEqual(started, ['ends well', 'ends badly']);
  });

  itInPart(
    'count as running when they go on, and are not waited for any longer when that is cancelled',
    async () => {
      assert.deepEqual(await runTask('serve', 'start'), { ended: false });
      for (const execution of vscode.tasks.taskExecutions) execution.terminate();
      const cancel = new AbortController();
      const listener = vscode.tasks.onDidStartTask(() => cancel.abort());
      try {
        await assert.rejects(runTask('serve', 'stop', cancel.signal), { code: 'cancelled' });
      } finally {
        listener.dispose();
      }
    },
  );

  it('are not started when the person cancels while they are searched for', async () => {
    const begun: string[] = [];
    const listener = vscode.tasks.onDidStartTask(({ execution }) =>
      begun.push(execution.task.name),
    );
    const cancel = new AbortController();
    const running = runTask('serve', 'stop', cancel.signal);
    cancel.abort();
    try {
      await assert.rejects(running, { code: 'cancelled' });
      assert.deepEqual(begun, []);
    } finally {
      listener.dispose();
    }
  });
});
