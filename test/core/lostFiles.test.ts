import assert from 'node:assert/strict';
import { renameSync, rmSync, copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import type { BackupError } from '../../src/core/errors.ts';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { compareDatabases } from '../../src/core/compare/compare.ts';
import { lostFilesOf, saveOpen } from '../../src/core/snapshot/saveOpen.ts';
import type { Snapshots } from '../../src/core/snapshot/snapshot.ts';
import { readManifestOf } from '../../src/core/manifest/manifestFile.ts';
import { verifyBackup } from '../../src/core/verify/verifyBackup.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { bundleOf } from '../support/bundles.ts';
import {
  createDatabase,
  requestFor,
  siblingsBeside,
  snapshot,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  kill,
  runCli,
  workerEntry,
} from '../support/processes.ts';
import { applyRequest, quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('files that lost their names while a program has them open', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();

  before(function () {
    if (process.platform !== 'linux') this.skip(); // Elsewhere other programs do not show them.
  });

  const inWal = ['PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7'];
  const live = (): string => folder('app.db');
  const create = (journalMode: 'wal' | 'delete' = 'wal'): string =>
    createDatabase(live(), { journalMode });
  const rowsOf = (path: string): unknown => valueOf(path, 'SELECT count(*) FROM items');
  const lostOf = (path = live()): unknown =>
    lostFilesOf(path).map(({ pid, lost }) => ({ pid, lost }));
  const save = (database = live()): Promise<Snapshots> =>
    saveOpen(requestFor(database, { folder: folder('b') }), {
      onProgress: () => undefined,
      beforePublish: () => Promise.resolve(),
    });

  it('are none where nothing is lost, and saving says so', async () => {
    create();
    await holdOpen(live(), ...inWal);
    assert.deepEqual(lostOf(), []);
    await assert.rejects(save(), { code: 'source-missing' });
    await assert.rejects(save(folder('never.db')), { code: 'source-missing' });
    assert.deepEqual(readdirSync(folder()).includes('b'), false);
    const { manifest } = await snapshot(live());
    assert.deepEqual([manifest.verdict.status, manifest.warnings], ['ok', undefined]);
  });

  for (const names of [['-wal'], ['-wal', '-shm']] as const) {
    it(`(${names.join(' and ')}): the backup has the transactions, says so loudly, and leaves nothing new`, async () => {
      create();
      const { pid } = await holdOpen(live(), ...inWal);
      for (const name of names) rmSync(live() + name);
      const beside = siblingsBeside(live());
      assert.deepEqual(lostOf(), [{ pid, lost: [...names] }]);
      const { path, manifest } = await snapshot(live());
      assert.equal(rowsOf(path), 7);
      assert.equal(manifest.verdict.status, 'partial');
      const [first] = manifest.warnings ?? [];
      assert.equal(first?.code, 'lost-files');
      assert.match(first.message, new RegExp(`app\\.db-wal.*node \\(pid ${pid}\\).*restore this`));
      assert.deepEqual(siblingsBeside(live()), beside);
    });
  }

  it('leave a warning that a later verify keeps: the verdict gets no better than what the backup knew', async () => {
    create();
    await holdOpen(live(), ...inWal);
    rmSync(`${live()}-wal`);
    const taken = [(await snapshot(live())).path, (await bundleOf([live()])).path];
    for (const path of taken) {
      const scratch = { drill: true, folder: folder() };
      const found = await verifyBackup({ path, ...scratch }, () => undefined);
      assert.equal(found.status, 'partial');
      assert.equal(found.outOfStep, undefined);
      assert.match(found.findings[0]?.message ?? '', /app\.db-wal: deleted or replaced while/);
      assert.equal(found.drill?.status, 'ok');
      const parsed = readManifestOf(path);
      assert.ok(parsed?.kind === 'manifest' || parsed?.kind === 'bundle');
      assert.equal(parsed.manifest.verdict.status, 'partial');
      assert.equal(parsed.manifest.verdict.findings[0]?.code, 'lost-files');
    }
  });

  it('(a -wal moved to a trash folder) are found there', async () => {
    create();
    const { pid } = await holdOpen(live(), ...inWal);
    mkdirSync(folder('trash'));
    renameSync(`${live()}-wal`, folder('trash/app.db-wal'));
    assert.deepEqual(lostOf(), [{ pid, lost: ['-wal'] }]);
    assert.equal(rowsOf((await snapshot(live())).path), 7);
  });

  it('(a -shm alone): the database is not opened in place, where locks would not be seen', async () => {
    create();
    await holdOpen(live(), ...inWal);
    rmSync(`${live()}-shm`);
    assert.equal(rowsOf((await snapshot(live())).path), 7);
    assert.deepEqual(siblingsBeside(live()), ['-wal']);
  });

  it('are not mistaken for those of another database of the same name', async () => {
    mkdirSync(folder('other'));
    createDatabase(folder('other/app.db'), { journalMode: 'wal' });
    create();
    await holdOpen(
      live(),
      `ATTACH '${folder('other/app.db')}' AS other`,
      'SELECT count(*) FROM other.items',
      'SELECT count(*) FROM main.items',
    );
    assert.deepEqual([lostOf(), lostOf(folder('other/app.db'))], [[], []]);
  });

  it('beside which other programs have begun a new -wal: both states are saved, each by its own way', async () => {
    create();
    const old = await holdOpen(live(), ...inWal);
    for (const name of ['-wal', '-shm']) rmSync(live() + name);
    await holdOpen(live(), 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 50');
    const { path, manifest } = await snapshot(live());
    assert.equal(rowsOf(path), 50);
    assert.equal(manifest.verdict.status, 'partial');
    assert.match(manifest.warnings?.[0]?.message ?? '', /does NOT have.*save-open app\.db/);
    const { snapshots, failures } = await save();
    assert.deepEqual(failures, []);
    assert.deepEqual(
      snapshots.map((one) => [rowsOf(one.path), one.manifest.source.path]),
      [[7, 'app.db']],
    );
    await kill(old);
    assert.deepEqual(lostOf(), []);
  });

  for (const mode of ['wal', 'delete'] as const) {
    it(`(the database itself, ${mode}): a backup says who has it, and its content can be saved`, async () => {
      create(mode);
      const { pid } = await holdOpen(live(), ...inWal);
      rmSync(live());
      await assert.rejects(snapshot(live()), (error: { message: string; hint: string }) => {
        assert.match(error.message, new RegExp(`does not exist, but node \\(pid ${pid}\\)`));
        assert.match(error.hint, /save-open/);
        return true;
      });
      const { snapshots } = await save();
      assert.deepEqual(
        snapshots.map(({ path }) => rowsOf(path)),
        [7],
      );
    });
  }

  it('(a database replaced by another): the content of the old one can be saved', async () => {
    create();
    await holdOpen(live(), ...inWal);
    copyFileSync(createDatabase(folder('new.db'), { rows: 3 }), folder('new2.db'));
    renameSync(folder('new2.db'), live());
    const { snapshots } = await save();
    assert.deepEqual(
      snapshots.map(({ path }) => rowsOf(path)),
      [7],
    );
  });

  it('in the middle of a transaction are saved as they were before it', async () => {
    create('delete');
    await holdOpen(
      live(),
      'PRAGMA cache_size = 1',
      "BEGIN; UPDATE items SET name = 'torn', payload = zeroblob(200)",
    );
    rmSync(live());
    const { snapshots } = await save();
    assert.equal(
      valueOf(snapshots[0]?.path ?? '', "SELECT count(*) FROM items WHERE name = 'torn'"),
      0,
    );
  });

  it('are what a comparison sees, too', async () => {
    create();
    const backup = createDatabase(folder('seven.db'));
    withDatabase(backup, (db) => db.exec('DELETE FROM items WHERE id > 7'));
    await holdOpen(live(), ...inWal);
    rmSync(`${live()}-wal`);
    const [items] = compareDatabases(backup, live(), () => undefined).tables;
    assert.deepEqual([items?.onlyLeft, items?.onlyRight], [0, 0]);
  });

  for (const suffix of ['-wal', '']) {
    it(`(${suffix === '' ? 'the database' : suffix}): a restore says to save them before the program is stopped, and changes nothing`, async () => {
      const { path: backup } = await snapshot(create(), { folder: folder('b') });
      const { pid } = await holdOpen(live(), ...inWal);
      rmSync(live() + suffix);
      const before = readdirSync(folder());
      await assert.rejects(
        applyRestore(applyRequest(backup, live()), quiet),
        (error: BackupError) => {
          assert.equal(error.code, 'target-in-use');
          assert.match(error.message, new RegExp(`node \\(pid ${pid}\\)`));
          assert.match(error.hint ?? '', /Do not stop it yet.*save-open/);
          return true;
        },
      );
      assert.deepEqual(readdirSync(folder()), before);
      const { stdout, stderr } = await runCli(['restore', backup, live(), '--plan']);
      assert.match(stdout, new RegExp(`Open in node \\(pid ${pid}\\)`));
      assert.match(stderr, new RegExp(`Do not stop node \\(pid ${pid}\\) yet.*save-open`));
    });
  }

  it('are found and saved by a worker', async () => {
    create();
    const { pid } = await holdOpen(live(), ...inWal);
    rmSync(live());
    writeFileSync(folder('unrelated'), '');
    const worker = new WorkerClient({ entry: workerEntry });
    const [lost] = await worker.call('lostFiles', { path: live() }, {});
    assert.deepEqual([lost?.pid, lost?.program, lost?.lost], [pid, 'node', ['']]);
    const { snapshots } = await worker.call('saveOpen', requestFor(live()), {});
    assert.equal(rowsOf(snapshots[0]?.path ?? ''), 7);
  });
});
