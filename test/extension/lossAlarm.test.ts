import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import type { Api, DataLoss } from '../../src/api.d.ts';
import {
  inWorkspace,
  makeDatabase,
  manifestOf,
  removeLater,
  run,
  until,
  uriOf,
  workspaceFolder,
  writeFile,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

const execute = (path: string, sql: string): void => {
  const db = new Database(inWorkspace(path));
  db.exec(sql);
  db.close();
};

const useAlarm = (value: boolean | undefined): Thenable<void> =>
  vscode.workspace
    .getConfiguration('sqliteBackup')
    .update('lossAlarm', value, vscode.ConfigurationTarget.Global);

describe('the loss alarm', () => {
  const losses: DataLoss[] = [];
  let listener: vscode.Disposable;
  const of = (path: string): DataLoss[] =>
    losses.filter(({ database }) => database.fsPath === inWorkspace(path));

  before(async () => {
    const extension = vscode.extensions.getExtension<Api>('sqlite-backup.sqlite-backup');
    const api = await extension?.activate();
    assert.ok(api);
    assert.equal(api.apiVersion, 1);
    await useAlarm(true);
    listener = api.onDidLoseData((loss) => losses.push(loss));
  });
  after(() => {
    listener.dispose();
    return useAlarm(false);
  });

  /** The rows are known when a checkpoint is there and the database has been quiet for a while. */
  async function known(path: string): Promise<string> {
    const { checkpoints, unchanged } = await run<{
      checkpoints: { path: string }[];
      unchanged: unknown[];
    }>('checkpointNow', uriOf(path));
    assert.equal(checkpoints.length + unchanged.length, 1);
    await new Promise((wake) => setTimeout(wake, 6000));
    return checkpoints[0]?.path ?? '';
  }

  /** As a tool does: a task of the workspace, in a process of its own. */
  async function runTool(name: string, path: string, sql: string): Promise<void> {
    const code = `new (require(${JSON.stringify(require.resolve('better-sqlite3'))}))(process.argv[1]).exec(process.argv[2])`;
    const execution = new vscode.ProcessExecution(
      process.execPath,
      ['-e', code, inWorkspace(path), sql],
      { env: { ELECTRON_RUN_AS_NODE: '1' } },
    );
    const task = new vscode.Task({ type: 'process' }, workspaceFolder(), name, 'test', execution);
    const ended = new Promise<number | undefined>((resolve) => {
      const listener = vscode.tasks.onDidEndTaskProcess(
        ({ execution: { task: one }, exitCode }) => {
          if (one.name !== name) return;
          listener.dispose();
          resolve(exitCode);
        },
      );
    });
    await vscode.tasks.executeTask(task);
    assert.equal(await ended, 0);
  }

  it('tells within ten seconds of rows that are gone and of what ran, whatever a repository sets, and pins the last good state', async () => {
    makeDatabase('data/alarmed.db', 300);
    removeLater('.vscode/settings.json');
    mkdirSync(inWorkspace('.vscode'), { recursive: true });
    writeFile('.vscode/settings.json', JSON.stringify({ 'sqliteBackup.lossAlarm': false }));
    await run('refresh');
    const checkpoint = await known('data/alarmed.db');
    await runTool('migrate', 'data/alarmed.db', 'DELETE FROM t WHERE id > 10');
    const at = Date.now();
    await until(() => of('data/alarmed.db').length > 0, 'the alarm');
    assert.ok(Date.now() - at < 10_000, `${Date.now() - at} ms`);
    const [loss] = of('data/alarmed.db');
    assert.equal(loss?.ran, 'migrate');
    assert.deepEqual(loss?.tables, [{ table: 't', before: 300, now: 10 }]);
    assert.equal(loss?.backup?.fsPath, checkpoint);
    assert.equal(manifestOf(checkpoint).pinned, true);
  });

  itInPart('is silent when rows come, when few go, and when it is switched off', async () => {
    makeDatabase('data/calm.db', 300);
    await run('refresh');
    await known('data/calm.db');
    execute('data/calm.db', "INSERT INTO t (text) VALUES ('x'); DELETE FROM t WHERE id < 50");
    await known('data/calm.db');
    await useAlarm(false);
    execute('data/calm.db', 'DELETE FROM t');
    await known('data/calm.db');
    await useAlarm(true);
    assert.deepEqual(of('data/calm.db'), []);
  });

  itInPart('tells of a database that is gone', async () => {
    makeDatabase('data/vanishing.db', 30);
    await run('refresh');
    const checkpoint = await known('data/vanishing.db');
    rmSync(inWorkspace('data/vanishing.db'));
    await until(() => of('data/vanishing.db').length > 0, 'the alarm');
    const [loss] = of('data/vanishing.db');
    assert.deepEqual([loss?.isGone, loss?.tables, loss?.backup?.fsPath], [true, [], checkpoint]);
  });
});
