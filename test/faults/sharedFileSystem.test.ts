import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { compareDatabases, schemaOf } from '../../src/core/compare/compare.ts';
import { isBackupError } from '../../src/core/errors.ts';
import { sharedFileSystem } from '../../src/core/files/fileSystem.ts';
import { findHolders } from '../../src/core/holders/holders.ts';
import { planRestore } from '../../src/core/restore/plan.ts';
import { holdWriteLock, probeLock } from '../../src/core/sqlite/locks.ts';
import {
  bytesOf,
  createDatabase,
  generationsIn,
  generationsSql,
  itemsSql,
  manifestOf,
  siblingsBeside,
  snapshot,
  snapshots,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { useMounts } from '../support/mounts.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  isLinuxRoot,
  kill,
  needProgram,
  start,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** bindfs shows a folder under a second path without forwarding locks, as sshfs, virtiofs or 9p show that of a host. */
describe('a database on a shared file system', function () {
  endProcessesAfterEach();
  const mounts = useMounts();
  const folder = useTempFolder();

  before(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
    needProgram('bindfs', 'bindfs');
  });
  beforeEach(() => {
    for (const name of ['host', 'here']) mkdirSync(folder(name));
    execFileSync('bindfs', [folder('host'), folder('here')]);
    mounts.add(folder('here'));
  });

  const make = (journalMode: 'wal' | 'delete', sql = generationsSql): string =>
    createDatabase(folder('host/app.db'), { journalMode, sql });
  const here = (name = 'app.db'): string => folder('here', name);
  const backUp = (database = here()): ReturnType<typeof snapshot> =>
    snapshot(database, { folder: folder('b') });
  const codesOf = (path: string): string[] =>
    (manifestOf(path).warnings ?? []).map(({ code }) => code);
  const isIntact = (path: string): unknown => valueOf(path, 'PRAGMA integrity_check');
  const shmOf = (): string => readFileSync(folder('host/app.db-shm')).toString('base64');

  for (const mode of ['wal', 'delete'] as const) {
    it(`that a program writes to on the other side (${mode}): one state or none, and the program goes on`, async () => {
      const live = make(mode);
      const { child } = await start('writer.ts', live, '1');
      for (let n = 0; n < 3; n++) {
        try {
          const { path } = await backUp();
          assert.match(generationsIn(path), /^\d+$/);
          assert.deepEqual(codesOf(path), ['copied-by-hand']);
        } catch (error) {
          assert.ok(isBackupError(error), String(error));
          assert.equal(error.code, 'source-busy', error.message);
          assert.match(`${error.message} ${error.hint}`, /shared file system.*command line/s);
        }
      }
      assert.equal(child.exitCode ?? child.signalCode, null);
      await kill(child);
      // It may have died within a transaction, which the next program that may write rolls back.
      withDatabase(live, (db) => db.exec('BEGIN IMMEDIATE; ROLLBACK'));
      assert.deepEqual([isIntact(live), /^\d+$/.test(generationsIn(live))], ['ok', true]);
    });
  }

  it('that is open and idle on the other side is backed up with its -wal, and its -shm stays as it is', async () => {
    const live = make('wal', itemsSql(100));
    await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
    const [before, shm] = [bytesOf(live), shmOf()];
    const { path } = await backUp();
    assert.equal(valueOf(path, 'SELECT count(*) FROM items'), 7);
    assert.deepEqual(codesOf(path), ['copied-by-hand']);
    assert.deepEqual([bytesOf(live), shmOf()], [before, shm]);
  });

  for (const mode of ['wal', 'delete'] as const) {
    it(`that is held exclusively on the other side (${mode}) is a committed state`, async () => {
      const live = make(mode, itemsSql(100));
      await holdOpen(
        live,
        'PRAGMA locking_mode = exclusive',
        'DELETE FROM items WHERE id > 7',
        'BEGIN; DELETE FROM items WHERE id > 3',
      );
      const { path } = await backUp();
      assert.equal(valueOf(path, 'SELECT count(*) FROM items'), 7);
    });
  }

  it('in the middle of a transaction that is in the file already is the state before it', async () => {
    const live = make('delete', itemsSql(5000));
    await start('hotJournal.ts', live);
    const before = bytesOf(live);
    const { path } = await backUp();
    assert.equal(valueOf(path, "SELECT count(*) FROM items WHERE name LIKE 'torn%'"), 0);
    assert.deepEqual(bytesOf(live), before);
  });

  it('is neither truncated nor locked by anything that looks at it', async () => {
    const live = make('wal', itemsSql(100));
    createDatabase(folder('host/other.db'), { journalMode: 'wal' });
    await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
    const { path: backup } = await backUp();
    const [before, shm] = [bytesOf(live), shmOf()];
    const untouched = (what: string): void =>
      assert.deepEqual([bytesOf(live), shmOf()], [before, shm], what);
    const { tables } = compareDatabases(backup, here(), () => undefined);
    assert.deepEqual(tables, [
      { name: 'items', onlyLeft: 0, onlyRight: 0, changed: 0, compared: true },
    ]);
    untouched('compare');
    assert.match(schemaOf(here()), /CREATE TABLE items/);
    untouched('schema');
    assert.equal(probeLock(here()), false);
    untouched('probe');
    assert.throws(() => holdWriteLock(here(), 0), { code: 'source-busy' });
    untouched('write lock');
    const plan = await planRestore({ backup, items: [{ target: here() }] }, hooks);
    assert.equal(plan.items[0]?.tables.length, 1);
    untouched('plan');
    const cut = await snapshots([here(), here('other.db')], { folder: folder('b') });
    assert.deepEqual([cut.failures, cut.cut.label], [[], 'per-database']);
    untouched('cut');
    await snapshot(here(), { folder: folder('b'), method: 'compact' });
    untouched('compact');
    assert.deepEqual(siblingsBeside(folder('host/other.db')), []);
  });

  it('that a program on this side has open is opened in place, as ever', async () => {
    make('wal', itemsSql(100));
    const program = await holdOpen(here(), 'DELETE FROM items WHERE id > 7');
    const { path } = await backUp();
    assert.equal(valueOf(path, 'SELECT count(*) FROM items'), 7);
    assert.deepEqual(codesOf(path), []);
    assert.deepEqual(findHolders([here()]), {
      holders: [{ pid: program.pid, name: 'node' }],
      known: 'own-user',
    });
  });

  it('that another program on this side only reads, as a copy does, counts as closed here', async () => {
    const live = make('wal', itemsSql(100));
    await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
    const shm = shmOf();
    await start('reader.ts', here());
    const { path } = await backUp();
    assert.deepEqual(codesOf(path), ['copied-by-hand']);
    assert.equal(shmOf(), shm);
  });

  it('is a disk of this machine where its driver is a program: exFAT', async () => {
    mounts.mountExfat(folder('image'), folder('disk'));
    const live = createDatabase(folder('disk/app.db'));
    assert.ok(
      existsSync(live) && statSync(live).size > 0 && readdirSync(folder('disk')).length > 0,
    );
    assert.equal(sharedFileSystem(live), undefined);
    assert.deepEqual(codesOf((await backUp(live)).path), []);
  });
});

const hooks = {
  onProgress: (): void => undefined,
  beforePublish: (): Promise<void> => Promise.resolve(),
};
