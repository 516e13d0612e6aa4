import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import {
  planPruning,
  remarkOn,
  removeBackups,
  renameBackup,
} from '../../src/core/catalog/keeping.ts';
import type { Policy } from '../../src/core/catalog/retention.ts';
import { updateManifest } from '../../src/core/manifest/manifestFile.ts';
import { bundleOf } from '../support/bundles.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import {
  createDatabase,
  manifestOf,
  overwrite,
  snapshot,
  snapshots,
  writeBytes,
} from '../support/databases.ts';
import { failAt, whileDisturbed, withoutHardLinks } from '../support/disturbance.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const hour = 3_600_000;

describe('keeping the backups of a folder in order', () => {
  const folder = useTempFolder();
  let dataFolder = '';
  useDataFolder(() => dataFolder);
  let app = '';

  beforeEach(() => {
    dataFolder = folder('data');
    process.env['XDG_DATA_HOME'] = dataFolder;
    app = createDatabase(folder('app.db'), { rows: 5 });
  });

  /** What would go, by the names of the files. */
  const goes = (policy: Policy = { keepLast: 1 }, now = new Date()): string[] =>
    planPruning(folder('backups'), policy, now).remove.map(({ path }) => basename(path));

  /** Changes what a manifest says, as another program, an older version or another clock may have. */
  const rewrite = (backup: string, edit: (manifest: Record<string, unknown>) => object): void => {
    const manifest = JSON.parse(readFileSync(`${backup}.json`, 'utf8')) as Record<string, unknown>;
    writeBytes(`${backup}.json`, JSON.stringify(edit(manifest)));
  };
  const withoutId = (backup: string): void =>
    rewrite(backup, (manifest) => ({ ...manifest, source: { path: 'app.db' } }));
  const at = (backup: string, time: number): void =>
    rewrite(backup, (manifest) => ({ ...manifest, createdAt: new Date(time).toISOString() }));

  for (const step of ['listed', 'aside'] as const)
    for (const held of [
      { pinned: true },
      { branches: [{ name: 'main', copy: 'app.db', at: new Date().toISOString() }] },
    ])
      it(`removes none that another window holds meanwhile: ${step}, ${Object.keys(held).join()}`, async () => {
        const paths = [(await snapshot(app)).path, (await snapshot(app)).path];
        const [kept = '', other = ''] = paths;
        const before = readFileSync(kept);
        const { removed, failures } = removeBackups(folder('backups'), paths, (at, path) => {
          if (at === step && path === kept) updateManifest(kept, held);
        });
        assert.deepEqual(removed, [other]);
        assert.match(failures[0]?.message ?? '', /is pinned now, or the last state of a branch/);
        assert.deepEqual(readFileSync(kept), before);
        const names = [basename(kept), `${basename(kept)}.json`];
        assert.deepEqual(readdirSync(folder('backups')).sort(), names);
      });

  it('tells the window that pins a backup while it is removed', async () => {
    const { path } = await snapshot(app);
    const { removed } = removeBackups(folder('backups'), [path], (at) => {
      if (at === 'aside')
        assert.throws(() => remarkOn(path, { pinned: true }), { code: 'source-missing' });
    });
    assert.deepEqual(removed, [path]);
    assert.deepEqual(readdirSync(folder('backups')), []);
  });

  it('leaves a backup whole or takes it away when its removal fails half-way', async () => {
    for (let nth = 1, left = true; left; nth++) {
      const { path } = await snapshot(app);
      const before = readFileSync(path);
      left = false;
      let removed: string[] = [];
      const fail = failAt(nth, 'EIO');
      await whileDisturbed(
        folder('backups'),
        (step) => {
          left ||= step.nth === nth;
          fail(step);
        },
        () =>
          Promise.resolve().then(() => {
            removed = removeBackups(folder('backups'), [path]).removed;
          }),
      ).catch(() => undefined);
      if (!existsSync(path)) assert.deepEqual(removed, [path], `operation ${nth}`);
      else assert.deepEqual([readFileSync(path), manifestOf(path).kind], [before, 'snapshot']);
      rmSync(folder('backups'), { recursive: true });
    }
  });

  for (const [what, disturb] of [
    ['with hard links', (hook) => hook],
    ['without hard links', withoutHardLinks],
  ] as [string, typeof withoutHardLinks][]) {
    it(`loses no backup when its new name fails half-way, ${what}`, async () => {
      const { path } = await snapshot(app);
      const before = readFileSync(path);
      let left = true;
      for (let nth = 1; left; nth++) {
        left = false;
        const fail = failAt(nth, 'EIO');
        await whileDisturbed(
          folder('backups'),
          disturb((step) => {
            left ||= step.nth === nth;
            fail(step);
          }),
          () => Promise.resolve().then(() => renameBackup(path, `kept ${nth}.db`)),
        ).catch(() => undefined);
        if (!left) break;
        const names = readdirSync(folder('backups')).filter((name) => !name.endsWith('.json'));
        const same = names.filter((name) => readFileSync(folder('backups', name)).equals(before));
        assert.ok(same.length > 0, `operation ${nth}`);
      }
    });
  }

  describe('does not take two databases for one', () => {
    for (const [what, recordAs] of [
      ['of one name', { path: 'app.db' }],
      ['of two checkouts in folders of one name', { path: 'data/app.db', workspace: 'shop' }],
    ] as const) {
      it(what, async () => {
        mkdirSync(folder('b'));
        const other = createDatabase(folder('b', 'app.db'));
        await snapshots([app, other], {
          databases: [app, other].map((database) => ({ database, recordAs })),
          folder: folder('backups'),
        });
        assert.deepEqual(goes(), []);
        const { path } = await snapshot(app, { recordAs });
        assert.equal(goes().length, 1);
        assert.ok(!goes().includes(basename(path)));
      });
    }

    it('of two machines that write into one folder, be they under the same path', async () => {
      await snapshot(app);
      dataFolder = folder('data of the other machine');
      process.env['XDG_DATA_HOME'] = dataFolder;
      await snapshot(app);
      assert.deepEqual(goes(), []);
    });

    it('in bundles of one name', async () => {
      mkdirSync(folder('b'));
      const other = createDatabase(folder('b', 'app.db'));
      for (const database of [app, other])
        await bundleOf([database], { folder: folder('backups'), name: 'shop' });
      assert.deepEqual(goes(), []);
      await bundleOf([app], { folder: folder('backups'), name: 'shop' });
      assert.equal(goes().length, 1);
    });

    it('whose backups an older version has made, or one without a data folder', async () => {
      const made = [await snapshot(app), await snapshot(app), await snapshot(app)];
      assert.equal(goes().length, 2);
      for (const { path } of made.slice(0, 2)) withoutId(path);
      assert.deepEqual(goes({ keepLast: 1, maxTotalSize: 1 }), []);
    });

    it('but a copy of a backup with its manifest counts with it', async () => {
      const { path } = await snapshot(app);
      copyFileSync(path, folder('backups', 'copy.db'));
      copyFileSync(`${path}.json`, folder('backups', 'copy.db.json'));
      assert.equal(goes().length, 1);
    });
  });

  describe('when the clock was wrong', () => {
    it('keeps what is dated in the future, and the backup of a second ago', async () => {
      const { path: ahead } = await snapshot(app);
      at(ahead, Date.now() + 24 * hour);
      await snapshot(app);
      assert.deepEqual(goes(), []);
      await snapshot(app);
      assert.equal(goes().length, 1);
      assert.ok(!goes().includes(basename(ahead)));
    });

    it('goes on in the order in which backups were made when it goes back between two', async () => {
      const { path: first } = await snapshot(app);
      at(first, Date.now() + hour);
      const { path: second, manifest } = await snapshot(app);
      assert.equal(manifest.after, manifestOf(first).createdAt);
      const { path: third } = await snapshot(app);
      // When the time of the first has come, it is still the oldest.
      const later = new Date(Date.now() + 2 * hour);
      assert.deepEqual(
        goes({ keepLast: 1 }, later).sort(),
        [first, second].map((p) => basename(p)).sort(),
      );
      assert.ok(!goes({ keepLast: 1 }, later).includes(basename(third)));
    });

    it('of a machine that believed it was 1970 knows that its backup is the newest', async () => {
      const { path: first } = await snapshot(app);
      const { path: second } = await snapshot(app);
      rewrite(second, (manifest) => ({
        ...manifest,
        createdAt: '1970-01-01T00:00:10.000Z',
        after: manifestOf(first).createdAt,
      }));
      assert.deepEqual(goes(), [basename(first)]);
    });

    it('says nothing of it in a manifest when it was right', async () => {
      await snapshot(app);
      const { manifest } = await snapshot(app);
      assert.equal(manifest.after, undefined);
      const { manifest: bundle } = await bundleOf([app]);
      assert.equal(bundle.after, undefined);
    });
  });

  describe('of a damaged database', () => {
    const suspects = (): string[] =>
      readdirSync(folder('backups')).filter((name) => name.endsWith('.suspect'));
    const fail = (): Promise<void> => assert.rejects(snapshot(app), { code: 'corrupt' });
    const damage = (): void => {
      createDatabase(folder('app.db'), { sql: 'DROP TABLE items; VACUUM' });
      createDatabase(folder('app.db'), { rows: 500 });
      overwrite(app, 10 * 4096, Buffer.alloc(4096, 0xa5));
    };

    it('keeps the first damaged copy and the newest, however often it is tried', async () => {
      await snapshot(app);
      damage();
      await fail();
      const [first = ''] = suspects();
      await fail();
      assert.equal(suspects().length, 2);
      await fail();
      await fail();
      assert.equal(suspects().length, 2);
      assert.ok(suspects().includes(first));
      assert.equal(readdirSync(folder('backups')).length, 6);
      assert.deepEqual(goes(), []);
    });

    it('leaves the copies of another database, and the one that a person has pinned', async () => {
      mkdirSync(folder('b'));
      damage();
      copyFileSync(app, folder('b', 'app.db'));
      const failOther = (): Promise<void> =>
        assert.rejects(snapshot(folder('b', 'app.db'), { folder: folder('backups') }), {
          code: 'corrupt',
        });
      await failOther();
      await failOther();
      const ofOther = suspects();
      await fail();
      const known = suspects();
      await fail();
      const second = suspects().find((name) => !known.includes(name)) ?? '';
      remarkOn(folder('backups', second), { pinned: true });
      await fail();
      await fail();
      assert.equal(suspects().length, 5);
      for (const name of [...ofOther, second]) assert.ok(suspects().includes(name));
    });

    it('begins anew after a good backup', async () => {
      damage();
      await fail();
      await fail();
      createDatabase(folder('new.db'), { rows: 5 });
      copyFileSync(folder('new.db'), app);
      await snapshot(app);
      // With a good one after them they may go, but by the rules only.
      assert.equal(suspects().length, 2);
      assert.deepEqual(goes().sort(), suspects().sort());
      damage();
      await fail();
      assert.equal(suspects().length, 3);
    });
  });
});
