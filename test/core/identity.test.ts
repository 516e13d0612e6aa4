import assert from 'node:assert/strict';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { type Identity, identifyAll, identityOf } from '../../src/core/manifest/identity.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { bundleOf } from '../support/bundles.ts';
import { createDatabase, snapshot, snapshots } from '../support/databases.ts';
import { fixture, run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the identity of a database', () => {
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  const records = (): string => folder('data', 'sqlite-backup', 'identities');
  const recordsOf = (kind: 'path' | 'file'): string[] =>
    readdirSync(records()).filter((name) => name.startsWith(`${kind}-`));
  const identify = async (databases: string[], env = {}): Promise<Identity[]> => {
    const { stdout } = await run([process.execPath, fixture('identify.ts'), ...databases], { env });
    return stdout === '' ? [] : (JSON.parse(stdout) as Identity[]);
  };
  let app = '';

  beforeEach(() => {
    app = createDatabase(folder('app.db'));
  });

  describe('when what is remembered cannot be used', () => {
    for (const [what, spoil] of [
      ['empty', ''],
      ['no JSON', '{'],
      ['of another kind', '{"id":1}'],
      ['that of another path', JSON.stringify({ id: 'x', path: '/else.db', machine: 'm' })],
    ] as const) {
      it(`is found by the other record where one is ${what}, and else a new one that stays`, () => {
        const { id } = identityOf(app);
        const [record = ''] = recordsOf('path');
        writeFileSync(`${records()}/${record}`, spoil);
        assert.deepEqual(identityOf(app), { id, known: 'path' });
        assert.equal(readFileSync(`${records()}/${record}`, 'utf8'), spoil);
        renameSync(createDatabase(folder('new.db')), app);
        assert.deepEqual(identityOf(app), { id, known: 'path' });

        for (const one of readdirSync(records())) writeFileSync(`${records()}/${one}`, spoil);
        const next = identityOf(app);
        assert.notEqual(next.id, id);
        assert.deepEqual(identityOf(app), { id: next.id, known: 'path' });
      });
    }

    it('is not assigned when a record cannot be read: not seen is not new', async () => {
      identityOf(app);
      const [record = ''] = recordsOf('path');
      unlinkSync(`${records()}/${record}`);
      mkdirSync(`${records()}/${record}`);
      assert.throws(() => identityOf(app), { code: 'io-error' });
      const { identities, problem } = await identifyAll([app]);
      assert.equal(identities.size, 0);
      assert.match(problem?.message ?? '', /never removes this backup.*XDG_DATA_HOME/);
    });

    it('is missing, and the reason is told, when the data folder cannot be made', async () => {
      writeFileSync(folder('data'), 'a file');
      const { identities, problem } = await identifyAll([app]);
      assert.equal(identities.size, 0);
      assert.equal(problem?.code, 'no-identity');
    });

    it('is still known when the second of the two records cannot be written', () => {
      const { id } = identityOf(app);
      const [record = ''] = recordsOf('file');
      unlinkSync(`${records()}/${record}`);
      mkdirSync(`${records()}/${record}`);
      assert.deepEqual(identityOf(app), { id, known: 'path' });
    });
  });

  it('is random, and stays with the path', () => {
    const first = identityOf(app);
    assert.match(first.id, /^[0-9a-f]{32}$/);
    assert.equal(first.known, 'new');
    assert.deepEqual(identityOf(app), { id: first.id, known: 'path' });
    assert.deepEqual(
      readdirSync(records()).filter((name) => name.startsWith('.')),
      [],
    );
  });

  it('stays when the application creates its database anew', () => {
    const { id } = identityOf(app);
    renameSync(createDatabase(folder('new.db'), { rows: 3 }), app);
    assert.deepEqual(identityOf(app), { id, known: 'path' });
    assert.equal(recordsOf('file').length, 2);
  });

  it('is another one for a copy, and for a file of the same name elsewhere', () => {
    const { id } = identityOf(app);
    copyFileSync(app, folder('copy.db'));
    mkdirSync(folder('b'));
    copyFileSync(app, folder('b', 'app.db'));
    for (const other of [folder('copy.db'), folder('b', 'app.db')]) {
      const { id: own, ...rest } = identityOf(other);
      assert.notEqual(own, id);
      assert.deepEqual(rest, { known: 'new' });
    }
  });

  it('of a moved file is offered, not taken', () => {
    const { id } = identityOf(app);
    renameSync(app, folder('moved.db'));
    const moved = identityOf(folder('moved.db'));
    assert.notEqual(moved.id, id);
    assert.deepEqual(moved.maybe, { id, path: app });
    assert.deepEqual(identityOf(folder('moved.db')), { id: moved.id, known: 'path' });
  });

  it('of a file that was moved away is not offered when another one is under its path', () => {
    const { id } = identityOf(app);
    renameSync(app, folder('old.db'));
    createDatabase(app);
    assert.equal(identityOf(folder('old.db')).maybe, undefined);
    assert.equal(identityOf(app).id, id);
  });

  it('is not offered to another file that has got the number of a deleted one', () => {
    identityOf(app);
    const [name = ''] = recordsOf('file');
    const other = createDatabase(folder('other.db'));
    identityOf(other);
    const nameOfOther = recordsOf('file').find((one) => one !== name) ?? '';
    // As if `other` had the inode of `app`, which is gone.
    copyFileSync(`${records()}/${name}`, `${records()}/${nameOfOther}`);
    unlinkSync(app);
    renameSync(other, folder('third.db'));
    assert.equal(identityOf(folder('third.db')).maybe, undefined);
  });

  it('is one for all names of the same file, as long as they are', () => {
    const { id } = identityOf(app);
    linkSync(app, folder('hard.db'));
    assert.deepEqual(identityOf(folder('hard.db')), { id, known: 'path' });
    // The application replaces its file: now there are two.
    renameSync(createDatabase(folder('new.db')), app);
    assert.equal(identityOf(app).id, id);
    assert.notEqual(identityOf(folder('hard.db')).id, id);
  });

  it('can be asked for when the file is gone already', () => {
    const { id } = identityOf(app);
    unlinkSync(app);
    assert.deepEqual(identityOf(app), { id, known: 'path' });
  });

  describe('asked for by two processes at once', () => {
    it('is one, whichever of them claims it', () => {
      let inner: Identity | undefined;
      const outer = identityOf(app, (step) => {
        if (step === 'claim') inner ??= identityOf(app);
      });
      assert.equal(inner?.known, 'new');
      assert.deepEqual(outer, { id: inner.id, known: 'path' });
      assert.deepEqual(identityOf(app), outer);
    });

    it('is one also when the second comes between the two records of the first', () => {
      let inner: Identity | undefined;
      const outer = identityOf(app, (step) => {
        if (step === 'index') inner ??= identityOf(app);
      });
      assert.deepEqual(inner, { id: outer.id, known: 'path' });
      assert.deepEqual([recordsOf('path').length, recordsOf('file').length], [1, 1]);
    });

    it('is one for each of ten databases', async () => {
      const databases = Array.from({ length: 10 }, (_, index) => folder(`${index}.db`));
      for (const path of databases) copyFileSync(app, path);
      const answers = await Promise.all([1, 2, 3].map(() => identify(databases)));
      const ids = answers.map((identities) => identities.map(({ id }) => id));
      assert.deepEqual(ids[1], ids[0]);
      assert.deepEqual(ids[2], ids[0]);
      assert.equal(new Set(ids[0]).size, 10);
    });
  });

  describe('of a process that is killed', () => {
    it('before it claims one is assigned by the next', async () => {
      assert.deepEqual(await identify([app], { KILL_AT: 'claim' }), []);
      const [next] = await identify([app]);
      assert.equal(next?.known, 'new');
      assert.deepEqual(identityOf(app), { id: next.id, known: 'path' });
    });

    it('between the two records is kept, and the second record is written by the next', async () => {
      assert.deepEqual(await identify([app], { KILL_AT: 'index' }), []);
      assert.deepEqual([recordsOf('path').length, recordsOf('file').length], [1, 0]);
      const { identities } = await identifyAll([app]);
      assert.equal(identities.get(app)?.known, 'path');
      assert.equal(recordsOf('file').length, 1);
      renameSync(app, folder('moved.db'));
      assert.equal(identityOf(folder('moved.db')).maybe?.path, app);
    });

    it('leaves nothing that the next does not sweep', async () => {
      await identify([app], { KILL_AT: 'claim' });
      assert.equal(readdirSync(records()).filter((name) => name.startsWith('.')).length, 1);
      await identifyAll([app]);
      assert.equal(readdirSync(records()).filter((name) => name.startsWith('.')).length, 0);
    });
  });

  describe('in manifests', () => {
    it('is missing, with a warning, where the data folder cannot be used; the backup is good', async () => {
      writeFileSync(folder('data'), 'a file');
      const { manifest } = await snapshot(app);
      assert.equal(manifest.source.id, undefined);
      assert.equal(manifest.verdict.status, 'ok');
      assert.deepEqual(
        manifest.warnings?.map(({ code }) => code),
        ['no-identity'],
      );
      const { manifest: bundle } = await bundleOf([app]);
      assert.deepEqual(bundle.entries[0]?.source, { path: 'app.db' });
      assert.deepEqual(
        bundle.warnings?.map(({ code }) => code),
        ['no-identity'],
      );
    });

    it('is one for a database, whatever it is called and whichever way it is backed up', async () => {
      symlinkSync(app, folder('current.db'));
      const { id } = identityOf(app);
      const recordAs = { path: 'data/app.db', workspace: 'shop' };
      assert.equal((await snapshot(app)).manifest.source.id, id);
      assert.deepEqual((await snapshot(folder('current.db'), { recordAs })).manifest.source, {
        path: 'data/app.db',
        workspace: 'shop',
        id,
      });
      assert.equal((await bundleOf([app])).manifest.entries[0]?.source.id, id);
      assert.equal((await snapshot(app, { method: 'compact' })).manifest.source.id, id);
    });

    it('tells two databases of one name apart', async () => {
      mkdirSync(folder('b'));
      const other = createDatabase(folder('b', 'app.db'));
      const { snapshots: taken } = await snapshots([app, other]);
      assert.equal(new Set(taken.map(({ manifest }) => manifest.source.id)).size, 2);
      assert.equal(new Set(taken.map(({ manifest }) => manifest.source.path)).size, 1);
    });
  });
});
