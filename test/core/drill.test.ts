import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import { type Manifest, serializeManifest } from '../../src/core/manifest/manifest.ts';
import { drillSnapshot } from '../../src/core/verify/drill.ts';
import type { DrillOutcome, Verdict } from '../../src/core/verify/verdict.ts';
import { handle } from '../../src/worker/handlers.ts';
import {
  createDatabase,
  createWithForeignCollation,
  flipValue,
  manifestOf,
  overwrite,
  sha256,
  snapshot,
  withDatabase,
} from '../support/databases.ts';
import {
  asNobody,
  cliEntry,
  endProcessesAfterEach,
  holdOpen,
  isLinuxRoot,
  run,
} from '../support/processes.ts';
import { quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** What the worker does for `verify`, in this process. */
async function verifyHere(
  path: string,
  drill: boolean,
  folder: string,
): Promise<Verdict & { drill?: DrillOutcome }> {
  return (await handle('verify', { path, drill, folder }, quiet)) as Verdict & {
    drill?: DrillOutcome;
  };
}

describe('a drill', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let backup = '';

  const sql = `CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('a value');
    CREATE TABLE u (b); INSERT INTO u VALUES (randomblob(40000))`;
  const verify = (): ReturnType<typeof verifyHere> => verifyHere(backup, true, folder());
  /** What the drill left where its private copies go; the test's own files apart. */
  const leftovers = (): string[] => readdirSync(folder()).filter((name) => name.startsWith('.tmp'));
  const changeManifest = (change: (manifest: Manifest) => unknown): void => {
    const manifest = manifestOf(backup);
    change(manifest);
    writeFileSync(`${backup}.json`, serializeManifest(manifest));
  };

  beforeEach(async () => {
    backup = (await snapshot(createDatabase(folder('app.db'), { sql }))).path;
  });

  for (const [journalMode, method] of [
    ['wal', 'exact'],
    ['delete', 'exact'],
    ['wal', 'compact'],
  ] as const) {
    it(`proves that an ${method} backup of a database in ${journalMode} mode can be restored`, async () => {
      const path = createDatabase(folder('live.db'), { journalMode, sql });
      await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', `INSERT INTO t VALUES ('new')`);
      backup = (await snapshot(path, { method })).path;
      const before = sha256(backup);
      const { status, drill } = await verify();
      assert.deepEqual([status, drill?.status, drill?.findings], ['ok', 'ok', []]);
      assert.ok(Math.abs(Date.now() - Date.parse(drill?.at ?? '')) < 10_000);
      assert.equal(sha256(backup), before);
      assert.deepEqual(
        readdirSync(folder('backups')).filter((name) => !/\.db(\.json)?$/.test(name)),
        [],
      );
      assert.deepEqual(leftovers(), []);
    });
  }

  it('is kept in the manifest, with all that was there before', async () => {
    changeManifest((manifest) =>
      Object.assign(manifest, { note: 'before the upgrade', pinned: true }),
    );
    const before = manifestOf(backup);
    const { drill } = await verify();
    const after = manifestOf(backup);
    assert.deepEqual(after.drill, drill);
    assert.deepEqual(
      { ...after, verdict: null, drill: null },
      { ...before, verdict: null, drill: null },
    );
    assert.equal(statSync(`${backup}.json`).mode & 0o777, 0o600);
  });

  it('keeps fields of the manifest that this version does not know, in a format that it does', async () => {
    const json = JSON.parse(readFileSync(`${backup}.json`, 'utf8')) as object;
    writeFileSync(`${backup}.json`, JSON.stringify({ ...json, retention: { keepUntil: '2030' } }));
    await verify();
    const after = JSON.parse(readFileSync(`${backup}.json`, 'utf8')) as Record<string, unknown>;
    assert.deepEqual(after['retention'], { keepUntil: '2030' });
  });

  it('proves as much of a backup that cannot be checked fully', async () => {
    backup = (await snapshot(createWithForeignCollation(folder('foreign.db')))).path;
    const { status, drill } = await verify();
    assert.deepEqual([status, drill?.status], ['partial', 'ok']);
  });

  it('without a manifest tells its result, and writes none', async () => {
    rmSync(`${backup}.json`);
    const { status, drill } = await verify();
    assert.deepEqual([status, drill?.status], ['partial', 'ok']);
    assert.equal(readdirSync(folder('backups')).length, 1);
  });

  const damages: [what: string, damage: () => void][] = [
    ['one changed letter', () => flipValue(backup, 'a value')],
    ['a page of garbage', () => overwrite(backup, 4096, Buffer.alloc(4096, 0xa5))],
    ['its second half missing', () => truncateSync(backup, 4096)],
    ['nothing left in it', () => truncateSync(backup)],
    [
      'other row counts than were backed up',
      () => changeManifest(({ tables }) => Object.assign(tables?.[0] ?? {}, { rows: 7 })),
    ],
    [
      'rows taken away, and the hash made to fit',
      () => {
        withDatabase(backup, (db) => db.exec(`DELETE FROM t`));
        changeManifest(
          (manifest) =>
            (manifest.sha256 = createHash('sha256').update(readFileSync(backup)).digest('hex')),
        );
      },
    ],
  ];
  for (const [what, damage] of damages) {
    it(`of a backup with ${what} proves nothing, and takes back what an earlier one had proved`, async () => {
      await verify();
      assert.equal(manifestOf(backup).drill?.status, 'ok');
      damage();
      const { status, drill } = await verify();
      assert.equal(status, 'damaged');
      assert.notEqual(drill?.status, 'ok');
      const recorded = manifestOf(backup);
      assert.equal(recorded.verdict.status, 'damaged');
      assert.equal(listBackups(folder('backups'))[0]?.verified, 'damaged');
      assert.deepEqual(leftovers(), []);
      assert.equal(drill?.status, 'failed', 'a drill was asked for');
      assert.notEqual(recorded.drill?.status, 'ok');
    });
  }

  /** Nothing was found before: the drill is on its own. */
  const drillAlone = (): DrillOutcome =>
    drillSnapshot({ path: backup, status: 'ok', findings: [] }, folder());

  it('alone notices a page of garbage, a cut and wrong facts', () => {
    changeManifest(({ tables }) => Object.assign(tables?.[0] ?? {}, { rows: 7 }));
    const forged = drillAlone();
    assert.deepEqual(
      [forged.status, forged.findings.map(({ code }) => code)],
      ['failed', ['rows-differ']],
    );
    overwrite(backup, 4096, Buffer.alloc(4096, 0xa5));
    assert.equal(drillAlone().status, 'failed');
    truncateSync(backup, 5000);
    assert.equal(drillAlone().status, 'failed');
    assert.deepEqual(leftovers(), []);
  });

  it('of what is no database is a failure, not an exception', () => {
    writeFileSync(backup, 'text');
    assert.equal(drillAlone().status, 'failed');
  });

  it('in a backups folder that may not be written has a verdict, says that it was not kept, and changes nothing', async function () {
    if (!isLinuxRoot) this.skip(); // Only root can become somebody who may not.
    for (const path of [folder(), folder('backups')]) chmodSync(path, 0o755);
    for (const path of [backup, `${backup}.json`]) chmodSync(path, 0o644);
    const before = [sha256(backup), sha256(`${backup}.json`), readdirSync(folder('backups'))];
    const args = ['verify', backup, '--drill', '--json'];
    const ended = await run([...asNobody, process.execPath, cliEntry, ...args]);
    assert.deepEqual([ended.code, ended.stderr], [0, '']);
    const { results } = JSON.parse(ended.stdout) as {
      results: (Verdict & { drill: DrillOutcome })[];
    };
    const [result] = results;
    assert.deepEqual([result?.status, result?.drill.status], ['ok', 'ok']);
    assert.deepEqual(
      result?.findings.map(({ code }) => code),
      ['not-recorded'],
    );
    const after = [sha256(backup), sha256(`${backup}.json`), readdirSync(folder('backups'))];
    assert.deepEqual(after, before);
  });

  it('does not rewrite a manifest of a newer format', async () => {
    const newer = '{"format":2,"tool":{"name":"sqlite-backup"},"verdict":"something else"}';
    writeFileSync(`${backup}.json`, newer);
    const { status, drill } = await verify();
    assert.deepEqual([status, drill?.status], ['partial', 'ok']);
    assert.equal(readFileSync(`${backup}.json`, 'utf8'), newer);
  });
});

