import assert from 'node:assert/strict';
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import { protectionLines } from '../../src/editor/commands/protection.ts';
import { label } from '../../src/core/states/kept.ts';
import { copyStampOf } from '../../src/core/states/putBack.ts';
import { hasProgram } from '../support/offsite.ts';
import { itInPart, itWhere } from '../support/operations.ts';
import {
  backUp,
  inWorkspace,
  makeDatabase,
  manifestOf,
  removeLater,
  run,
  until,
  uriOf,
  useBackupsFolder,
  withSetting,
  workspaceFolder,
  writeFile,
} from './workspace.ts';

interface Result {
  checkpoints: { id: string; path: string; database: string }[];
  unchanged: { id: string; database: string }[];
  failures: { database: string; code: string; message: string }[];
}

interface Kept {
  cause?: { kind: string; text?: string; moment?: string };
  livePath?: string;
}

const { Global, Workspace } = vscode.ConfigurationTarget;

function change(path: string, sql = "INSERT INTO t (text) VALUES ('more')"): void {
  const db = new Database(inWorkspace(path));
  db.exec(sql);
  db.close();
}

function countOf(path: string): unknown {
  const db = new Database(inWorkspace(path), { readonly: true });
  const count = db.prepare('SELECT count(*) FROM t').pluck().get();
  db.close();
  return count;
}

const checkpoint = (path: string): Promise<Result> => run<Result>('checkpointNow', uriOf(path));

/** What a tasks.json has, by label. */
const tasks: Record<string, Record<string, unknown>> = {
  'no such database': { action: 'checkpoint', databases: ['data/none.db'] },
  'no such action': { action: 'undo' },
  'no baseline': { action: 'restore', databases: ['data/guarded.d?'] },
  'no such baseline': {
    ...{ action: 'restore', databases: ['data/guarded.db'] },
    baseline: 'no such baseline',
  },
  // VS Code takes tasks of the same definition for one task.
  'no folder': { action: 'backUp', databases: ['data/guarde?.db'] },
  'no backup': { action: 'verify', databases: ['data/guarde?.db'] },
  'no such bundle': { action: 'bundle', bundle: 'no such bundle' },
  checkpoint: { action: 'checkpoint', databases: ['data/guard*.db'] },
  'back up': { action: 'backUp', databases: ['data/guarded.db'] },
  verify: { action: 'verify', databases: ['data/guarded.db'] },
  bundle: { action: 'bundle', databases: ['data/guarded.db'] },
  'put back': { action: 'restore', databases: ['data/guarded.db'], baseline: 'seeded' },
};

/** The exit code of a task of tasks.json. */
async function runTask(label: string): Promise<number | undefined> {
  let task: vscode.Task | undefined;
  await until(async () => {
    task = (await vscode.tasks.fetchTasks()).find(({ name }) => name === label);
    return task !== undefined;
  }, `there is the task ${label}`);
  const ended = new Promise<number | undefined>((resolve) => {
    const listener = vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) => {
      if (execution.task.name !== label) return;
      listener.dispose();
      resolve(exitCode);
    });
  });
  assert.ok(task);
  await vscode.tasks.executeTask(task);
  return ended;
}

