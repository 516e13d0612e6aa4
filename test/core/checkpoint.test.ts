import assert from 'node:assert/strict';
import {
  type BigIntStats,
  copyFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readStamp } from '../../src/core/checkpoint/stamp.ts';
import { idOf, type StoredCheckpoint } from '../../src/core/checkpoint/store.ts';
import { planThinning } from '../../src/core/checkpoint/thinning.ts';
import type { Manifest } from '../../src/core/manifest/manifest.ts';
import { createDatabase, withDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the stamp of a database', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const textOf = (path = folder('app.db')): string => readStamp(path).text;
  const change = (sql: string): void =>
    withDatabase(folder('app.db'), (db) => {
      db.exec(sql);
    });

  for (const journalMode of ['delete', 'wal'] as const) {
    it(`changes with each commit, and with nothing else (${journalMode})`, async () => {
      createDatabase(folder('app.db'), { journalMode });
      await holdOpen(folder('app.db'), 'SELECT count(*) FROM items');
      const before = textOf();
      await holdOpen(folder('app.db'), 'SELECT count(*) FROM items', 'PRAGMA schema_version');
      assert.equal(textOf(), before);
      const seen = new Set([before]);
      for (const sql of [
        "UPDATE items SET name = 'x' WHERE id = 1",
        "UPDATE items SET name = 'y' WHERE id = 1",
        'PRAGMA user_version = 5',
        'DELETE FROM items WHERE id = 1',
      ]) {
        change(sql);
        assert.ok(!seen.has(textOf()), sql);
        seen.add(textOf());
      }
    });
  }

  it('changes when the file is replaced by one of the same size and times, removed, or made anew', () => {
    createDatabase(folder('app.db'));
    const before = textOf();
    const { atime, mtime } = statSync(folder('app.db'));
    copyFileSync(folder('app.db'), folder('other.db'));
    utimesSync(folder('other.db'), atime, mtime);
    renameSync(folder('other.db'), folder('app.db'));
    assert.notEqual(textOf(), before);
    rmSync(folder('app.db'));
    const gone = textOf();
    assert.notEqual(gone, before);
    writeFileSync(folder('app.db'), '');
    assert.notEqual(textOf(), gone);
  });

  it('is not settled on a file system that counts in steps of two seconds until the step is over', () => {
    createDatabase(folder('app.db'));
    const step = 2_000_000_000n;
    const coarse = (path: string): BigIntStats | undefined => {
      const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (stats === undefined) return undefined;
      const ns = (stats.mtimeNs / step) * step;
      const ms = ns / 1_000_000n;
      return Object.assign(stats, { mtimeNs: ns, ctimeNs: ns, mtimeMs: ms, ctimeMs: ms });
    };
    const at = Number(coarse(folder('app.db'))?.mtimeMs);
    const settled = [0, 1999, 2000].map(
      (later) => readStamp(folder('app.db'), { stat: coarse, now: () => at + later }).isSettled,
    );
    assert.deepEqual(settled, [false, false, true]);
  });

  it('is not settled while its times are younger than two seconds, unless a -shm tells of commits', async () => {
    createDatabase(folder('app.db'));
    const writtenAt = Math.floor(statSync(folder('app.db')).ctimeMs);
    const settled = (now: number): boolean =>
      readStamp(folder('app.db'), { now: () => now }).isSettled;
    assert.deepEqual([settled(writtenAt + 1999), settled(writtenAt + 2001)], [false, true]);
    // A clock that went back.
    assert.equal(settled(writtenAt - 5000), false);
    createDatabase(folder('wal.db'), { journalMode: 'wal' });
    await holdOpen(folder('wal.db'), 'SELECT 1 FROM items');
    assert.equal(readStamp(folder('wal.db'), { now: () => 0 }).isSettled, true);
    // Without a WAL, a -shm is one that a crash left.
    writeFileSync(folder('app.db-shm'), Buffer.alloc(32768, 1));
    assert.equal(settled(writtenAt), false);
  });
});

describe('thinning checkpoints out', () => {
  const now = new Date('2026-06-15T12:00:00Z');
  const hours = (count: number): string =>
    new Date(now.getTime() - count * 3_600_000).toISOString();
  const make = (createdAt: string, changes: Partial<Manifest> = {}): StoredCheckpoint => {
    const manifest = {
      createdAt,
      source: { path: 'app.db', id: 'a' },
      sha256: 'x',
      sizeBytes: 100,
      verdict: { status: 'unchecked', findings: [] },
      ...changes,
    } as unknown as Manifest;
    const isUsable = manifest.verdict.status !== 'damaged';
    const diskBytes = manifest.sizeBytes;
    return { id: idOf(manifest), path: createdAt, manifest, isUsable, diskBytes };
  };
  const goes = (stored: StoredCheckpoint[], largestTotalBytes = 1e9): string[] => {
    const newestFirst = stored.toSorted((a, b) => (a.path < b.path ? 1 : -1));
    return planThinning(newestFirst, { largestTotalBytes, now }).map(({ path }) => path);
  };

  it('keeps all of two hours, the last of each hour of a day, the last of each day of a week', () => {
    const young = [0.1, 0.2, 1.9].map((age) => make(hours(age)));
    const day = [make(hours(5.2)), make(hours(5.5)), make(hours(6.5))];
    const week = [make(hours(50)), make(hours(51)), make(hours(80))];
    const old = [make(hours(24 * 8))];
    const gone = goes([...young, ...day, ...week, ...old]);
    assert.deepEqual(gone, [hours(24 * 8), hours(51), hours(5.5)]);
  });

  it('never takes the newest usable one, a pinned one, one before lost rows, one ahead, nor one of an unknown database', () => {
    const [old, older, ancient] = [24 * 20, 24 * 21, 24 * 22].map(hours);
    const losses = [{ database: 'a', table: 't', before: 5, since: older, at: old }];
    const stored = [
      make(new Date(now.getTime() + 9e9).toISOString()),
      make(hours(24 * 19), { verdict: { status: 'damaged', findings: [] } }),
      make(old ?? '', { losses } as Partial<Manifest>),
      make(older ?? ''),
      make(ancient ?? '', { pinned: true }),
      make(hours(24 * 30), { source: { path: 'app.db' } }),
      make(hours(24 * 31)),
    ];
    assert.deepEqual(goes(stored, 0), [hours(24 * 31), hours(24 * 19)]);
  });

  it('takes the oldest first when all together are too large', () => {
    const stored = [0.1, 0.5, 1, 1.5].map((age) => make(hours(age)));
    assert.deepEqual(goes(stored, 250), [hours(1.5), hours(1)]);
    assert.deepEqual(goes(stored, 0), [hours(1.5), hours(1), hours(0.5)]);
  });
});
