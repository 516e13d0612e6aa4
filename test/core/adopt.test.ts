import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { basename } from 'node:path';
import { adopt } from '../../src/core/catalog/adopt.ts';
import { planPruning } from '../../src/core/catalog/keeping.ts';
import { bundleManifestOf, bundleOf } from '../support/bundles.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, manifestOf, snapshot, writeBytes } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the word that backups are of a database', () => {
  const folder = useTempFolder();
  let dataFolder = '';
  useDataFolder(() => dataFolder);
  let app = '';

  beforeEach(() => {
    dataFolder = folder('data');
    process.env['XDG_DATA_HOME'] = dataFolder;
    app = createDatabase(folder('app.db'), { rows: 5 });
  });

  const goes = (): string[] =>
    planPruning(folder('backups'), { keepLast: 1 }, new Date()).remove.map(({ path }) => path);
  const idOf = (backup: string): string | undefined => manifestOf(backup).source.id;
  const makeOld = (backup: string): void => {
    const manifest = JSON.parse(readFileSync(`${backup}.json`, 'utf8')) as object;
    writeBytes(`${backup}.json`, JSON.stringify({ ...manifest, source: { path: 'app.db' }, x: 1 }));
  };

  it('is refused for a file of others, for a bundle of several, and without a database', async () => {
    const { path } = await snapshot(app);
    const other = createDatabase(folder('b.db'));
    const { path: bundle } = await bundleOf([app, other]);
    assert.throws(() => adopt({ database: other, backups: [app] }), { code: 'access' });
    assert.throws(() => adopt({ database: other, backups: [path, bundle] }), { code: 'bad-name' });
    assert.throws(() => adopt({ database: folder('missing.db'), backups: [path] }), {
      code: 'source-missing',
    });
    // Nothing was changed by what was refused in the middle.
    assert.notEqual(idOf(path), idOf((await snapshot(other, { folder: folder('c') })).path));
  });

  it('is offered for a moved file, and makes one of all its backups and the new ones', async () => {
    const old = [(await snapshot(app)).path, (await snapshot(app)).path];
    const { path: bundle } = await bundleOf([app]);
    mkdirSync(folder('new'));
    renameSync(app, folder('new', 'app.db'));
    app = folder('new', 'app.db');
    const { path, offer } = await snapshot(app, { folder: folder('backups') });
    assert.deepEqual([offer?.from, offer?.count], [folder('app.db'), 2]);
    assert.deepEqual(goes(), old.slice(0, 1));

    const { backups } = adopt({ database: app, backups: offer?.backups ?? [] });
    assert.deepEqual(backups.sort(), [...old, bundle].sort());
    for (const one of old) assert.equal(idOf(one), idOf(path));
    assert.equal(bundleManifestOf(bundle).entries[0]?.source.id, idOf(path));
    assert.deepEqual(goes().sort(), old.sort());
    assert.deepEqual(adopt({ database: app, backups: old }).backups, []);
    assert.equal((await snapshot(app, { folder: folder('backups') })).offer, undefined);
  });

  it('is offered when the data folder was lost, and for what an older version has made', async () => {
    const { path: first } = await snapshot(app);
    const { path: second } = await snapshot(app);
    makeOld(second);
    dataFolder = folder('data of the new container');
    process.env['XDG_DATA_HOME'] = dataFolder;
    const { offer } = await snapshot(app);
    assert.deepEqual(offer?.backups.sort(), [first, second].sort());
    assert.equal(offer.from, undefined);
    adopt({ database: app, backups: [second] });
    assert.equal(goes().length, 1);
    // What other versions have written is kept.
    assert.match(readFileSync(`${second}.json`, 'utf8'), /"x": 1/);
    adopt({ database: app, backups: [first] });
    assert.equal(goes().length, 2);
  });

  it('is not offered for another database of the same name that is still there', async () => {
    await snapshot(app);
    mkdirSync(folder('b'));
    const other = createDatabase(folder('b', 'app.db'), { rows: 5 });
    assert.equal((await snapshot(other, { folder: folder('backups') })).offer, undefined);
    // Nor for one with another schema.
    mkdirSync(folder('c'));
    const third = createDatabase(folder('c', 'app.db'), { sql: 'CREATE TABLE other (a)' });
    renameSync(app, folder('away.db'));
    assert.equal((await snapshot(third, { folder: folder('backups') })).offer, undefined);
  });

  it('takes losses and releases along', async () => {
    const { path } = await snapshot(app);
    const loss = { table: 'items', before: 5, now: 0 };
    const manifest = manifestOf(path);
    const { createdAt, source } = manifest;
    const losses = [{ ...loss, database: source.id, since: createdAt, at: createdAt }];
    const released = [{ database: source.id, table: 'queue' }];
    writeBytes(`${path}.json`, JSON.stringify({ ...manifest, losses, released }));
    const other = createDatabase(folder('other.db'));
    adopt({ database: other, backups: [path] });
    const after = manifestOf(path);
    assert.notEqual(after.source.id, source.id);
    assert.deepEqual(
      [after.losses?.[0]?.database, after.released?.[0]?.database],
      [after.source.id, after.source.id],
    );
    assert.equal(basename(after.source.path), 'app.db');
  });
});
