import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { absenceOf, isLeftOut } from '../../src/editor/absence.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a database that only backups tell of', () => {
  const folder = useTempFolder();
  const unseen = { isExcluded: false };

  it('is excluded when a setting leaves its file out, and deleted when the file is missing', async () => {
    const path = folder('app.db');
    const isExcluded = true;
    assert.equal(await absenceOf(path, { isExcluded }), 'deleted');
    assert.equal(await absenceOf(folder('gone/app.db'), { isExcluded }), 'deleted');
    writeFileSync(path, 'x');
    assert.equal(await absenceOf(path, { isExcluded }), 'excluded');
  });

  it('blames no setting for a file that the search has not listed yet', async () => {
    writeFileSync(folder('app.db'), 'x');
    assert.equal(await absenceOf(folder('app.db'), unseen), 'unlisted');
  });

  it('is no database when its file was found and is none, or is a folder', async () => {
    const path = folder('app.db');
    writeFileSync(path, 'text');
    const search = { ...unseen, skippedFor: 'encrypted-or-not-sqlite' };
    assert.equal(await absenceOf(path, search), 'no-database');
    mkdirSync(folder('other.db'));
    assert.equal(await absenceOf(folder('other.db'), unseen), 'no-database');
  });

  it('is not judged when its file could not be read', async () => {
    writeFileSync(folder('app.db'), 'x');
    const search = { ...unseen, skippedFor: 'access' };
    assert.equal(await absenceOf(folder('app.db'), search), 'unknown');
    assert.equal(await absenceOf(folder('x'.repeat(300)), unseen), 'unknown');
  });

  it('is left out by globs for it, for a folder that it is in, or when none includes it', () => {
    const include = ['**/*.{db,sqlite}'];
    const isOut = (path: string, exclude: string[]): boolean =>
      isLeftOut(path, { include, exclude });
    assert.equal(isOut('data/app.db', []), false);
    assert.equal(isOut('data/app.db', ['**/data']), true);
    assert.equal(isOut('data/app.db', ['**/*.sqlite', 'data/**']), true);
    assert.equal(isOut('.hidden/app.db', []), false);
    assert.equal(isOut('app.bin', []), true);
  });
});
