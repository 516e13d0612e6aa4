import assert from 'node:assert/strict';
import { readdirSync, truncateSync } from 'node:fs';
import { basename } from 'node:path';
import { takeCheckpoints } from '../../src/core/checkpoint/checkpoint.ts';
import { freeBytes } from '../../src/core/files/space.ts';
import { takeSnapshots } from '../../src/core/snapshot/snapshot.ts';
import { quietHooks } from '../support/bundles.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, requestForAll } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** Files with holes take no space: a database that is larger than the disk is made in a moment. */
describe('several databases, of which one is larger than the free space', () => {
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));

  before(function () {
    if (process.platform === 'win32') this.skip(); // The holes take space there.
  });

  const make = (name: string): string => createDatabase(folder(name), { rows: 50 });
  const makeLarge = (name: string): string => {
    const path = make(name);
    truncateSync(path, freeBytes(folder()) + 4096 * 1_000_000);
    return path;
  };
  const take = (
    paths: string[],
    method: 'exact' | 'compact' = 'exact',
  ): ReturnType<typeof takeSnapshots> => {
    const changes = { folder: folder('backups'), method, largestBytes: Number.MAX_SAFE_INTEGER };
    return takeSnapshots(requestForAll(paths, changes), quietHooks);
  };

  for (const method of ['exact', 'compact'] as const)
    it(`are saved but that one, which is named (${method})`, async () => {
      const [a, large, b] = [make('a.db'), makeLarge('large.db'), make('b.db')];
      const { snapshots, failures } = await take([large, b, a], method);
      assert.deepEqual(
        snapshots.map(({ requested }) => requested),
        [b, a],
      );
      const [failure, ...others] = failures;
      assert.deepEqual([failure?.database, others], [large, []]);
      assert.equal(failure?.error.code, 'target-full');
      assert.match(failure?.error.message ?? '', /large\.db was not copied\. Not enough space in/);
      assert.equal(readdirSync(folder('backups')).length, 4);
    });

  it('are saved as checkpoints too, and the large one is asked for again the next time', async () => {
    const [a, large] = [make('a.db'), makeLarge('large.db')];
    const request = {
      databases: [large, a].map((database) => ({ database, recordAs: { path: 'x' } })),
      ...({ cause: { kind: 'manual' }, trigger: 'cli', force: false } as const),
      ...{ busyTimeoutMs: 100, largestBytes: Number.MAX_SAFE_INTEGER, toolVersion: '0' },
      largestTotalBytes: 1e9,
    };
    for (const isFirst of [true, false]) {
      const { checkpoints, unchanged, failures } = await takeCheckpoints(request, quietHooks);
      const saved = isFirst ? checkpoints : unchanged;
      assert.deepEqual(
        saved.map(({ database }) => basename(database)),
        ['a.db'],
      );
      assert.deepEqual(
        failures.map(({ database }) => database),
        [large],
      );
    }
  });

  it('are one failure where there is room for none', async () => {
    const paths = [makeLarge('x.db'), makeLarge('y.db')];
    await assert.rejects(take(paths), { code: 'target-full', message: /^Not enough space in/ });
    assert.deepEqual(readdirSync(folder()).sort(), ['x.db', 'y.db']);
  });
});
