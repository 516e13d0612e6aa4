import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import {
  cliEntry,
  endProcessesAfterEach,
  holdOpen,
  run,
  runCli,
  waitUntil,
  type Ended,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

interface Taken {
  checkpoints: { id: string; path: string; database: string; createdAt: string; sha256: string }[];
  unchanged: { database: string; id: string }[];
  failures: { database: string; code: string; message: string; hint: string }[];
}

interface Listed {
  checkpoints: {
    id: string;
    path: string;
    database: string;
    trigger: { kind: string; text: string };
    verified: string;
  }[];
}

const count = 'SELECT count(*) FROM items';

describe('checkpoints on the command line', function () {
  this.timeout(60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';

  beforeEach(() => {
    mkdirSync(folder('work'));
    database = createDatabase(folder('work/app.db'), { rows: 100 });
  });

  const cli = (args: string[], env: Record<string, string> = {}): Promise<Ended> =>
    runCli(args, { cwd: folder('work'), env: { SQLITE_BACKUP_CHECKPOINTS: folder('cp'), ...env } });
  const checkpoint = async (...args: string[]): Promise<Taken> => {
    const { stdout, stderr } = await cli(['checkpoint', ...args, '--json']);
    assert.equal(stderr, '');
    return JSON.parse(stdout) as Taken;
  };
  const list = async (...args: string[]): Promise<Listed['checkpoints']> => {
    const { stdout } = await cli(['list', '--checkpoints', ...args, '--json']);
    return (JSON.parse(stdout) as Listed).checkpoints;
  };
  const change = (sql: string): void =>
    withDatabase(database, (db) => {
      db.exec(sql);
    });

  describe('used wrongly', () => {
    for (const [args, message] of [
      [['checkpoint'], /at least one database/],
      [['run'], /then --, then the command/],
      [['run', '--'], /then --, then the command/],
      [['run', 'app.db', '--', 'true'], /then --, then the command/],
      [['watch'], /--every takes a time/],
      [['watch', '--every', '0m'], /not 0m/],
      [['watch', '--every', '5 * * * *'], /such as 15m/],
    ] as const) {
      it(`says how: ${args.join(' ')}`, async () => {
        const { code, stdout, stderr } = await cli([...args]);
        assert.deepEqual([code, stdout, existsSync(folder('cp'))], [2, '', false]);
        assert.match(stderr, message);
      });
    }

    itInPart('names the database that cannot be had, and takes the others', async () => {
      createDatabase(folder('work/b.db'));
      await holdOpen(database, 'BEGIN EXCLUSIVE');
      writeFileSync(folder('work/text.db'), 'text\n'.repeat(1000));
      const { checkpoints, failures } = await checkpoint('app.db', 'b.db', 'text.db', 'no.db');
      assert.deepEqual(
        checkpoints.map((one) => basename(one.database)),
        ['b.db'],
      );
      assert.deepEqual(failures.map((one) => [basename(one.database), one.code]).sort(), [
        ['app.db', 'source-busy'],
        ['no.db', 'source-missing'],
        ['text.db', 'not-a-database'],
      ]);
    });

    itInPart('tells what is wrong with the beginning of an id', async () => {
      const [one] = (await checkpoint('app.db')).checkpoints;
      const missing = await cli(['compare', 'ffff', 'app.db']);
      const none = (one?.id ?? '').startsWith('ffff');
      assert.ok(none || (missing.code === 1 && /no checkpoint ffff/.test(missing.stderr)));
      // A file of that name wins.
      writeFileSync(folder('work', one?.id.slice(0, 4) ?? ''), 'x'.repeat(5000));
      const asFile = await cli(['verify', one?.id.slice(0, 4) ?? '', '--json']);
      assert.match(asFile.stdout, /work\/[0-9a-f]{4}"/);
    });
  });

  it('is taken when something has changed, and is private', async () => {
    const first = await checkpoint('app.db', '--reason', 'before the import', '--session', 's1');
    const [taken] = first.checkpoints;
    assert.ok(taken);
    assert.match(taken.id, /^[0-9a-f]{12}$/);
    assert.deepEqual([taken.database, first.unchanged, first.failures], [database, [], []]);
    assert.equal(statSync(taken.path).mode & 0o777, 0o400);
    assert.equal(statSync(folder('cp')).mode & 0o777, 0o700);
    // Too young to be sure, so it is looked at, and found to be the same.
    const again = await checkpoint('app.db');
    assert.deepEqual(again, {
      checkpoints: [],
      unchanged: [{ database, id: taken.id }],
      failures: [],
    });
    change("UPDATE items SET name = 'x' WHERE id = 1");
    const second = await checkpoint('app.db');
    assert.deepEqual([second.checkpoints.length, second.unchanged], [1, []]);
    assert.equal((await checkpoint('app.db', '--force')).checkpoints.length, 1);
    const listed = await list();
    assert.equal(listed.length, 3);
    assert.deepEqual(listed.at(-1)?.trigger, { kind: 'manual', text: 'before the import' });
    assert.equal(listed.at(-1)?.verified, 'unchecked');
  });

  itInPart(
    'is not taken while the stamp of a database that a program has open stays the same',
    async () => {
      createDatabase(folder('work/wal.db'), { journalMode: 'wal' });
      await holdOpen(folder('work/wal.db'), "UPDATE items SET name = 'y' WHERE id = 1");
      assert.equal((await checkpoint('wal.db')).checkpoints.length, 1);
      const before = readdirSync(folder('cp')).length;
      // Another reader changes nothing.
      await holdOpen(folder('work/wal.db'), 'SELECT count(*) FROM items');
      assert.equal((await checkpoint('wal.db')).unchanged.length, 1);
      assert.equal(readdirSync(folder('cp')).length, before);
    },
  );

  itInPart(
    'is taken when the newest one is not what it was, or is of a database of the same content',
    async () => {
      const [first] = (await checkpoint('app.db')).checkpoints;
      assert.ok(first);
      assert.equal(statSync(folder('cp')).mode & 0o777, 0o700);
      chmodSync(first.path, 0o600);
      truncateSync(first.path, 0);
      const [second] = (await checkpoint('app.db')).checkpoints;
      assert.ok(second);
      assert.equal((await cli(['restore', second.id, 'app.db', '--yes'])).code, 0);
      // Of another database, as long as the two cannot be told apart by an identity.
      mkdirSync(folder('copy'));
      copyFileSync(database, folder('copy/app.db'));
      writeFileSync(folder('no-data'), '');
      const elsewhere = await cli(['checkpoint', folder('copy/app.db'), '--json'], {
        XDG_DATA_HOME: folder('no-data'),
      });
      assert.deepEqual((JSON.parse(elsewhere.stdout) as Taken).unchanged, []);
    },
  );

  it('is compared with the newest that is not dated in the future', async () => {
    const [first] = (await checkpoint('app.db')).checkpoints;
    assert.ok(first);
    const manifest = readFileSync(`${first.path}.json`, 'utf8');
    const ahead = new Date(Date.now() + 9e7).toISOString();
    writeFileSync(`${first.path}.json`, manifest.replaceAll(first.createdAt, ahead));
    change('DELETE FROM items WHERE id = 1');
    const [second] = (await checkpoint('app.db')).checkpoints;
    assert.deepEqual((await checkpoint('app.db')).unchanged, [{ database, id: second?.id }]);
  });

  it('is verified, compared and restored by the beginning of its id', async () => {
    const [taken] = (await checkpoint('app.db')).checkpoints;
    const id = taken?.id.slice(0, 6) ?? '';
    change('DELETE FROM items WHERE id > 10');
    const compared = await cli(['compare', id, 'app.db', '--json']);
    assert.match(compared.stdout, /"onlyLeft":90/);
    assert.equal((await cli(['verify', id])).code, 0);
    assert.equal((await list('--database', 'app.db'))[0]?.verified, 'ok');
    const restored = await cli(['restore', id, 'app.db', '--yes', '--json']);
    assert.equal(restored.code, 0, restored.stderr);
    assert.equal(valueOf(database, count), 100);
    assert.equal((await cli(['runbook', id, 'app.db'])).code, 0);
  });

  itInPart('lists those of one database, also of one of the same name elsewhere', async () => {
    mkdirSync(folder('work/other'));
    createDatabase(folder('work/other/app.db'));
    await checkpoint('app.db', 'other/app.db');
    assert.equal((await list()).length, 2);
    const ofOther = await list('--database', 'other/app.db');
    assert.deepEqual(
      ofOther.map((one) => one.database),
      [folder('work/other/app.db')],
    );
    const elsewhere = await cli(['list', '--checkpoints', folder('none'), '--json']);
    assert.deepEqual(JSON.parse(elsewhere.stdout), { checkpoints: [] });
  });

  it('outlives git clean and the removal of the workspace', async () => {
    execFileSync('git', ['init', '-q'], { cwd: folder('work') });
    writeFileSync(folder('work/.gitignore'), '*.db\n');
    const [taken] = (await checkpoint('app.db')).checkpoints;
    execFileSync('git', ['clean', '-ffdXq'], { cwd: folder('work') });
    assert.equal(existsSync(database), false);
    assert.equal((await cli(['restore', taken?.id ?? '', 'app.db', '--yes'])).code, 0);
    assert.equal(valueOf(database, count), 100);
    rmSync(folder('work'), { recursive: true });
    mkdirSync(folder('work'));
    assert.equal((await cli(['restore', taken?.id ?? '', 'app.db', '--yes'])).code, 0);
    assert.equal(valueOf(database, count), 100);
  });

  describe('before a command', () => {
    const node = (code: string): string[] => ['--', process.execPath, '-e', code];

    it('leaves its output, its input and its exit code alone, and says one line', async () => {
      const ended = await cli([
        'run',
        ...node('console.log("out"); console.error("err"); process.exit(7)'),
      ]);
      assert.deepEqual([ended.code, ended.stdout], [7, 'out\n']);
      const lines = ended.stderr.trim().split('\n');
      assert.match(lines[0] ?? '', /^sqlite-backup: checkpoint app\.db [0-9a-f]{12}$/);
      assert.equal(lines[1], 'err');
      assert.match(
        lines[2] ?? '',
        /^sqlite-backup: state before: sqlite-backup restore [0-9a-f]{12} app\.db --yes --checkpoints '.*cp'$/,
      );
      assert.equal((await list())[0]?.trigger.kind, 'run');
    });

    itInPart('says nothing more when all went well, and what is gone when rows are', async () => {
      const good = await cli(['run', ...node('0')]);
      assert.deepEqual([good.code, good.stderr.trim().split('\n').length], [0, 1]);
      const sql = `require(${JSON.stringify(join(import.meta.dirname, '../../node_modules/better-sqlite3'))})('app.db').exec('DELETE FROM items')`;
      const lost = await cli(['run', '--db', 'app.db', ...node(sql)]);
      assert.equal(lost.code, 0);
      assert.match(lost.stderr, /app\.db: items had 100 rows .*, now 0\n/);
      const [, command = ''] =
        /state before: sqlite-backup (restore .*) --checkpoints/.exec(lost.stderr) ?? [];
      assert.equal((await cli(command.split(' '))).code, 0);
      assert.equal(valueOf(database, count), 100);
      const removed = await cli(['run', ...node("require('fs').unlinkSync('app.db')")]);
      assert.match(removed.stderr, /app\.db: the file is gone\n.*state before/);
    });

    it('ends as the command did, though its words are read no more', async function () {
      if (process.platform === 'win32') this.skip();
      const script =
        '"$NODE" "$CLI" run -- sh -c "exit 7" 2>&1 >&- | true; echo "${PIPESTATUS[0]}"';
      const { stdout, stderr } = await run(['bash', '-c', script], {
        cwd: folder('work'),
        env: { NODE: process.execPath, CLI: cliEntry, SQLITE_BACKUP_CHECKPOINTS: folder('cp') },
      });
      assert.deepEqual([stdout, stderr], ['7\n', '']);
    });

    itInPart('prints a command that a shell takes as it is, whatever the name', async function () {
      if (process.platform === 'win32') this.skip();
      rmSync(database);
      const names = [
        '-x.db',
        "it's $(touch MARK) `touch MARK`.db",
        'two\nlines\\n.db',
        'é \u001b[2J.db',
      ];
      for (const name of names) createDatabase(folder('work', name), { rows: 3 });
      const ended = await runCli(
        ['run', '--checkpoints', folder('other'), ...node('process.exit(1)')],
        {
          cwd: folder('work'),
        },
      );
      assert.equal(ended.code, 1);
      assert.equal(ended.stderr.includes('\u001b'), false);
      const lines = ended.stderr.trim().split('\n');
      assert.equal(lines.length, 1 + names.length);
      const script = lines.slice(1).map((line) => line.replace(/.*state before: /, ''));
      for (const name of names) rmSync(folder('work', name));
      const shell = `sqlite-backup() { "$NODE" "$CLI" "$@"; }; ${script.join('; ')}`;
      const pasted = await run(['bash', '-c', shell], {
        cwd: folder('work'),
        env: { NODE: process.execPath, CLI: cliEntry },
      });
      assert.equal(pasted.code, 0, pasted.stderr);
      const restored = readdirSync(folder('work')).filter((name) => name.endsWith('.db'));
      assert.deepEqual(restored.sort(), names.toSorted());
      assert.equal(existsSync(folder('work/MARK')), false);
    });

    itInPart('does not run it without one, but when that is asked for', async () => {
      const mark = `require('fs').writeFileSync('ran', '')`;
      writeFileSync(folder('cp'), 'a file, where the folder should be');
      const refused = await cli(['run', ...node(mark)]);
      assert.deepEqual([refused.code, existsSync(folder('work/ran'))], [75, false]);
      assert.match(refused.stderr, /was not run, because there is no checkpoint/);
      const unprotected = await cli(['run', '--unprotected', ...node(mark)]);
      assert.deepEqual([unprotected.code, existsSync(folder('work/ran'))], [0, true]);
    });

    itInPart(
      'runs it where there is no database, and tells of a program that is not there',
      async () => {
        rmSync(database);
        const none = await cli(['run', ...node('process.exit(3)')]);
        assert.equal(none.code, 3);
        assert.match(none.stderr, /no database below this folder/);
        assert.equal((await cli(['run', '--', 'no-such-program-here'])).code, 127);
        assert.equal((await cli(['run', '--', folder('work')])).code, 126);
      },
    );

    itInPart('passes a signal on, and ends as the command did', async function () {
      if (process.platform === 'win32') this.skip();
      const wait = "require('fs').writeFileSync('ready', ''); setTimeout(() => {}, 60000)";
      const ended = run([process.execPath, cliEntry, 'run', ...node(wait)], {
        cwd: folder('work'),
        env: { SQLITE_BACKUP_CHECKPOINTS: folder('cp') },
        onStart: (child) =>
          void waitUntil(() => existsSync(folder('work/ready')), 'it runs', 30_000).then(() =>
            child.kill('SIGTERM'),
          ),
      });
      assert.equal((await ended).code, 128 + 15);
    });
  });

  it('are taken again and again by watch, of what has changed', async function () {
    if (process.platform === 'win32') this.skip();
    const files = (): number =>
      existsSync(folder('cp'))
        ? readdirSync(folder('cp')).filter((name) => name.endsWith('.json')).length
        : 0;
    symlinkSync(database, folder('work/link.db'));
    const ended = run([process.execPath, cliEntry, 'watch', '--every', '1s'], {
      cwd: folder('work'),
      env: { SQLITE_BACKUP_CHECKPOINTS: folder('cp') },
      onStart: (child) => {
        void waitUntil(() => files() === 1, 'the first is there', 30_000)
          .then(() => {
            change('DELETE FROM items WHERE id = 1');
            return waitUntil(() => files() === 2, 'the second is there', 30_000);
          })
          .finally(() => child.kill('SIGINT'));
      },
    });
    const { stdout } = await ended;
    // The second may be interrupted before it is told.
    assert.match(stdout, /^[0-9a-f]{12} {2}checkpoint of .*app\.db\n/);
    assert.equal(files(), 2);
  });
});
