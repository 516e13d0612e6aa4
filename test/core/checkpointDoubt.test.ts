import assert from 'node:assert/strict';
import {
  type BigIntStats,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { takeCheckpoints } from '../../src/core/checkpoint/checkpoint.ts';
import { readStamp } from '../../src/core/checkpoint/stamp.ts';
import { storedIn, thoseOfDatabase } from '../../src/core/checkpoint/store.ts';
import { planThinning } from '../../src/core/checkpoint/thinning.ts';
import { editManifest } from '../../src/core/manifest/manifestFile.ts';
import { keepBaseline, restoreBaseline } from '../../src/core/states/baseline.ts';
import { handle } from '../../src/worker/handlers.ts';
import { inProcess, takingInto } from '../support/checkpoints.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const hourMs = 3_600_000;

describe('a checkpoint in doubt', () => {
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  const taking = (): ReturnType<typeof takingInto> => takingInto(folder('cp'));
  const take = (
    names: string[],
    options: Parameters<typeof takeCheckpoints>[2] = {},
  ): ReturnType<typeof takeCheckpoints> => {
    const databases = names.map((name) => ({ database: folder(name), recordAs: { path: name } }));
    return takeCheckpoints({ ...taking(), databases, force: false }, inProcess, options);
  };
  const write = (name: string, sql: string): void =>
    withDatabase(folder(name), (db) => {
      db.exec(sql);
    });

  describe('whose database cannot be looked at', () => {
    for (const suffix of ['', '-wal', '-journal'])
      it(`is never the state of now: app.db${suffix}`, () => {
        createDatabase(folder('app.db'));
        const stat = (path: string): BigIntStats | undefined => {
          if (path === folder(`app.db${suffix}`))
            throw Object.assign(new Error('EIO'), { code: 'EIO' });
          return statSync(path, { bigint: true, throwIfNoEntry: false });
        };
        const now = (): number => Date.now() + 60_000;
        const [one, other] = [
          readStamp(folder('app.db'), { stat, now }),
          readStamp(folder('app.db'), { stat, now }),
        ];
        assert.notEqual(one.text, other.text);
        assert.deepEqual([one.isSettled, other.isSettled], [false, false]);
      });

    it('that was not there when it was asked about has no stamp to be found by', () => {
      assert.equal(readStamp(folder('none.db')).isSettled, false);
    });
  });

  for (const hasOneHere of [false, true])
    it(`is found on a machine that has another name, as a rebuilt container${hasOneHere ? ', also after the first one there' : ''}`, async () => {
      const database = createDatabase(folder('app.db'));
      mkdirSync(folder('other'));
      createDatabase(folder('other/app.db'));
      const [before] = (await take(['app.db'])).checkpoints;
      // The names of what is remembered begin with a hash of the machine, and so do their contents.
      const records = join(folder('data'), 'sqlite-backup', 'identities');
      for (const name of readdirSync(records)) {
        const text = readFileSync(join(records, name), 'utf8');
        const machine = /"machine":"([0-9a-f]{12})"/.exec(text)?.[1];
        if (machine !== undefined)
          writeFileSync(
            join(records, `path-${'0'.repeat(32)}.json`),
            text.replace(machine, '0'.repeat(12)),
          );
        rmSync(join(records, name));
      }
      write('app.db', 'DELETE FROM items');
      const after = hasOneHere ? (await take(['app.db'])).checkpoints : [];
      const found = thoseOfDatabase(storedIn(folder('cp')), database).map(({ id }) => id);
      assert.deepEqual(found, [...after.map(({ id }) => id), before?.id]);
      assert.deepEqual(thoseOfDatabase(storedIn(folder('cp')), folder('other/app.db')), []);
      const params = { checkpoints: folder('cp'), databases: [database] };
      const { ids } = handle('catalogCheckpoints', params, inProcess) as {
        ids: Record<string, string[]>;
      };
      assert.equal(ids[database]?.length, found.length);
    });

  it('that is damaged takes the place of no good one of the same hour', async () => {
    createDatabase(folder('app.db'));
    await take(['app.db']);
    const [one] = storedIn(folder('cp'));
    assert.ok(one);
    const at = (ageMs: number, isUsable = true): typeof one => ({
      ...{ ...one, isUsable, path: `${ageMs}` },
      manifest: { ...one.manifest, createdAt: new Date(5.5 * hourMs + 1e12 - ageMs).toISOString() },
    });
    const now = new Date(5.5 * hourMs + 1e12);
    const minute = 60_000;
    const base = 5 * hourMs;
    const stored = [at(0), at(base, false), at(base + minute), at(base + 2 * minute)];
    const hour = (ms: number): number => Math.floor((now.getTime() - ms) / hourMs);
    assert.equal(hour(base), hour(base + 2 * minute));
    const goes = planThinning(stored, { largestTotalBytes: 1e12, now }).map(({ path }) => path);
    assert.deepEqual(goes, [`${base + 2 * minute}`]);
  });

  it('that was taken while the clock was ten days back is as young as the one before it', async () => {
    createDatabase(folder('app.db'));
    await take(['app.db']);
    const [one] = storedIn(folder('cp'));
    assert.ok(one);
    const now = new Date();
    const minutesAgo = (minutes: number): string =>
      new Date(now.getTime() - minutes * 60_000).toISOString();
    const dated = (createdAt: string, after?: string): typeof one => ({
      ...{ ...one, path: createdAt },
      manifest: { ...one.manifest, createdAt, ...(after !== undefined && { after }) },
    });
    const tenDays = 10 * 24 * 60;
    const back = dated(minutesAgo(tenDays), minutesAgo(30));
    const stored = [dated(minutesAgo(5)), back, dated(minutesAgo(30))];
    assert.deepEqual(planThinning(stored, { largestTotalBytes: 1e12, now }), []);
    // And it goes with the others of its time.
    const later = new Date(now.getTime() + 8 * 24 * 3_600_000);
    assert.ok(planThinning(stored, { largestTotalBytes: 1e12, now: later }).includes(back));
  });

  it('that is removed while another one is compared with it is not named as there', async () => {
    for (const name of ['a.db', 'b.db']) createDatabase(folder(name));
    const first = await take(['a.db', 'b.db']);
    const [ofA] = first.checkpoints;
    assert.ok(ofA);
    // The same content again.
    for (const name of ['a.db', 'b.db']) write(name, 'PRAGMA user_version = 0');
    for (const { path } of storedIn(folder('cp')))
      editManifest(path, (before) => ({ ...before, stamp: 'x' }));
    let looks = 0;
    const now = (): number => {
      looks += 1;
      // The comparison of the second database is the last look before the answer.
      if (looks === looksBeforeAnswer)
        for (const path of [ofA.path, `${ofA.path}.json`]) rmSync(path);
      return Date.now() + 60_000;
    };
    // Two stamps and two newest ones, then one comparison each.
    const looksBeforeAnswer = 6;
    const { unchanged, failures } = await take(['a.db', 'b.db'], { now });
    assert.ok(!existsSync(ofA.path));
    assert.deepEqual(
      unchanged.map(({ database }) => database),
      [folder('b.db')],
    );
    assert.deepEqual(
      failures.map(({ database, error }) => [database, error.code]),
      [[folder('a.db'), 'incomplete']],
    );
  });

  it('is told as taken although old ones cannot be thinned out', async () => {
    createDatabase(folder('app.db'));
    let looks = 0;
    const { checkpoints } = await take(['app.db'], {
      now() {
        looks += 1;
        // The last look is that of thinning out.
        if (existsSync(folder('cp')) && storedIn(folder('cp')).length > 0 && looks > 2)
          throw Object.assign(new Error('EIO: i/o error, scandir'), {
            code: 'EIO',
            syscall: 'scandir',
          });
        return Date.now();
      },
    });
    assert.equal(checkpoints.length, 1);
  });

  it('is not said to be missing where the folder cannot be looked into', function () {
    writeFileSync(folder('file'), '');
    assert.throws(() => storedIn(join(folder('file'), 'cp')), { name: 'BackupError' });
    assert.deepEqual(storedIn(folder('none')), []);
    if (process.getuid?.() === 0) this.skip();
    mkdirSync(folder('closed/cp'), { recursive: true });
    chmodSync(folder('closed'), 0);
    try {
      assert.throws(() => storedIn(folder('closed/cp')), { name: 'BackupError' });
    } finally {
      chmodSync(folder('closed'), 0o700);
    }
  });

  it('of another project is no baseline of a database with the same name', async () => {
    for (const name of ['one/app.db', 'two/app.db']) {
      mkdirSync(dirname(folder(name)));
      createDatabase(folder(name), { rows: name.startsWith('one') ? 10 : 20 });
    }
    const recordAs = { path: 'app.db' };
    const databases = [{ database: folder('one/app.db'), recordAs }];
    await keepBaseline({ name: 'seed', databases, replace: false, taking: taking() }, inProcess);
    const items = [{ target: folder('two/app.db'), recordAs }] as [
      { target: string; recordAs: typeof recordAs },
    ];
    await assert.rejects(
      restoreBaseline({ name: 'seed', items, discard: false, taking: taking() }, inProcess),
      { code: 'source-missing' },
    );
    assert.equal(valueOf(folder('two/app.db'), 'SELECT count(*) FROM items'), 20);
  });

  for (const journalMode of ['delete', 'wal'] as const)
    it(`is not taken for what a program writes in the moment in which it is put back (${journalMode})`, async () => {
      createDatabase(folder('app.db'), { rows: 10, journalMode });
      const recordAs = { path: 'app.db' };
      const databases = [{ database: folder('app.db'), recordAs }];
      await keepBaseline({ name: 'seed', databases, replace: false, taking: taking() }, inProcess);
      write('app.db', 'DELETE FROM items WHERE id > 5');
      const request = {
        ...{ name: 'seed', items: [{ target: folder('app.db'), recordAs }], discard: false },
        taking: taking(),
      };
      await restoreBaseline(request, {
        ...inProcess,
        async keepOut(paths) {
          const kept = await inProcess.keepOut(paths);
          return {
            ...kept,
            letGo() {
              write('app.db', "UPDATE items SET name = 'of a program' WHERE id = 1");
              return Promise.resolve();
            },
          };
        },
      });
      const { outcome, kept } = await restoreBaseline(request, inProcess);
      assert.equal(outcome, 'restored');
      const path = storedIn(folder('cp')).find(({ id }) => id === kept)?.path ?? '';
      assert.equal(valueOf(path, 'SELECT name FROM items WHERE id = 1'), 'of a program');
    });
});
