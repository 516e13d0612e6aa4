import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { findDatabases, inspectFiles } from '../../src/core/catalog/discovery.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('finding databases', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const found = (): string[] =>
    findDatabases(folder()).databases.map(({ path }) => relative(folder(), path));
  const skipped = (): string[][] =>
    findDatabases(folder()).skipped.map(({ path, code }) => [relative(folder(), path), code]);

  it('refuses what is no folder', () => {
    writeFileSync(folder('file'), 'x');
    for (const name of ['missing', 'file']) {
      assert.throws(() => findDatabases(folder(name)), { code: 'source-missing' });
    }
  });

  it('finds nothing in an empty folder', () => {
    assert.deepEqual(findDatabases(folder()), { databases: [], skipped: [] });
  });

  it('goes by content: a database without an extension is one, text with one is skipped with the reason', () => {
    createDatabase(folder('Cookies'));
    writeFileSync(folder('notes.db'), 'text');
    writeFileSync(folder('notes.txt'), 'text');
    writeFileSync(folder('empty.SQLITE3'), '');
    writeFileSync(folder('secret.sqlite'), randomBytes(8192));
    assert.deepEqual(found(), ['Cookies']);
    assert.deepEqual(skipped(), [
      ['empty.SQLITE3', 'not-a-database'],
      ['notes.db', 'not-a-database'],
      ['secret.sqlite', 'encrypted-or-not-sqlite'],
    ]);
  });

  it('enters folders, but not node_modules, .git, links to folders, or what a backup left behind', () => {
    for (const name of [
      'a/b',
      'node_modules/m',
      '.git',
      '.tmp-sqlite-backup-00000000-1-000000000000',
      '.config',
    ]) {
      mkdirSync(folder(name), { recursive: true });
      createDatabase(folder(name, 'app.db'));
    }
    symlinkSync(folder('a'), folder('z'));
    symlinkSync(folder(), folder('a/loop'));
    assert.deepEqual(found(), ['.config/app.db', 'a/b/app.db']);
  });

  it('never takes siblings, pipes, folders or links to nowhere for databases, nor waits for them', async () => {
    createDatabase(folder('app.db'), { journalMode: 'wal' });
    await holdOpen(folder('app.db'), 'DELETE FROM items');
    writeFileSync(folder('app.db-journal'), '');
    assert.deepEqual(found(), ['app.db']);
    spawnSync('mkfifo', [folder('pipe.db')]);
    mkdirSync(folder('folder.db'));
    symlinkSync(folder('nowhere'), folder('dangling.db'));
    const { databases, skipped: rest } = inspectFiles([
      folder('app.db'),
      folder('pipe.db'),
      folder('folder.db'),
      folder('dangling.db'),
    ]);
    assert.deepEqual(
      databases.map(({ path }) => relative(folder(), path)),
      ['app.db'],
    );
    assert.deepEqual(
      rest.map(({ code }) => code),
      ['not-a-database', 'not-a-database', 'source-missing'],
    );
  });

  it('reports a file with several names once', () => {
    createDatabase(folder('a.db'));
    linkSync(folder('a.db'), folder('b.db'));
    symlinkSync('a.db', folder('c.db'));
    assert.deepEqual(found(), ['a.db']);
  });

  it('never offers our own backups', async () => {
    await snapshot(createDatabase(folder('app.db')));
    assert.deepEqual(found(), ['app.db']);
    assert.deepEqual(
      skipped().map(([, code]) => code),
      ['own-backup'],
    );
  });

  it('tells size, journal mode and the bytes in the WAL', async () => {
    createDatabase(folder('a.db'));
    createDatabase(folder('b.db'), { journalMode: 'wal' });
    await holdOpen(folder('b.db'), 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items');
    const facts = findDatabases(folder()).databases.map(({ sizeBytes, journalMode, walBytes }) => [
      sizeBytes,
      journalMode,
      walBytes,
    ]);
    const size = (name: string): number => statSync(folder(name)).size;
    assert.deepEqual(facts, [
      [size('a.db'), 'rollback', 0],
      [size('b.db'), 'wal', size('b.db-wal')],
    ]);
    assert.ok(size('b.db-wal') > 0);
  });

  it('offers a database whose name leaves no room for those of its siblings', () => {
    const name = `${'n'.repeat(248)}.db`;
    createDatabase(folder('app.db'));
    spawnSync('mv', [folder('app.db'), folder(name)]);
    assert.deepEqual(found(), [name]);
  });

  it('skips a damaged database with the reason', () => {
    truncateSync(createDatabase(folder('app.db')), 4096);
    assert.deepEqual(skipped(), [['app.db', 'corrupt']]);
  });
});