describe('Protection', () => {
  before(() => {
    makeDatabase('data/guarded.db');
    writeFile('data/program.js', '');
    removeLater('.vscode');
    mkdirSync(inWorkspace('.vscode'), { recursive: true });
    const all = Object.entries(tasks).map(([label, definition]) => ({
      ...{ label, type: 'sqliteBackup', ...definition },
    }));
    writeFile('.vscode/tasks.json', JSON.stringify({ version: '2.0.0', tasks: all }));
  });

  it('takes a checkpoint outside of the workspace, and none of what has not changed', async () => {
    const first = await checkpoint('data/guarded.db');
    assert.deepEqual(first.failures, []);
    const [one] = first.checkpoints;
    assert.ok(one);
    assert.equal(one.database, inWorkspace('data/guarded.db'));
    assert.ok(!one.path.startsWith(workspaceFolder().uri.fsPath), one.path);
    if (process.platform !== 'win32') assert.equal(statSync(one.path).mode & 0o777, 0o400);
    const again = await checkpoint('data/guarded.db');
    assert.deepEqual([again.checkpoints, again.unchanged.map(({ id }) => id)], [[], [one.id]]);
    change('data/guarded.db');
    assert.equal((await checkpoint('data/guarded.db')).checkpoints.length, 1);
  });

  it('says why there is none', async () => {
    writeFile('data/notes2.db', 'just some notes');
    const { failures } = await run<Result>('checkpointNow', [
      uriOf('data/notes2.db'),
      uriOf('data/none.db'),
    ]);
    assert.deepEqual(failures.map(({ code }) => code).sort(), ['not-a-database', 'source-missing']);
  });

  it('opens the runbook of a checkpoint for the database that it is of', async () => {
    change('data/guarded.db');
    const [one] = (await checkpoint('data/guarded.db')).checkpoints;
    assert.ok(one);
    const { runbook } = await run<{ runbook?: string }>('restore', vscode.Uri.file(one.path));
    assert.ok(runbook);
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
  });

  itInPart('takes what the workspace says is too large for its backups', async () => {
    change('data/guarded.db', 'INSERT INTO t (text) VALUES (zeroblob(1500000))');
    await withSetting('maxSize', 0.001, async () => {
      assert.equal((await checkpoint('data/guarded.db')).checkpoints.length, 1);
    });
    change('data/guarded.db', 'DELETE FROM t WHERE length(text) > 1000; VACUUM');
  });

  it('is not decided by a workspace: neither the folder, nor the schedule, nor what is left out', async () => {
    const elsewhere = inWorkspace('stolen');
    const properties = [
      ...['branches', 'checkpointsFolder', 'schedule', 'lossAlarm'],
      ...['before.commands', 'before.debug', 'checkpoints.maxDisk', 'offsite'],
    ];
    for (const key of properties) {
      const { workspaceValue } = vscode.workspace.getConfiguration('sqliteBackup').inspect(key) ?? {
        workspaceValue: undefined,
      };
      assert.equal(workspaceValue, undefined, key);
      await assert.rejects(
        withSetting(key, 'x', () => Promise.resolve(), Workspace),
        key,
      );
    }
    // As a repository brings it along.
    writeFile(
      '.vscode/settings.json',
      JSON.stringify({
        'sqliteBackup.checkpointsFolder': elsewhere,
        'sqliteBackup.schedule': 'every 1m',
        'sqliteBackup.before.debug': 'off',
        'sqliteBackup.offsite': [
          { name: 'evil', engine: 'rclone', repository: elsewhere, when: 'afterEach' },
        ],
      }),
    );
    try {
      await withSetting(
        'before.debug',
        'onlyIfChanged',
        async () => {
          change('data/guarded.db');
          const [one] = (await checkpoint('data/guarded.db')).checkpoints;
          assert.ok(one && !one.path.startsWith(elsewhere));
          const configuration = vscode.workspace.getConfiguration('sqliteBackup');
          assert.equal(configuration.get('before.debug'), 'onlyIfChanged');
          assert.equal(configuration.get('schedule'), '');
          assert.deepEqual(configuration.get('offsite'), []);
          assert.equal((await run<{ sent: number }>('sendOffsite')).sent, 0);
          assert.equal(existsSync(elsewhere), false);
        },
        Global,
      );
    } finally {
      rmSync(inWorkspace('.vscode/settings.json'), { force: true });
    }
  });

  it('is told in lines: when checkpoints are taken, until when they are paused, and the last one', () => {
    const lines = (schedule: string, pausedUntil?: string, last?: object): string[] =>
      protectionLines({
        settings: {
          protection: () => ({ schedule, beforeDebug: true, beforeCommands: [] }),
        },
        protection: { pausedUntil },
        checkpoints: { last },
      } as unknown as Parameters<typeof protectionLines>[0]);
    const createdAt = new Date().toISOString();
    const last = { createdAt, kept: { cause: { kind: 'task', text: 'migrate' } } };
    assert.deepEqual(lines('every 15m'), ['Checkpoints: every 15m, before debugging']);
    const [paused, newest] = lines('every 15m', new Date(Date.now() + 600_000).toISOString(), last);
    assert.match(paused ?? '', /^Checkpoints are paused until .*\d\d:\d\d\.$/);
    assert.match(newest ?? '', /^Last checkpoint: .*\d\d:\d\d, .*migrate/);
  });

  itInPart('sends a copy after each backup to the place of the user settings', async function () {
    if (!hasProgram('rclone')) this.skip();
    const repository = inWorkspace('mirror');
    for (const one of ['mirror', 'sent-from']) removeLater(one);
    await useBackupsFolder('sent-from');
    const place = { name: 'disk', engine: 'rclone', repository, when: 'afterEach' };
    await withSetting(
      'offsite',
      [place],
      async () => {
        change('data/guarded.db');
        const path = await backUp('data/guarded.db');
        const isProved = (): boolean => readFileSync(`${path}.json`, 'utf8').includes('"provedAt"');
        await until(() => existsSync(repository), 'the copy is sent');
        await until(isProved, 'the copy is proved');
        assert.equal(globSync('mirror/*/*.db', { cwd: inWorkspace('') }).length, 1);
      },
      Global,
    );
    await useBackupsFolder(undefined);
  });

  describe('as a task', () => {
    for (const label of Object.keys(tasks).filter((one) => one.startsWith('no ')))
      itWhere(label === 'no such database')(`fails: ${label}`, async () => {
        // Other tests have chosen a folder and made backups: a file is none, and has none.
        await withSetting('backupsFolder', 'data/program.js', async () => {
          assert.equal(await runTask(label), 1);
        });
      });

    it('holds a launch back when it fails', async () => {
      const debug = vscode.workspace.getConfiguration('debug');
      await debug.update('onTaskErrors', 'abort', Global);
      const launch = (preLaunchTask: string): Thenable<boolean> =>
        vscode.debug.startDebugging(workspaceFolder(), {
          ...{ type: 'node', request: 'launch', name: 'under test', preLaunchTask },
          program: inWorkspace('data/program.js'),
        });
      try {
        assert.equal(await launch('no such database'), false);
        assert.equal(await launch('checkpoint'), true);
      } finally {
        await debug.update('onTaskErrors', undefined, Global);
      }
    });

    itInPart('takes a checkpoint of what its globs match', async () => {
      change('data/guarded.db');
      assert.equal(await runTask('checkpoint'), 0);
      const again = await checkpoint('data/guarded.db');
      assert.equal(again.checkpoints.length, 0);
    });

    it('is offered for the databases that are found', async () => {
      const found = await vscode.tasks.fetchTasks({ type: 'sqliteBackup' });
      const provided = found.map(({ definition }) => String(definition['action']));
      assert.ok(provided.includes('checkpoint') && provided.includes('backUp'));
    });

    itInPart('puts a baseline back', async () => {
      change('data/guarded.db');
      const before = countOf('data/guarded.db');
      const [taken] = (await checkpoint('data/guarded.db')).checkpoints;
      assert.ok(taken);
      const copy = copyStampOf(taken.path);
      label(taken, () => ({ pinned: true, baseline: { name: 'seeded', copy } }));
      change('data/guarded.db', 'DELETE FROM t');
      assert.equal(await runTask('put back'), 0);
      assert.equal(countOf('data/guarded.db'), before);
    });

    it('backs up, bundles and verifies', async () => {
      removeLater('task-backups');
      await withSetting('backupsFolder', 'task-backups', async () => {
        for (const label of ['back up', 'verify', 'bundle'])
          assert.equal(await runTask(label), 0, label);
      });
      const names = readdirSync(inWorkspace('task-backups'));
      assert.ok(names.some((name) => name.endsWith('.zip')));
    });
  });

  describe('before a debug session', () => {
    const debug = (): Thenable<boolean> =>
      vscode.debug.startDebugging(workspaceFolder(), {
        type: 'node',
        request: 'launch',
        name: 'under test',
        program: inWorkspace('data/program.js'),
      });

    it('takes a checkpoint, but not when it is off or paused', async () => {
      change('data/guarded.db');
      const [first] = (await checkpoint('data/guarded.db')).checkpoints;
      assert.ok(first);
      change('data/guarded.db');
      await debug();
      await withSetting(
        'before.debug',
        'onlyIfChanged',
        async () => {
          await run('pauseProtection', 10);
          await debug();
          await run('resumeProtection');
          await debug();
        },
        Global,
      );
      const [newest] = (await checkpoint('data/guarded.db')).unchanged;
      assert.ok(newest, 'the debug session has taken one');
      const taken = readdirSync(dirname(first.path)).map((name) => join(dirname(first.path), name));
      const causes = taken
        .filter((path) => existsSync(`${path}.json`))
        .map((path) => manifestOf(path) as { cause?: { kind: string }; livePath?: string });
      const own = causes.filter(
        ({ cause, livePath }) =>
          cause?.kind === 'debug' && livePath === inWorkspace('data/guarded.db'),
      );
      assert.equal(own.length, 1);
    });
  });

  describe('before commands of others', () => {
    const causes = (): { kind: string; text?: string; moment?: string }[] => {
      const data = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share');
      const folder = join(data, 'sqlite-backup', 'checkpoints');
      return readdirSync(folder)
        .filter((name) => name.endsWith('.json'))
        .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Kept)
        .flatMap(({ cause, livePath }) =>
          livePath === inWorkspace('data/guarded.db') && cause !== undefined ? [cause] : [],
        );
    };
    const taken = (text: string): Promise<void> =>
      until(() => causes().some((one) => one.text === text), `there is one before ${text}`);

    it('takes a checkpoint when a task or a terminal begins one, and says what is not proved', async () => {
      await checkpoint('data/guarded.db');
      change('data/guarded.db');
      const scope = vscode.TaskScope.Workspace;
      const task = (command: string): vscode.Task =>
        new vscode.Task(
          { type: 'shell' },
          scope,
          command,
          'test',
          new vscode.ShellExecution(command),
        );
      await vscode.tasks.executeTask(task('true knex migrate:list'));
      await taken('true knex migrate:list');
      const kinds = causes().filter(({ text }) => text?.includes('knex'));
      // It was written just now: nothing proves that this was not the task.
      assert.deepEqual(kinds, [
        { kind: 'task', text: 'true knex migrate:list', moment: 'may-include' },
      ]);
      change('data/guarded.db');
      const terminal = vscode.window.createTerminal({ name: 'test', shellPath: '/bin/bash' });
      try {
        let shell: vscode.TerminalShellIntegration | undefined;
        await until(() => (shell = terminal.shellIntegration) !== undefined, 'the shell is ready');
        shell?.executeCommand('echo alembic upgrade head');
        await taken('echo alembic upgrade head');
      } finally {
        terminal.dispose();
      }
    });
  });

  it('takes a checkpoint by its schedule', async () => {
    change('data/guarded.db');
    await withSetting(
      'schedule',
      'every 3h',
      async () => {
        let taken: Result | undefined;
        await until(async () => {
          taken = await checkpoint('data/guarded.db');
          return taken.unchanged.length === 1;
        }, 'nothing is left to take');
        assert.ok(taken);
      },
      Global,
    );
  });

  it('deletes every copy of a database after a question, and those of databases that are gone', async () => {
    makeDatabase('data/short.db');
    const { checkpoints } = await checkpoint('data/short.db');
    const path = checkpoints[0]?.path ?? '';
    assert.ok(manifestOf(path));
    const missing = inWorkspace('data/short.db');
    rmSync(missing);
    await run('refresh');
    const { removed } = await run<{ removed: string[] }>('deleteGoneCheckpoints', [missing]);
    assert.deepEqual([removed, existsSync(path)], [[path], false]);
  });
});
