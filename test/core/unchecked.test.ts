import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { planPruning } from '../../src/core/catalog/keeping.ts';
import type { SnapshotHooks } from '../../src/core/job.ts';
import { verdictWords } from '../../src/core/manifest/verdictWords.ts';
import { isDamage, isMissingFeature } from '../../src/core/sqlite/driver.ts';
import { recordVerdict, type Verdict } from '../../src/core/verify/verdict.ts';
import { verifyBackup } from '../../src/core/verify/verifyBackup.ts';
import { bundled, bundleManifestOf, bundleOf } from '../support/bundles.ts';
import {
  createDatabase,
  flipValue,
  manifestOf,
  overwrite,
  snapshot,
  withDatabase,
} from '../support/databases.ts';
import {
  asNobody,
  cliEntry,
  endProcessesAfterEach,
  holdOpen,
  isLinuxRoot,
  kill,
  run,
  runCli,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const exclusively = ['PRAGMA locking_mode = exclusive', 'BEGIN EXCLUSIVE'];

describe('a backup that cannot be looked at', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let backup = '';

  const verify = (path = backup, drill = true): ReturnType<typeof verifyBackup> =>
    verifyBackup({ path, drill, folder: folder() }, () => undefined);
  const manifestText = (): string => readFileSync(`${backup}.json`, 'utf8');

  beforeEach(async () => {
    const sql = `CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('a value')`;
    backup = (await snapshot(createDatabase(folder('app.db'), { sql }))).path;
    assert.equal((await verify()).drill?.status, 'ok');
  });

  it('has no verdict while another program holds it, keeps its earlier one, and stays', async () => {
    const before = manifestText();
    const holder = await holdOpen(backup, ...exclusively);
    const { status, findings, drill } = await verify();
    assert.deepEqual([status, drill?.status], ['unchecked', 'unchecked']);
    assert.match(findings[0]?.message ?? '', /check could not run: .* is locked/);
    assert.equal(manifestText(), before);
    const plan = planPruning(folder('backups'), { keepLast: 1 }, new Date());
    assert.deepEqual(
      plan.keep.map(({ path }) => path),
      [backup],
    );
    await kill(holder);
    assert.equal((await verify()).status, 'ok');
  });

  it('keeps a verdict of damage too', async () => {
    recordVerdict({ path: backup, status: 'damaged', findings: [] });
    const before = manifestText();
    await holdOpen(backup, ...exclusively);
    assert.equal((await verify()).status, 'unchecked');
    assert.equal(manifestText(), before);
  });

  it('is damaged when its bytes were seen to differ, whatever happened after that', async () => {
    flipValue(backup, 'a value');
    await holdOpen(backup, ...exclusively);
    const { status, findings } = await verify(backup, false);
    assert.equal(status, 'damaged');
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['hash-mismatch', 'not-checked'],
    );
    assert.equal(manifestOf(backup).verdict.status, 'damaged');
  });

  it('has no verdict where there is no folder for a private copy, and keeps what a drill has shown', async () => {
    writeFileSync(`${backup}-wal`, 'x');
    const before = manifestText();
    const nowhere = { path: backup, drill: true, folder: folder('nowhere') };
    const { status, findings } = await verifyBackup(nowhere, () => undefined);
    assert.equal(status, 'unchecked', JSON.stringify(findings));
    rmSync(`${backup}-wal`);
    const { status: whole, drill } = await verifyBackup(nowhere, () => undefined);
    assert.deepEqual([whole, drill?.status], ['ok', 'unchecked']);
    assert.equal(manifestOf(backup).drill?.status, 'ok', before);
  });

  it('has no verdict when its format is newer than this SQLite, unless its bytes are others', async () => {
    overwrite(backup, 19, Buffer.from([3]));
    assert.equal((await verify(backup, false)).status, 'damaged');
    rmSync(`${backup}.json`);
    const { status, findings } = await verify(backup, false);
    assert.deepEqual(
      [status, findings.map(({ code }) => code)],
      ['unchecked', ['newer-format', 'no-manifest']],
    );
  });

  it('ends the command line with 3, and says why; damage comes first, a missing file ends it with 1', async () => {
    await holdOpen(backup, ...exclusively);
    const { code, stdout } = await runCli(['verify', backup, '--drill']);
    assert.equal(code, 3);
    assert.match(stdout, /^unchecked {2}.*\n +Could not be checked\..*\n.*is locked/);
    const json = await runCli(['verify', backup, '--json']);
    const [result] = (JSON.parse(json.stdout) as { results: Verdict[] }).results;
    assert.deepEqual([json.code, result?.status], [3, 'unchecked']);
    const other = createDatabase(folder('bad.db'));
    overwrite(other, 4096, Buffer.alloc(4096, 0xa5));
    assert.equal((await runCli(['verify', backup, other])).code, 1);
    assert.equal((await runCli(['verify', folder('missing.db')])).code, 1);
  });

  it('has no verdict when this user may not read it', async function () {
    if (!isLinuxRoot) this.skip();
    chmodSync(folder(), 0o755);
    chmodSync(folder('backups'), 0o777);
    chmodSync(backup, 0);
    chmodSync(`${backup}.json`, 0o644);
    const before = manifestText();
    const command = [...asNobody, process.execPath, cliEntry, 'verify', backup, '--drill'];
    const { code, stdout } = await run(command, { cwd: folder() });
    assert.deepEqual([code, manifestText()], [3, before], stdout);
    assert.match(stdout, /permission denied/);
  });

  it('has no verdict as a bundle either, whatever member cannot be looked at', async () => {
    const { path } = await bundleOf([folder('app.db')]);
    const before = readFileSync(`${path}.json`, 'utf8');
    const nowhere = { path, drill: true, folder: folder('nowhere') };
    const { status, drill } = await verifyBackup(nowhere, () => undefined);
    assert.deepEqual([status, drill?.status], ['unchecked', 'unchecked']);
    assert.equal(readFileSync(`${path}.json`, 'utf8'), before);
    assert.equal((await verify(path)).drill?.status, 'ok');
    assert.equal(bundleManifestOf(path).verdict.status, 'ok');
  });
});

