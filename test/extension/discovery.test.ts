import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { databaseExtensions } from '../../src/core/sqlite/header.ts';
import {
  inWorkspace,
  makeDatabase,
  removeLater,
  run,
  writeFile,
  type RefreshResult,
} from './workspace.ts';

describe('discovery', () => {
  const paths = async (): Promise<string[]> =>
    (await run<RefreshResult>('refresh')).databases.map(({ path }) => path);

  it('finds the databases of the workspace with their journal modes', async () => {
    const { databases } = await run<RefreshResult>('refresh');
    const modes = new Map(databases.map(({ path, journalMode }) => [path, journalMode]));
    assert.equal(modes.get('data/app.db'), 'wal');
    assert.equal(modes.get('data/sessions.db'), 'rollback');
  });

  it('offers each extension, and no file that only has the name of a database', async () => {
    const names = databaseExtensions.map((one) => `data/named${one}`);
    for (const name of names) makeDatabase(name);
    writeFile('data/text.db', 'text');
    writeFile('data/empty.db', '');
    const found = await paths();
    for (const name of names) assert.ok(found.includes(name), name);
    assert.ok(!found.includes('data/text.db'));
    assert.ok(!found.includes('data/empty.db'));
  });

  it('finds databases that git ignores, and none in node_modules', async () => {
    removeLater('node_modules');
    mkdirSync(inWorkspace('node_modules/some'), { recursive: true });
    writeFile('.gitignore', '*.db\n');
    makeDatabase('node_modules/some/cache.db');
    makeDatabase('data/ignored.db');
    const found = await paths();
    assert.ok(found.includes('data/ignored.db'));
    assert.ok(!found.includes('node_modules/some/cache.db'));
  });

  it('never lists siblings', async () => {
    writeFile('data/app.db-journal.db-wal', 'SQLite format 3\0');
    const found = await paths();
    assert.ok(found.every((path) => !/-(wal|shm|journal)$/.test(path)));
  });
});
