import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { absenceOf } from '../../src/editor/absence.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a database that only backups tell of', () => {
  const folder = useTempFolder();

  it('is excluded when its file is there, and deleted when it is not', async () => {
    const path = folder('app.db');
    assert.equal(await absenceOf(path, false), 'deleted');
    assert.equal(await absenceOf(folder('gone/app.db'), false), 'deleted');
    writeFileSync(path, 'x');
    assert.equal(await absenceOf(path, false), 'excluded');
  });

  it('is no database when its file was found and skipped, or is a folder', async () => {
    const path = folder('app.db');
    writeFileSync(path, 'text');
    assert.equal(await absenceOf(path, true), 'no-database');
    mkdirSync(folder('other.db'));
    assert.equal(await absenceOf(folder('other.db'), false), 'no-database');
  });

  it('is not called deleted when its place cannot be looked at', async () => {
    assert.equal(await absenceOf(folder('x'.repeat(300)), false), 'unknown');
  });
});