describe('a backup whose own check cannot run', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  /** Locks the private copy when it is to be checked, as a program that opens all that appears may do. */
  const lockingHooks = (locks: Database.Database[]): Partial<SnapshotHooks> => ({
    onProgress: ({ phase }) => {
      if (phase !== 'check') return;
      const [scratch = ''] = readdirSync(folder('backups')).filter((name) => name.startsWith('.'));
      const db = new Database(join(folder('backups'), scratch, 'copy-0.db'));
      locks.push(db);
      db.pragma('locking_mode = exclusive');
      db.exec('BEGIN EXCLUSIVE');
    },
    beforePublish: () => {
      for (const db of locks) db.close();
      return Promise.resolve();
    },
  });

  it('is published, and says that it is not checked and why', async () => {
    const database = createDatabase(folder('app.db'));
    const { path, manifest } = await snapshot(database, {}, lockingHooks([]));
    const { status, checkedAt, findings } = manifest.verdict;
    assert.deepEqual([status, checkedAt], ['unchecked', undefined]);
    assert.match(findings[0]?.message ?? '', /^SQLite's check could not run: .* is locked/);
    assert.equal(verdictWords(manifest.verdict), 'could not be checked');
    const verified = await verifyBackup({ path, drill: true, folder: folder() }, () => undefined);
    assert.deepEqual([verified.status, verified.drill?.status], ['ok', 'ok']);
  });

  it('is part of a bundle', async () => {
    const database = createDatabase(folder('app.db'));
    const { bundle } = await bundled([database], {}, lockingHooks([]));
    const verdict = bundle?.manifest.verdict;
    assert.equal(verdict?.status, 'unchecked');
    assert.match(verdict?.findings[0]?.message ?? '', /could not run/);
  });
});

describe('an error of SQLite', () => {
  const error = (code: string, message = ''): Error => Object.assign(new Error(message), { code });

  it('is damage only when it is about the content', () => {
    for (const code of ['CORRUPT', 'CORRUPT_VTAB', 'CORRUPT_INDEX', 'NOTADB', 'FORMAT'])
      assert.ok(isDamage(error(`SQLITE_${code}`)), code);
    for (const code of [
      ...['BUSY', 'BUSY_SNAPSHOT', 'LOCKED', 'FULL', 'NOMEM', 'CANTOPEN', 'READONLY', 'PERM'],
      ...['IOERR', 'IOERR_READ', 'IOERR_SHORT_READ', 'IOERR_CORRUPTFS', 'TOOBIG', 'ERROR'],
      ...['MISUSE', 'INTERNAL', 'PROTOCOL', 'SCHEMA', 'INTERRUPT', 'AUTH', 'NOLFS'],
    ])
      assert.ok(!isDamage(error(`SQLITE_${code}`)), code);
    assert.ok(!isDamage(new TypeError('a defect of ours')));
    assert.ok(!isDamage(error('EMFILE')));
  });

  it('is a missing feature only when it names one', () => {
    for (const message of [
      ...['no such collation sequence: x', 'no such function: x', 'unknown function: x()'],
      ...['no such module: x', 'no such tokenizer: x', 'unknown tokenizer: x'],
    ])
      assert.ok(isMissingFeature(error('SQLITE_ERROR', message)), message);
    for (const message of [
      ...["invalid fts5 file format (found 0, expected 4 or 5) - run 'rebuild'"],
      ...['vtable constructor failed: f', 'SQL logic error', 'no such table: main.r_node'],
    ])
      assert.ok(!isMissingFeature(error('SQLITE_ERROR', message)), message);
  });

  it('is told by the names of what SQLite itself answers', () => {
    withDatabase(':memory:', (db) => {
      assert.throws(() => db.exec('SELECT app_function(1)'), isMissingFeature);
      assert.throws(() => db.exec('SELECT 1 ORDER BY 1 COLLATE app_order'), isMissingFeature);
      assert.throws(() => db.exec('CREATE VIRTUAL TABLE x USING app_module(a)'), isMissingFeature);
    });
  });
});
