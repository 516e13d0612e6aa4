import assert from 'node:assert/strict';
import { basename } from 'node:path';
import {
  isRestoredName,
  restoredName,
  stemLength,
  withSuffixOf,
} from '../../src/core/manifest/names.ts';

describe('the name of a restore to a new file', () => {
  const at = '2026-11-21T13:45:02.000Z';

  it('tells that the file is a copy of a backup', () => {
    assert.equal(restoredName('/data/app.db', at), '/data/app.restored_20261121_134502.db');
    for (const live of ['/data/app.db', '/data/app', '/data/a.b.sqlite3'])
      assert.ok(isRestoredName(restoredName(live, at)), live);
    assert.ok(isRestoredName('/data/app.restored_20261121_134502-2.db'));
  });

  it('is no name of a live database', () => {
    for (const name of ['app.db', 'restored.db', 'app.restored.db', 'app_20261121_134502Z.db'])
      assert.ok(!isRestoredName(name), name);
  });

  it('leaves room for what SQLite puts beside it', () => {
    const name = basename(restoredName(`/data/${'ä'.repeat(200)}.db`, at));
    assert.ok(Buffer.byteLength(`${name}-999-journal`) <= 255);
    assert.ok(isRestoredName(name));
  });
});

describe('the new name of a backup', () => {
  it('keeps the suffix', () => {
    assert.equal(withSuffixOf('app_1.db', 'before migration'), 'before migration.db');
    assert.equal(withSuffixOf('app_1.db', 'v1.2'), 'v1.2.db');
    assert.equal(withSuffixOf('app_1.db', 'before.DB'), 'before.DB');
    assert.equal(withSuffixOf('all.zip', 'release'), 'release.zip');
    assert.equal(withSuffixOf('app', 'before'), 'before');
    assert.equal(withSuffixOf('app_1.db', ' '), ' ', 'no name is made of nothing');
  });

  it('is typed over the part before the suffix', () => {
    assert.equal('app_1.db'.slice(0, stemLength('app_1.db')), 'app_1');
    assert.equal(stemLength('app'), 3);
  });
});
