import assert from 'node:assert/strict';
import { existsSync, openSync, closeSync, ftruncateSync, writeSync } from 'node:fs';
import { diskUseOf, parseLayouts, SeenBlocks } from '../../src/core/checkpoint/diskUse.ts';
import { storedIn, type StoredCheckpoint } from '../../src/core/checkpoint/store.ts';
import { planThinning } from '../../src/core/checkpoint/thinning.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** As filefrag prints it of a clone on XFS whose first blocks have been written since. */
const printed = `Filesystem type is: 58465342
File size of /a b/app.db is 16384 (4 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..       0:         90..        90:      1:
   1:        1..       3:         13..        15:      3:         91: last,shared,eof
/a b/app.db: 2 extents found
File size of /c/new.db is 16384 (4 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..       3:         12..        15:      4:             last,shared,eof
/c/new.db: 1 extent found
File size of /c/small.db is 512 (1 block of 4096 bytes)
   0:        0..       0:          0..         0:      1:             last,not_aligned,inline,eof
`;

describe('the disk that checkpoints take', () => {
  const folder = useTempFolder();

  it('is read from what filefrag prints, with blanks in names, shared and inline blocks', () => {
    const layouts = parseLayouts(printed, ['/a b/app.db', '/c/new.db', '/c/small.db']);
    assert.deepEqual(Object.fromEntries(layouts), {
      '/a b/app.db': {
        blockBytes: 4096,
        extents: [
          [90, 1],
          [13, 3],
        ],
      },
      '/c/new.db': { blockBytes: 4096, extents: [[12, 4]] },
      '/c/small.db': { blockBytes: 4096, extents: [] },
    });
    assert.equal(parseLayouts('filefrag: not found', ['/x']).size, 0);
  });

  it('counts shared blocks once, of small files and of those of terabytes', () => {
    const seen = new SeenBlocks();
    const added = (...extents: [number, number][]): number | undefined =>
      seen.add({ blockBytes: 1, extents });
    assert.equal(added([10, 5], [0, 3]), 8);
    assert.equal(added([10, 5]), 0);
    assert.equal(added([12, 6], [2, 2]), 4);
    assert.equal(added([4, 6]), 6);
    assert.equal(added([0, 18]), 0);
    assert.equal(added([100, 5e9], [0, 50]), 5e9 + 32);
    assert.equal(added([200, 1e9]), 0);
    assert.equal(added(), 0);
    assert.equal(seen.add(undefined), undefined);
  });

  it('is that of allocated blocks: what a file only claims does not cost others their place', async () => {
    const database = createDatabase(folder('app.db'), { rows: 10 });
    const { path } = await snapshot(database);
    const handle = openSync(path, 'r+');
    ftruncateSync(handle, 1_000_000_000);
    writeSync(handle, 'x', 999_999_999);
    closeSync(handle);
    const [one] = storedIn(folder('backups'));
    assert.ok(one && one.diskBytes < 1_000_000, `${one?.diskBytes}`);
    assert.equal(one.isUsable, false, 'it has another size than it was made with');
    assert.equal(diskUseOf([one]).get(path), one.diskBytes);
  });

  it('decides which go, and one that is gone meanwhile takes none', () => {
    const at = (hours: number): StoredCheckpoint => {
      const path = folder(`${hours}.db`);
      const createdAt = new Date(Date.UTC(2026, 5, 15, 12) - hours * 3_600_000).toISOString();
      const manifest = {
        createdAt,
        sizeBytes: 1e9,
        verdict: { status: 'ok' },
        source: { id: 'a' },
      };
      const diskBytes = existsSync(path) ? 0 : 100;
      return { id: path, path, isUsable: true, diskBytes, manifest } as unknown as StoredCheckpoint;
    };
    const stored = [0.1, 0.5, 1].map(at);
    const now = new Date(Date.UTC(2026, 5, 15, 12));
    const goes = planThinning(stored, { largestTotalBytes: 250, now });
    assert.deepEqual(
      goes.map(({ path }) => path),
      [folder('1.db')],
    );
    assert.deepEqual(planThinning(stored, { largestTotalBytes: 300, now }), []);
  });
});
