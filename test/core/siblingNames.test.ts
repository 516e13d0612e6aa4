import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import { findDatabases } from '../../src/core/catalog/discovery.ts';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { isSibling } from '../../src/core/sqlite/header.ts';
import { bundleOf } from '../support/bundles.ts';
import { contentOf, createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen } from '../support/processes.ts';
import { applyRequest, quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a database whose name ends like that of a sibling', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const found = (): string[] =>
    findDatabases(folder()).databases.map(({ path }) => relative(folder(), path));

  for (const name of ['travel-journal', 'x-wal', 'cache-shm', 'notes.db-journal', '-wal']) {
    it(`is found, backed up, listed and restored: ${name}`, async () => {
      const live = createDatabase(folder(name), { journalMode: 'wal' });
      const before = contentOf(live);
      assert.deepEqual(found(), [name]);
      const { path, manifest } = await snapshot(live);
      assert.equal(manifest.verdict.status, 'ok');
      assert.equal(isSibling(path), false);
      assert.doesNotMatch(basename(path), /-(wal|shm|journal)$/);
      assert.deepEqual(
        listBackups(folder('backups')).map((entry) => entry.path),
        [path],
      );
      withDatabase(live, (db) => db.exec('DELETE FROM items'));
      await applyRestore(applyRequest(path, live), quiet);
      assert.deepEqual(contentOf(live), before);
    });
  }

  it('comes back after its file was deleted', async () => {
    const live = createDatabase(folder('travel-journal'));
    const before = contentOf(live);
    const { path } = await snapshot(live);
    rmSync(live);
    await applyRestore(applyRequest(path, live), quiet);
    assert.deepEqual(contentOf(live), before);
  });

  it('is a foreign backup in a backups folder', () => {
    mkdirSync(folder('backups'));
    const path = createDatabase(folder('backups/travel-journal'));
    assert.deepEqual(
      listBackups(folder('backups')).map((entry) => entry.path),
      [path],
    );
  });

  it('goes into a bundle as a database, and a text of such a name as a file', async () => {
    createDatabase(folder('app.db'));
    mkdirSync(folder('data'));
    createDatabase(folder('data/travel-journal'));
    writeFileSync(folder('data/diary-journal'), 'Dear diary\n');
    writeFileSync(folder('data/diary'), 'no database\n');
    const { manifest } = await bundleOf([folder('app.db')], {
      companions: [{ root: folder(), globs: ['data/**'] }],
      folder: folder('backups'),
    });
    assert.deepEqual(
      manifest.entries.map(({ kind, source }) => [kind, source.path]),
      [
        ['database', 'app.db'],
        ['database', 'data/travel-journal'],
        ['companion', 'data/diary'],
        ['companion', 'data/diary-journal'],
      ],
    );
  });

  for (const suffix of ['-journal', '-wal'])
    it(`beside a database that SQLite takes ${suffix} for a part of stops backup and restore, which say why`, async () => {
      const [live, spare] = [createDatabase(folder('travel')), createDatabase(folder('spare'))];
      const { path: backup } = await snapshot(live);
      renameSync(spare, `${live}${suffix}`);
      const before = readFileSync(`${live}${suffix}`);
      const refusal = {
        code: 'bad-name',
        message: new RegExp(`travel${suffix}, whose name is that of a file SQLite keeps`),
      };
      await assert.rejects(snapshot(live), refusal);
      await assert.rejects(applyRestore(applyRequest(backup, live), quiet), refusal);
      assert.deepEqual(readFileSync(`${live}${suffix}`), before);
      assert.ok(found().includes(`travel${suffix}`));
    });
});

describe('the siblings of a database', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  it('are told by their content, also after the database was deleted', async () => {
    const live = createDatabase(folder('app'), { journalMode: 'wal' });
    await holdOpen(live, "INSERT INTO items (name) VALUES ('x')");
    const persisting = createDatabase(folder('other'), { journalMode: 'persist' });
    await holdOpen(persisting, "BEGIN IMMEDIATE; INSERT INTO items (name) VALUES ('x')");
    const all = ['app-wal', 'app-shm', 'other-journal'];
    for (const when of ['with', 'without']) {
      for (const name of all) assert.ok(isSibling(folder(name)), `${name} ${when} its database`);
      for (const path of [live, persisting]) rmSync(path, { force: true });
    }
    assert.deepEqual(findDatabases(folder()).databases, []);
  });

  it('are told by the name of a database that was deleted, whatever is in them', () => {
    writeFileSync(folder('app.gpkg-wal'), 'text');
    assert.ok(isSibling(folder('app.gpkg-wal')));
    assert.ok(isSibling(folder('missing.db-journal')));
  });

  it('are no target of a restore', async () => {
    const { path: backup } = await snapshot(createDatabase(folder('app.db')));
    writeFileSync(folder('orphan-journal'), Buffer.alloc(512));
    for (const name of ['app.db-wal', 'missing.db-shm', 'orphan-journal']) {
      await assert.rejects(applyRestore(applyRequest(backup, folder(name)), quiet), {
        code: 'bad-name',
      });
    }
    assert.ok(!existsSync(folder('app.db-wal')));
  });
});
