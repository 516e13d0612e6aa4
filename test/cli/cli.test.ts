import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { bytesOf, createDatabase, overwrite, sha256, writeBytes } from '../support/databases.ts';
import {
  asNobody,
  cliEntry,
  endProcessesAfterEach,
  holdOpen,
  isLinuxRoot,
  root,
  run,
  runCli,
  type Ended,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart, itWhere } from '../support/operations.ts';

interface BackUpResult {
  backups: Record<string, unknown>[];
  failures: { database: string; code: string; message: string; hint: string }[];
}

/** The one JSON document on stdout; what is not one fails the test. */
function json<T>({ stdout }: Ended): T {
  return JSON.parse(stdout) as T;
}

describe('the command line', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const backups = (): string[] | undefined =>
    existsSync(folder('b')) ? readdirSync(folder('b')) : undefined;
  const backUp = (...args: string[]): Promise<Ended> =>
    runCli(['back-up', ...args, '--to', folder('b'), '--busy-timeout', '0.1', '--json']);

  describe('used wrongly', () => {
    const wrong: [args: string[], message: RegExp][] = [
      [[], /Say what to do/],
      [['restore-everything'], /no verb "restore-everything"/],
      [['constructor'], /no verb "constructor"/],
      [['__proto__'], /no verb/],
      [['find'], /one folder/],
      [['find', 'a', 'b'], /one folder/],
      [['back-up', '--to', 'b'], /at least one database/],
      [['back-up', 'app.db'], /--to DIR/],
      [['back-up', 'app.db', '--to', ''], /--to DIR/],
      [['back-up', 'app.db', '--to', 'b', '--deadline', '0'], /positive/],
      [['back-up', 'app.db', '--to', 'b', '--deadline', 'soon'], /positive/],
      [['back-up', 'app.db', '--to', 'b', '--busy-timeout', '-1'], /busy-timeout/],
      [['back-up', 'app.db', '--to', 'b', '--fast'], /--fast/],
      [['list', 'b'], /--to DIR/],
      [['list'], /--to DIR/],
      [['verify'], /at least one backup/],
      [['verify', '--to', 'b', 'x'], /--to/],
    ];
    for (const [index, [args, message]] of wrong.entries()) {
      itWhere(index % 3 === 0)(
        `says how, with 2 and nothing on stdout: ${args.join(' ') || 'no verb'}`,
        async () => {
          const ended = await runCli(args, { cwd: folder(), env: { BACKUPS_DIR: '' } });
          assert.deepEqual([ended.code, ended.stdout], [2, '']);
          assert.match(ended.stderr, message);
          assert.match(ended.stderr, /Usage: sqlite-backup/);
          assert.deepEqual(readdirSync(folder()), []);
        },
      );
    }
  });

  it('names the verb that is closest to an unknown one, and where the verbs are listed', async () => {
    for (const [typed, meant] of [
      ['bakup', 'back-up'],
      ['verfy', 'verify'],
      ['check', 'checkpoint'],
      ['Restore', 'restore'],
      ['xyz', undefined],
    ] as const) {
      const { stderr } = await runCli([typed]);
      const [first = '', second = '', ...more] = stderr.trimEnd().split('\n');
      const hint = meant === undefined ? '' : ` Did you mean "${meant}"?`;
      assert.equal(first, `There is no verb "${typed}".${hint}`);
      assert.match(second, /sqlite-backup help/);
      assert.deepEqual(more, []);
    }
  });

  for (const verb of ['find', 'back-up', 'list', 'verify']) {
    itWhere(verb === 'back-up')(`explains ${verb} with --help`, async () => {
      const { code, stdout, stderr } = await runCli([verb, '--help']);
      assert.deepEqual([code, stderr], [0, '']);
      assert.ok(stdout.startsWith(`Usage: sqlite-backup ${verb} `), stdout);
    });
  }

  it('explains all verbs with --help, and tells its version', async () => {
    const { code, stdout } = await runCli(['--help']);
    assert.equal(code, 0);
    for (const verb of ['find', 'back-up', 'list', 'verify'])
      assert.ok(stdout.includes(`  ${verb} `));
    assert.match((await runCli(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  describe('back-up', () => {
    const bad: [what: string, code: string, make: (path: string) => unknown][] = [
      ['a missing file', 'source-missing', () => undefined],
      ['a folder', 'not-a-database', (path) => mkdirSync(path)],
      ['a FIFO', 'not-a-database', (path) => spawnSync('mkfifo', [path])],
      ['an empty file', 'not-a-database', (path) => writeBytes(path, '')],
      ['text named .db', 'not-a-database', (path) => writeBytes(path, 'text\n'.repeat(1000))],
      [
        'an encrypted file',
        'encrypted-or-not-sqlite',
        (path) => writeBytes(path, randomBytes(8192)),
      ],
      [
        'a database locked by another process',
        'source-busy',
        (path) => holdOpen(createDatabase(path), 'BEGIN EXCLUSIVE'),
      ],
      ['a link that leads to itself', 'source-missing', (path) => symlinkSync(path, path)],
    ];
    it('of what is no database, or not free, says of each why, ends with 1 and creates nothing', async () => {
      const paths = bad.map((_one, index) => folder(`${index}.db`));
      for (const [index, path] of paths.entries()) await bad[index]?.[2](path);
      const state = (): unknown[] => [
        readdirSync(folder()),
        ...paths.map((path) => existsSync(path) && statSync(path).isFile() && bytesOf(path)),
      ];
      const before = state();
      const ended = await backUp(...paths);
      assert.deepEqual([ended.code, ended.stderr], [1, '']);
      const { backups: made, failures } = json<BackUpResult>(ended);
      assert.deepEqual(made, []);
      const keys = ['code', 'database', 'hint', 'message'];
      for (const [index, [what, code]] of bad.entries()) {
        const path = paths[index] ?? '';
        const failure = failures.find(({ database }) => database === path);
        assert.deepEqual([failure?.code, Object.keys(failure ?? {}).sort()], [code, keys], what);
        assert.ok(failure?.message.includes(path) && failure.hint.length > 0, what);
      }
      assert.equal(failures.length, bad.length);
      assert.deepEqual(state(), before);
    });

    it('of a file that is cut off is corrupt, ends with 1 and keeps it as a suspect', async () => {
      const path = folder('app.db');
      truncateSync(createDatabase(path), 8192);
      const ended = await backUp(path);
      assert.deepEqual([ended.code, ended.stderr], [1, '']);
      const { backups: made, failures } = json<BackUpResult>(ended);
      assert.deepEqual([made, failures.map(({ code }) => code)], [[], ['corrupt']]);
      assert.match(failures[0]?.message ?? '', /kept as app_.*\.suspect/);
    });

    const nobody: [what: string, make: (path: string) => void][] = [
      ['a file that may not be read', (path) => chmodSync(createDatabase(path), 0o600)],
      [
        'a file in a folder that may not be entered',
        (path) => (createDatabase(path), chmodSync(folder('private'), 0o700)),
      ],
    ];
    for (const [what, make] of nobody) {
      it(`of ${what} is access, ends with 1 and creates nothing`, async function () {
        if (!isLinuxRoot) this.skip(); // Only root can become somebody who may not.
        chmodSync(folder(), 0o777);
        mkdirSync(folder('private'));
        make(folder('private/app.db'));
        const args = ['back-up', folder('private/app.db'), '--to', folder('b'), '--json'];
        const ended = await run([...asNobody, process.execPath, cliEntry, ...args]);
        assert.equal(ended.code, 1, ended.stderr);
        assert.deepEqual(
          json<BackUpResult>(ended).failures.map(({ code }) => code),
          ['access'],
        );
        assert.equal(backups(), undefined);
      });
    }

    it('of a name that is too long is an error in words, and of the others goes on', async () => {
      const good = createDatabase(folder('app.db'));
      const ended = await backUp(folder('n'.repeat(300)), good);
      assert.equal(ended.code, 1, ended.stderr);
      const { backups: made, failures } = json<BackUpResult>(ended);
      assert.deepEqual([made.length, failures.map(({ code }) => code)], [1, ['bad-name']]);
    });

    it('of a good one and a bad one makes the good one and ends with 1', async () => {
      const good = createDatabase(folder('app.db'));
      const ended = await backUp(folder('missing.db'), good);
      const { backups: made, failures } = json<BackUpResult>(ended);
      assert.deepEqual([ended.code, made.length, failures.length], [1, 1, 1]);
    });

    it('tells the facts of each backup, and nothing else on stdout', async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
      const ended = await backUp(path);
      assert.deepEqual([ended.code, ended.stderr], [0, '']);
      const { backups: made, failures } = json<BackUpResult>(ended);
      assert.deepEqual(failures, []);
      const [backup] = made;
      const copy = String(backup?.['path']);
      assert.deepEqual(
        {
          ...backup,
          createdAt: typeof backup?.['createdAt'],
          durationMs: typeof backup?.['durationMs'],
        },
        {
          path: copy,
          database: path,
          sizeBytes: statSync(copy).size,
          pages: statSync(copy).size / 4096,
          method: 'exact',
          journalMode: 'wal',
          sha256: sha256(copy),
          createdAt: 'string',
          durationMs: 'number',
          verified: 'ok',
        },
      );
      assert.deepEqual(backups()?.sort(), [basename(copy), `${basename(copy)}.json`]);
      assert.match(String(backup?.['createdAt']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    });

    it('takes the same file under two names once, and relative paths', async () => {
      createDatabase(folder('app.db'));
      symlinkSync('app.db', folder('link.db'));
      const args = ['back-up', 'app.db', './app.db', 'link.db', '--to', 'b', '--json'];
      const ended = await runCli(args, { cwd: folder() });
      assert.equal(json<BackUpResult>(ended).backups.length, 1);
      assert.equal(backups()?.length, 2);
    });

    it('goes to BACKUPS_DIR when it is not told where', async () => {
      createDatabase(folder('app.db'));
      const ended = await runCli(['back-up', 'app.db'], {
        cwd: folder(),
        env: { BACKUPS_DIR: folder('b') },
      });
      assert.deepEqual([ended.code, backups()?.length], [0, 2]);
      assert.match(ended.stdout, /^Backed up .*verified/);
    });

    it('into a file is an error in words, every time', async () => {
      const path = createDatabase(folder('app.db'));
      writeBytes(folder('b'), 'x');
      for (let n = 0; n < 2; n++) {
        const ended = await backUp(path);
        assert.deepEqual(
          [ended.code, json<BackUpResult>(ended).failures[0]?.code],
          [1, 'access'],
          ended.stderr,
        );
      }
    });

    it('through a link makes them where it leads to', async () => {
      mkdirSync(folder('real'));
      symlinkSync('real', folder('b'));
      const { backups: made } = json<BackUpResult>(await backUp(createDatabase(folder('app.db'))));
      assert.equal(
        realpathSync(String(made[0]?.['path'])),
        join(folder('real'), basename(String(made[0]?.['path']))),
      );
    });

    for (const option of ['--deadline', '--busy-timeout']) {
      itWhere(option === '--busy-timeout')(
        `takes any number of seconds for ${option}`,
        async () => {
          const path = createDatabase(folder('app.db'));
          for (const number of ['0.0001', '99999999999']) {
            if (option === '--deadline' && number === '0.0001') continue;
            const ended = await runCli(['back-up', path, '--to', folder('b'), option, number]);
            assert.equal(ended.code, 0, ended.stderr);
          }
        },
      );
    }

    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      itWhere(signal === 'SIGTERM')(
        `interrupted by ${signal} ends with 130 and leaves nothing, nor a lock`,
        async () => {
          const path = createDatabase(folder('app.db'), { rows: 400_000 });
          const before = bytesOf(path);
          const ended = await runCli(['back-up', path, path, '--to', folder('b'), '--json'], {
            onStart: (child) => {
              const poll = setInterval(() => {
                if (!existsSync(folder('b')) || (backups()?.length ?? 0) === 0) return;
                clearInterval(poll);
                child.kill(signal);
              }, 1);
            },
          });
          assert.equal(ended.code, 130, ended.stderr);
          assert.deepEqual(
            json<BackUpResult>(ended).failures.map(({ code }) => code),
            ['cancelled'],
          );
          assert.deepEqual(bytesOf(path), before);
          assert.equal(backups(), undefined);
        },
      );
    }
  });

  describe('find', () => {
    it('lists databases and skipped files, and nothing else on stdout', async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
      writeBytes(folder('notes.db'), 'text');
      const ended = await runCli(['find', folder(), '--json']);
      assert.deepEqual([ended.code, ended.stderr], [0, '']);
      const { databases, skipped } = json<{
        databases: unknown[];
        skipped: Record<string, string>[];
      }>(ended);
      assert.deepEqual(databases, [
        { path, sizeBytes: statSync(path).size, journalMode: 'wal', walBytes: 0 },
      ]);
      assert.deepEqual(
        skipped.map((one) => Object.keys(one)),
        [['path', 'reason']],
      );
      assert.equal(skipped[0]?.['path'], folder('notes.db'));
    });

    it('in a missing folder ends with 1 and says so', async () => {
      const ended = await runCli(['find', folder('missing'), '--json']);
      assert.deepEqual([ended.code, ended.stdout], [1, '']);
      assert.match(ended.stderr, /missing does not exist/);
    });

    it('in a folder that may not be entered ends with 1 and says so', async function () {
      if (!isLinuxRoot) this.skip();
      chmodSync(folder(), 0o755);
      mkdirSync(folder('private/inside'), { recursive: true });
      chmodSync(folder('private'), 0o700);
      const ended = await run([
        ...asNobody,
        process.execPath,
        cliEntry,
        'find',
        folder('private/inside'),
      ]);
      assert.equal(ended.code, 1);
      assert.doesNotMatch(ended.stderr, /internal error|at Object/i);
    });
  });

  describe('list and verify', () => {
    it('list: tells what is in the folder', async () => {
      await backUp(createDatabase(folder('app.db')));
      createDatabase(folder('b/theirs.db'));
      const ended = await runCli(['list', '--to', folder('b'), '--json']);
      assert.deepEqual([ended.code, ended.stderr], [0, '']);
      const entries = json<{ backups: Record<string, unknown>[] }>(ended).backups;
      const keys = ['createdAt', 'database', 'foreign', 'kind', 'path', 'sizeBytes', 'verified'];
      for (const entry of entries) assert.deepEqual(Object.keys(entry).sort(), keys);
      assert.deepEqual(entries.map((entry) => [entry['foreign'], entry['verified']]).sort(), [
        [false, 'ok'],
        [true, 'unchecked'],
      ]);
    });

    it('list: a missing folder ends with 1, and an empty one has none', async () => {
      assert.equal((await runCli(['list', '--to', folder('b'), '--json'])).code, 1);
      mkdirSync(folder('b'));
      assert.deepEqual(json(await runCli(['list', '--to', folder('b'), '--json'])), {
        backups: [],
      });
    });

    it('verify: ends with 0 for what is good, 1 when one is damaged or missing, and tells each', async () => {
      const { backups: made } = json<BackUpResult>(await backUp(createDatabase(folder('app.db'))));
      const path = String(made[0]?.['path']);
      const good = await runCli(['verify', path, '--json']);
      assert.deepEqual(
        [good.code, json(good)],
        [0, { results: [{ path, status: 'ok', findings: [] }] }],
      );
      cpSync(path, folder('c.db'));
      overwrite(folder('c.db'), 4096, Buffer.alloc(4096, 0xa5));
      const mixed = await runCli(['verify', path, folder('c.db'), folder('missing'), '--json']);
      assert.equal(mixed.code, 1);
      const { results } = json<{ results: { status: string }[] }>(mixed);
      assert.deepEqual(
        results.map(({ status }) => status),
        ['ok', 'damaged', 'unchecked'],
      );
    });

    itInPart(
      'verify: a file made to keep the check busy is ended at the deadline, and not called ok',
      async () => {
        createDatabase(folder('app.db'), { rows: 300_000 });
        const ended = await runCli(['verify', folder('app.db'), '--deadline', '0.05', '--json']);
        assert.equal(ended.code, 3);
        assert.deepEqual(
          json<{ results: { status: string }[] }>(ended).results.map(({ status }) => status),
          ['unchecked'],
        );
      },
    );
  });

  it('runs as one bundled file from anywhere', async function () {
    this.timeout(30_000);
    const sources = ['src', 'esbuild.mjs', 'notices.mjs', 'package.json', 'tsconfig.json'];
    for (const name of sources)
      cpSync(join(root, name), folder('project', name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), folder('project/node_modules'));
    assert.equal(
      (await run([process.execPath, 'esbuild.mjs'], { cwd: folder('project') })).code,
      0,
    );
    cpSync(folder('project/dist'), folder('elsewhere'), { recursive: true });
    rmSync(folder('project'), { recursive: true });
    createDatabase(folder('app.db'));
    const ended = await run(
      [process.execPath, folder('elsewhere/cli.js'), 'back-up', '../app.db', '--to', 'b', '--json'],
      {
        cwd: folder('elsewhere'),
      },
    );
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(json<BackUpResult>(ended).backups[0]?.['verified'], 'ok');
  });
});
