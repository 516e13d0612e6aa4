import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import {
  bytesOf,
  createDatabase,
  itemsSql,
  requestFor,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { isThorough, itInPart } from '../support/operations.ts';
import { useMounts } from '../support/mounts.ts';
import {
  asNobody,
  endProcessesAfterEach,
  fixture,
  holdOpen,
  isLinuxRoot,
  kill,
  needProgram,
  root,
  run,
  runCli,
  start,
  waitUntil,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

interface Outcome {
  code: number | null;
  error: { code?: string; message?: string; hint?: string };
}

describe('on file systems of all kinds', function () {
  endProcessesAfterEach();
  const mounts = useMounts();
  const folder = useTempFolder();

  before(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
  });

  const mount = (name: string, ...options: string[]): string => {
    return mounts.mount(folder(name), ...options);
  };
  const mountTmpfs = (name: string, size: string): string =>
    mount(name, '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs');
  const mountReadOnly = (from: string, name: string): string => {
    mount(name, '--bind', from);
    execFileSync('mount', ['-o', 'remount,bind,ro', folder(name)]);
    return folder(name);
  };

  const job = async (database: string, target: string, prefix: string[] = []): Promise<Outcome> => {
    const request = JSON.stringify(requestFor(database, { folder: target }));
    const { code, stdout } = await run([...prefix, process.execPath, fixture('job.ts'), request]);
    return { code, error: stdout === '' ? {} : (JSON.parse(stdout) as Outcome['error']) };
  };
  const backups = (path: string): string[] =>
    readdirSync(path).filter((name) => name !== 'lost+found' && !name.endsWith('.json'));

  describe('a full target', () => {
    const targets: [what: string, make: () => string][] = [
      ['a tmpfs', () => mountTmpfs('t', '1m')],
      [
        'ext4',
        () => {
          writeFileSync(folder('image'), '');
          truncateSync(folder('image'), 4 * 1024 * 1024);
          execFileSync('mkfs.ext4', ['-q', '-F', folder('image')]);
          return mount('t', '-o', 'loop', folder('image'));
        },
      ],
    ];
    for (const [what, make] of targets) {
      it(`(${what}) is target-full, tells what is needed and free, and leaves nothing`, async () => {
        const target = make();
        const database = createDatabase(folder('app.db'), { rows: 30_000 });
        const { code, error } = await job(database, target);
        assert.deepEqual([code, error.code], [1, 'target-full']);
        assert.match(error.message ?? '', /needed.*free/);
        assert.deepEqual(backups(target), []);
      });
    }

    it('that fills up meanwhile is target-full and leaves nothing', async () => {
      const target = mountTmpfs('t', '40m');
      const database = createDatabase(folder('app.db'), { rows: 100_000 });
      writeFileSync(folder('t/filler'), Buffer.alloc(12 * 1024 * 1024));
      truncateSync(database, statSync(database).size);
      // Room for the database as it is, none for what is in its WAL.
      withDatabase(database, (db) => db.pragma('journal_mode = wal'));
      const owner = await holdOpen(
        database,
        'PRAGMA wal_autocheckpoint = 0',
        itemsSql(60_000).replaceAll('items', 'more'),
      );
      const { code, error } = await job(database, target);
      await kill(owner);
      assert.deepEqual([code, error.code], [1, 'target-full'], JSON.stringify(error));
      assert.deepEqual(backups(target), ['filler']);
    });
  });

  for (const [journalMode, rows] of [
    ['wal', 170_000],
    ['delete', isThorough ? 600_000 : 170_000],
  ] as const)
    it(`a disk without room for one of three databases takes the others (${journalMode})`, async () => {
      const target = mountTmpfs('t', '24m');
      const large = createDatabase(folder('large.db'), { journalMode, rows });
      // It may be cloned, so that the copy is begun.
      assert.ok(statSync(large).size > (isThorough && journalMode === 'delete' ? 128e6 : 32e6));
      const others = ['a.db', 'b.db'].map((name) => createDatabase(folder(name), { rows: 100 }));
      const names = [large, ...others];
      const command = ['checkpoint', ...names, '--checkpoints', target, '--json'];
      const ended = await runCli(command, { env: { XDG_DATA_HOME: folder('data') } });
      const { checkpoints, failures } = JSON.parse(ended.stdout) as {
        checkpoints: { database: string }[];
        failures: { database: string; code: string; message: string }[];
      };
      assert.deepEqual(
        checkpoints.map(({ database }) => database),
        others,
      );
      assert.deepEqual(
        failures.map(({ database, code }) => [database, code]),
        [[large, 'target-full']],
      );
      assert.match(failures[0]?.message ?? '', /large\.db was not copied\. .*needed.*free/);
      assert.equal(backups(target).length, 2);
    });

  it('a limit for the size of files is target-full and leaves nothing', async () => {
    const database = createDatabase(folder('app.db'), { rows: 30_000 });
    mkdirSync(folder('b'));
    const { code, error } = await job(database, folder('b'), [
      'bash',
      '-c',
      'ulimit -f 1000; exec "$@"',
      '--',
    ]);
    assert.deepEqual([code, error.code], [1, 'target-full'], JSON.stringify(error));
    assert.deepEqual(readdirSync(folder('b')), []);
  });

  describe('a target without hard links', () => {
    const mountExfat = (): string => mounts.mountExfat(folder('image'), folder('t'));

    it('gets complete backups, each under a name of its own', async () => {
      const target = mountExfat();
      const database = createDatabase(folder('app.db'), { journalMode: 'wal' });
      for (let n = 0; n < 2; n++) assert.equal((await job(database, target)).code, 0);
      assert.equal(backups(target).length, 2);
      for (const name of backups(target))
        assert.equal(verifySnapshot(join(target, name), () => undefined).status, 'ok');
    });

    it('has no empty backup after a kill at a rename: it is not listed, and goes with the next backup', async () => {
      needProgram('strace', 'strace');
      const target = mountExfat();
      const database = createDatabase(folder('app.db'));
      const empty = (): string[] =>
        readdirSync(target).filter(
          (name) => statSync(join(target, name)).size === 0 && !name.startsWith('.'),
        );
      for (let nth = 1; empty().length === 0 && nth < 20; nth++) {
        const kill = `inject=rename,renameat,renameat2:signal=KILL:when=${nth}`;
        await job(database, target, ['strace', '-f', '-o', '/dev/null', '-e', kill]);
      }
      const left = empty();
      assert.equal(left.length, 1);
      const listed = listBackups(target).map(({ path }) => basename(path));
      assert.deepEqual(
        listed.filter((name) => left.includes(name)),
        [],
      );
      // What is this young may be the claim of another process.
      assert.equal((await job(database, target)).code, 0);
      assert.deepEqual(empty(), left);
      const before = new Date(Date.now() - 120_000);
      utimesSync(join(target, left[0] ?? ''), before, before);
      writeFileSync(join(target, 'notes.txt'), '');
      utimesSync(join(target, 'notes.txt'), before, before);
      assert.equal((await job(database, target)).code, 0);
      assert.deepEqual(empty(), ['notes.txt']);
    });
  });

  for (const [what, mode, owner] of [
    ['of another user', 0o755, 'root'],
    ['that may be written and not listed', 0o300, 'nobody'],
  ] as const) {
    it(`a backups folder ${what} is access, in words, and stays as it is`, async () => {
      chmodSync(folder(), 0o777);
      const database = createDatabase(folder('app.db'));
      chmodSync(database, 0o644);
      mkdirSync(folder('b'));
      execFileSync('chown', [owner === 'root' ? '0' : '65534', folder('b')]);
      chmodSync(folder('b'), mode);
      const { code, error } = await job(database, folder('b'), asNobody);
      assert.deepEqual([code, error.code], [1, 'access'], JSON.stringify(error));
      assert.ok(error.message?.includes(folder('b')) && error.hint);
      assert.deepEqual(readdirSync(folder('b')), []);
    });
  }

  it('a read-only file is backed up by who may only read it', async () => {
    chmodSync(folder(), 0o777);
    const database = createDatabase(folder('app.db'));
    chmodSync(database, 0o444);
    mkdirSync(folder('b'));
    chmodSync(folder('b'), 0o777);
    assert.equal((await job(database, folder('b'), asNobody)).code, 0);
  });

  it('a WAL database of somebody else, who is writing to it, is backed up with its WAL', async () => {
    chmodSync(folder(), 0o755);
    const database = createDatabase(folder('app.db'), { journalMode: 'wal' });
    await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
    mkdirSync(folder('b'));
    chmodSync(folder('b'), 0o777);
    const before = bytesOf(database);
    const { code, error } = await job(database, folder('b'), asNobody);
    assert.equal(code, 0, JSON.stringify(error));
    const [name = ''] = backups(folder('b'));
    assert.equal(valueOf(folder('b', name), 'SELECT count(*) FROM items'), 7);
    assert.deepEqual(bytesOf(database), before);
  });

  describe('a closed WAL database of another user', () => {
    const asOther = ['setpriv', '--reuid=1234', '--regid=1234', '--clear-groups'];
    const rootWithoutChown = ['setpriv', '--bounding-set=-chown', '--inh-caps=-chown'];
    const write = async (database: string): Promise<unknown> =>
      run([...asNobody, process.execPath, '--input-type=module', '-e', writeScript, database], {
        cwd: root,
      });
    const writeScript = `import Database from 'better-sqlite3';
      const db = new Database(process.argv[1]);
      db.exec('PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS t (a); INSERT INTO t VALUES (1)');
      db.close();`;
    const prepare = async (folderMode: number): Promise<string> => {
      chmodSync(folder(), 0o755);
      for (const name of ['s', 'b']) mkdirSync(folder(name));
      chmodSync(folder('b'), 0o777);
      execFileSync('chown', ['nobody', folder('s')]);
      chmodSync(folder('s'), folderMode);
      await write(folder('s/app.db'));
      return folder('s/app.db');
    };

    for (const [what, prefix] of [
      ['an ordinary user', asOther],
      ['root who may not give files away', rootWithoutChown],
    ] as const) {
      for (const mode of [0o755, 0o777, 0o1777]) {
        it(`is backed up by ${what} (folder ${mode.toString(8)}), and nothing new is beside it`, async () => {
          const database = await prepare(mode);
          const { code, error } = await job(database, folder('b'), [...prefix]);
          assert.equal(code, 0, JSON.stringify(error));
          assert.deepEqual(readdirSync(folder('s')), ['app.db']);
        });
      }
    }

    it('is backed up by root, and its owner goes on writing', async () => {
      const database = await prepare(0o755);
      assert.equal((await job(database, folder('b'))).code, 0);
      for (const name of readdirSync(folder('s')))
        assert.equal(statSync(folder('s', name)).uid, 65534, name);
      await write(database);
      assert.equal(valueOf(database, 'SELECT count(*) FROM t'), 2);
    });

    itInPart('whose group writes to it gets no sibling of another group', async () => {
      const database = await prepare(0o777);
      execFileSync('chown', ['1234:nogroup', database]);
      chmodSync(database, 0o664);
      assert.equal((await job(database, folder('b'), asOther)).code, 0);
      assert.deepEqual(readdirSync(folder('s')), ['app.db']);
    });
  });

  it('a WAL database whose disk has no room for a -shm is backed up from a private copy', async () => {
    const source = mountTmpfs('s', '1m');
    const database = createDatabase(folder('s/app.db'), { journalMode: 'wal' });
    try {
      writeFileSync(folder('s/filler'), Buffer.alloc(1024 * 1024));
    } catch {
      // Full, as it should be.
    }
    const before = bytesOf(database);
    const { code, error } = await job(database, folder('b'));
    assert.equal(code, 0, JSON.stringify(error));
    const [name = ''] = backups(folder('b'));
    assert.equal(valueOf(folder('b', name), 'SELECT count(*) FROM items'), 100);
    assert.ok(existsSync(source));
    assert.equal(bytesOf(database)[''], before['']);
  });

  for (const withWal of [true, false]) {
    it(`a WAL database on a read-only medium is backed up ${withWal ? 'with' : 'without'} a WAL`, async () => {
      mkdirSync(folder('s'));
      const live = createDatabase(folder('live.db'), { journalMode: 'wal' });
      if (withWal)
        await kill(
          await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7'),
        );
      copyFileSync(live, folder('s/app.db'));
      if (withWal) copyFileSync(`${live}-wal`, folder('s/app.db-wal'));
      needProgram('mksquashfs', 'squashfs-tools');
      execFileSync('mksquashfs', [folder('s'), folder('image')], { stdio: 'ignore' });
      const medium = mount('medium', '-o', 'loop,ro', folder('image'));
      const { code, error } = await job(`${medium}/app.db`, folder('b'));
      assert.equal(code, 0, JSON.stringify(error));
      const [name = ''] = backups(folder('b'));
      assert.equal(valueOf(folder('b', name), 'SELECT count(*) FROM items'), withWal ? 7 : 100);
    });
  }

  it('a read-only bind mount is no proof that nobody writes: the copy is one instant or there is none', async () => {
    mkdirSync(folder('s'));
    const sql = `CREATE TABLE left (g); INSERT INTO left VALUES (0); CREATE TABLE right (g);
      INSERT INTO right VALUES (0)`;
    const live = createDatabase(folder('s/app.db'), { journalMode: 'wal', sql });
    const update = 'UPDATE left SET g = 1; UPDATE right SET g = 1';
    await kill(await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', update));
    rmSync(`${live}-shm`);
    const view = mountReadOnly(folder('s'), 'view');
    needProgram('strace', 'strace');
    // What matters is the moment between the copies of database and WAL: each opening of the WAL takes 0.7 s.
    const request = JSON.stringify(requestFor(`${view}/app.db`, { folder: folder('b') }));
    const slow = [
      '-P',
      `${view}/app.db-wal`,
      '-e',
      'trace=openat',
      '-e',
      'inject=openat:delay_enter=700000',
    ];
    const running = run([
      'strace',
      '-f',
      '-o',
      '/dev/null',
      ...slow,
      process.execPath,
      fixture('job.ts'),
      request,
    ]);
    const copied = (): boolean =>
      existsSync(folder('b')) &&
      readdirSync(folder('b'), { recursive: true }).some((name) =>
        /copy-[0-9a-f]{8}\.db$/.test(String(name)),
      );
    await waitUntil(copied, 'the database is copied aside');
    await holdOpen(live, 'PRAGMA wal_checkpoint(RESTART)', 'UPDATE left SET g = 2');
    const { code } = await running;
    if (code !== 0) return;
    const [name = ''] = backups(folder('b'));
    const state = valueOf(
      folder('b', name),
      `SELECT (SELECT g FROM left) || (SELECT g FROM right)`,
    );
    assert.ok(
      ['11', '21'].includes(String(state)),
      `11, then 21 was committed, and never ${String(state)}`,
    );
  });

  it('a huge sparse database is refused before anything is written', async () => {
    const target = mountTmpfs('t', '10m');
    const database = createDatabase(folder('app.db'));
    truncateSync(database, 20 * 1024 ** 3);
    const startedAt = performance.now();
    const { code, error } = await job(database, target);
    assert.deepEqual([code, error.code], [1, 'target-full']);
    assert.ok(performance.now() - startedAt < 3000);
    assert.deepEqual(backups(target), []);
  });

  it('a backups folder that nobody may change is access, and stays as it is', async function () {
    const database = createDatabase(folder('app.db'));
    mkdirSync(folder('b'));
    execFileSync('chattr', ['+i', folder('b')]);
    try {
      const { code, error } = await job(database, folder('b'));
      assert.deepEqual([code, error.code], [1, 'access']);
    } finally {
      execFileSync('chattr', ['-i', folder('b')]);
    }
  });

  itInPart(
    'a sweep in another container does not take away what a living job there writes',
    async () => {
      const database = createDatabase(folder('app.db'), { journalMode: 'wal', rows: 300_000 });
      mkdirSync(folder('b'));
      const { child } = await start('parent.ts', database, folder('b'));
      child.kill('SIGSTOP');
      const working = readdirSync(folder('b'));
      assert.equal(working.length, 1);
      const pid = Number(working[0]?.split('-')[4]);
      process.kill(pid, 'SIGSTOP');
      const small = createDatabase(folder('small.db'));
      const { code } = await job(small, folder('b'), [
        'unshare',
        '--pid',
        '--fork',
        '--mount-proc',
      ]);
      assert.equal(code, 0);
      assert.ok(readdirSync(folder('b')).includes(working[0] ?? ''));
      process.kill(pid, 'SIGKILL');
    },
  );
});