describe('a verdict', () => {
  const folder = useTempFolder();

  it('takes back an earlier good one in the manifest and in the list', async () => {
    const { path } = await snapshot(createDatabase(folder('app.db')));
    assert.equal(listBackups(folder('backups'))[0]?.verified, 'ok');
    flipValue(path, 'item 7');
    const { status } = await verifyHere(path, false, folder());
    assert.equal(status, 'damaged');
    assert.deepEqual(
      [manifestOf(path).verdict.status, listBackups(folder('backups'))[0]?.verified],
      ['damaged', 'damaged'],
    );
  });

  it('reports rows without a parent, and does not hold it against the backup', async () => {
    const database = createDatabase(folder('app.db'), {
      sql: `PRAGMA foreign_keys = off; CREATE TABLE parent (id INTEGER PRIMARY KEY);
        CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES parent (id));
        INSERT INTO child VALUES (1, 5), (2, 6);
        CREATE TABLE lost (id REFERENCES nowhere (id)); INSERT INTO lost VALUES (1)`,
    });
    const { path } = await snapshot(database);
    const { status, findings } = await verifyHere(path, false, folder());
    assert.equal(status, 'ok');
    const codes = new Set(findings.map(({ code }) => code));
    assert.ok(codes.has('foreign-keys'), [...codes].join());
    assert.ok(
      findings.some(({ message }) => /child: 2 rows/.test(message)),
      JSON.stringify(findings),
    );
  });
});
