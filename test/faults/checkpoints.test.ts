import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { storedIn } from '../../src/core/checkpoint/store.ts';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import { bytesOf, createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import {
  cliEntry,
  endAfterEach,
  endProcessesAfterEach,
  fixture,
  isLinuxRoot,
  needProgram,
  run,
  runCli,
  type Ended,
} from '../support/processes.ts';
import {
  disturb,
  inLanes,
  itWhere,
  operationsOn,
  sampleOf,
  traced,
} from '../support/operations.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';

describe('a checkpoint before a command', function () {
  this.timeout(120_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  const env = (): Record<string, string> => ({
    SQLITE_BACKUP_CHECKPOINTS: folder('cp'),
    XDG_DATA_HOME: folder('data'),
  });
  const cli = (args: string[], cwd = folder('work')): Promise<Ended> =>
    runCli(args, { cwd, env: env() });

  describe('that git, or a removal, takes the database with', () => {
    const git = (...args: string[]): void => {
      const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.com'];
      execFileSync('git', [...identity, ...args], { cwd: folder('work'), stdio: 'pipe' });
    };
    const repository = (database: string): void => {
      mkdirSync(folder('work'));
      git('init', '-q', '-b', 'main');
      writeFileSync(folder('work/.gitignore'), 'ignored.db\n');
      createDatabase(folder('work', database), { rows: 100 });
      git('add', '.');
      git('commit', '-qm', 'first');
    };
    const change = (database: string, sql: string): void =>
      withDatabase(folder('work', database), (db) => {
        db.exec(sql);
      });
    /** The state right before the accident has 50 rows, which no commit has. */
    const worked = (database: string): void => change(database, 'DELETE FROM items WHERE id > 50');

    const accidents: [name: string, database: string, make: () => void, command: string[]][] = [
      [
        'git clean -ffdX',
        'ignored.db',
        () => {
          repository('ignored.db');
          worked('ignored.db');
        },
        ['git', 'clean', '-ffdXq'],
      ],
      [
        'rm -rf of the workspace',
        'app.db',
        () => {
          repository('app.db');
          worked('app.db');
        },
        ['rm', '-rf', '.git', '.gitignore', 'app.db', '../work'],
      ],
      [
        'the removal of a worktree',
        'tree/app.db',
        () => {
          repository('app.db');
          git('worktree', 'add', '-q', 'tree');
          worked('tree/app.db');
        },
        ['git', 'worktree', 'remove', '--force', 'tree'],
      ],
      [
        'a switch of the branch',
        'app.db',
        () => {
          repository('app.db');
          worked('app.db');
        },
        ['git', 'switch', '-qfc', 'other', 'main'],
      ],
      [
        'a rebase',
        'app.db',
        () => {
          repository('app.db');
          git('switch', '-qc', 'topic');
          worked('app.db');
          git('commit', '-qam', 'on the topic');
          git('switch', '-q', 'main');
          change('app.db', "UPDATE items SET name = 'z'");
          git('commit', '-qam', 'on main');
          git('switch', '-q', 'topic');
        },
        ['git', '-c', 'user.name=t', '-c', 'user.email=t@e.x', 'rebase', '-X', 'ours', 'main'],
      ],
      [
        'a stash',
        'app.db',
        () => {
          repository('app.db');
          worked('app.db');
        },
        ['git', '-c', 'user.name=t', '-c', 'user.email=t@example.com', 'stash', '-q'],
      ],
    ];

    for (const [name, database, make, command] of accidents) {
      itWhere(name.startsWith('git clean') || name.startsWith('rm'))(
        `brings the state before ${name} back`,
        async () => {
          make();
          const ended = await cli(['run', '--db', database, '--', ...command]);
          const [, id = ''] = /checkpoint \S+ ([0-9a-f]{12})/.exec(ended.stderr) ?? [];
          assert.notEqual(id, '', ended.stderr);
          const path = folder('work', database);
          const rows = existsSync(path) ? valueOf(path, count) : undefined;
          assert.notEqual(rows, 50, 'the accident has happened');
          mkdirSync(folder('work', database, '..'), { recursive: true });
          const restored = await cli(['restore', id, path, '--yes'], folder());
          assert.equal(restored.code, 0, restored.stderr);
          assert.equal(valueOf(path, count), 50);
        },
      );
    }
  });

  it('that is killed at any operation on its folder leaves only good ones, and the next one is taken', async function () {
    if (process.platform !== 'linux') this.skip(); // strace exists there only.
    this.timeout(30 * 60_000);
    needProgram('strace', 'strace');
    const database = createDatabase(folder('app.db'), { rows: 20 });
    const before = bytesOf(database);
    const at = (lane: number): string => folder(`cp${lane}`);
    const job = (lane: number, force: boolean, ...strace: string[]): Promise<Ended> => {
      const request = {
        databases: [{ database, recordAs: { path: 'app.db' } }],
        ...{ checkpoints: at(lane), cause: { kind: 'manual' }, trigger: 'cli', force },
        ...{ busyTimeoutMs: 1000, largestBytes: 1e9, largestTotalBytes: 0, toolVersion: '0' },
      };
      return run(
        [...strace, process.execPath, fixture('checkpointJob.ts'), JSON.stringify(request)],
        { env: env() },
      );
    };
    const prepare = async (lane: number): Promise<void> => {
      rmSync(at(lane), { recursive: true, force: true });
      for (let n = 0; n < 2; n++) assert.equal((await job(lane, true)).code, 0);
    };
    await prepare(0);
    const { code, stdout } = await job(0, true, ...traced(folder('trace')));
    assert.equal(code, 0, stdout);
    const wrong: string[] = [];
    await inLanes(2, sampleOf(operationsOn(at(0), folder('trace')), 8), async (one, lane) => {
      await prepare(lane);
      await job(lane, true, ...traced(folder(`trace${lane}`), ...disturb(one, 'signal=KILL')));
      const next = await job(lane, true);
      const names = readdirSync(at(lane)).filter((name) => !name.endsWith('.json'));
      const found = names.flatMap((name) => {
        if (name.startsWith('.tmp-')) return [`${name} is left`];
        const { status } = verifySnapshot(join(at(lane), name), () => undefined);
        // A copy whose manifest was not published is no checkpoint, and is whole.
        return status === 'ok' || status === 'partial' ? [] : [`${name} is ${status}`];
      });
      if (next.code !== 0) found.push(`the next one failed: ${next.stdout}`);
      if (storedIn(at(lane)).length === 0) found.push('none is left');
      wrong.push(...found.map((text) => `${text} <- ${one.line.slice(0, 120)}`));
    });
    assert.deepEqual(wrong, []);
    assert.deepEqual(bytesOf(database), before);
  });

  it('is not had on a full disk: without a terminal nothing runs, and nothing is left', async function () {
    if (!isLinuxRoot) this.skip();
    mkdirSync(folder('work'));
    createDatabase(folder('work/app.db'), { rows: 100_000 });
    mkdirSync(folder('cp'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder('cp')]);
    try {
      const { code, stderr } = await cli(['run', '--', 'touch', 'ran']);
      assert.deepEqual([code, existsSync(folder('work/ran'))], [75, false], stderr);
      assert.match(stderr, /space/);
      assert.deepEqual(readdirSync(folder('cp')), []);
      assert.equal((await cli(['run', '--unprotected', '--', 'touch', 'ran'])).code, 0);
    } finally {
      execFileSync('umount', [folder('cp')]);
    }
  });

  for (const [answer, code, isRun] of [
    ['y', 7, true],
    ['n', 75, false],
    ['', 75, false],
  ] as const) {
    it(`that cannot be had asks at the terminal, and obeys: ${answer || 'Enter'}`, async function () {
      if (process.platform !== 'linux') this.skip();
      mkdirSync(folder('work'));
      createDatabase(folder('work/app.db'));
      writeFileSync(folder('cp'), 'a file, where the folder should be');
      // The input of the command is something else than the terminal.
      const script = '"$NODE" "$CLI" run -- sh -c "cat > ran; exit 7" < input; exit $?';
      writeFileSync(folder('work/input'), 'for the command');
      const child = spawn('script', ['-qfec', script, '/dev/null'], {
        cwd: folder('work'),
        env: { ...process.env, ...env(), NODE: process.execPath, CLI: cliEntry, SHELL: '/bin/sh' },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      endAfterEach(child);
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        if (text.includes('[y/N]')) child.stdin.write(`${answer}\r`);
      });
      assert.deepEqual(await once(child, 'exit'), [code, null]);
      assert.equal(existsSync(folder('work/ran')), isRun);
    });
  }
});
