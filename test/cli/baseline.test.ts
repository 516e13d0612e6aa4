import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createDatabase, overwrite, sha256, valueOf, withDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, runCli, type Ended } from '../support/processes.ts';
import { isThorough, itInPart, itWhere } from '../support/operations.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** Ten in the whole run. */
const runs = isThorough ? 10 : 2;
const count = 'SELECT count(*) FROM items';

describe('baselines on the command line', function () {
  this.timeout(60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';

  const cli = (...args: string[]): Promise<Ended> =>
    runCli(args, {
      cwd: folder('work'),
      env: { SQLITE_BACKUP_CHECKPOINTS: folder('cp'), XDG_DATA_HOME: folder('data') },
    });
  const good = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const change = (sql: string): void =>
    withDatabase(database, (db) => {
      db.exec(sql);
    });
  const restore = (...more: string[]): Promise<Ended> =>
    cli('restore', '--baseline', 'seeded', 'test.db', '--yes', ...more);
  const left = (): string[] => readdirSync(folder('work')).sort();

  beforeEach(() => {
    mkdirSync(folder('work'));
    database = createDatabase(folder('work/test.db'), { rows: 100 });
    // As one that was made a while ago: its times tell what is later.
    utimesSync(database, 1e9, 1e9);
  });

  itInPart('says how it is used, and that there is none', async () => {
    for (const [args, message] of [
      [['restore', '--baseline', 'x'], /one target/],
      [['restore', '--baseline', 'x', 'test.db'], /--yes.*--check/],
      [['restore', '--baseline', 'x', 'test.db', '--yes', '--check'], /--yes.*--check/],
      [['restore', '--baseline', 'x', 'test.db', '--check', '--discard'], /no --discard/],
      [['restore', '--baseline', 'x', 'test.db', '--yes', '--unproved'], /--unproved/],
      [['restore', 'a.db', 'test.db', '--yes', '--discard'], /go with --baseline/],
      [['checkpoint', 'test.db', '--replace'], /goes with --baseline/],
    ] as const) {
      const { code, stderr } = await cli(...args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    }
    const { code, stderr } = await restore();
    assert.equal(code, 1);
    assert.match(stderr, /has no baseline "seeded"[^]*checkpoint .*--baseline "seeded"/);
  });

  for (const mode of ['delete', 'wal'])
    itWhere(mode === 'wal')(
      `gives a suite of tests the same start each time (${mode})`,
      async () => {
        change(`PRAGMA journal_mode = ${mode}`);
        chmodSync(database, 0o640);
        await good('checkpoint', 'test.db', '--baseline', 'seeded');
        const starts = new Set<string>();
        for (let run = 0; run < runs; run++) {
          change(`DELETE FROM items WHERE id % 3 = ${run % 3}; CREATE TABLE run_${run} (a)`);
          const { code, stderr } = await restore('--discard');
          assert.equal(code, 0, stderr);
          assert.match(stderr, /was discarded/);
          starts.add(sha256(database));
          assert.deepEqual(left(), ['test.db']);
          assert.equal(statSync(database).mode & 0o777, 0o640);
          assert.equal(valueOf(database, 'PRAGMA journal_mode'), mode);
          assert.equal(valueOf(database, count), 100);
        }
        assert.equal(starts.size, 1);
      },
    );

  it('saves what lies there first, and the undo brings that back', async () => {
    await good('checkpoint', 'test.db', '--baseline', 'seeded');
    change('DELETE FROM items WHERE id > 7');
    const { stdout } = await restore();
    const [, undo = ''] = /Undo: sqlite-backup restore ([0-9a-f]+) /.exec(stdout) ?? [];
    assert.equal(valueOf(database, count), 100);
    await good('restore', undo, 'test.db', '--yes');
    assert.equal(valueOf(database, count), 7);
    // That state is kept, so it is not saved again.
    const again = await restore();
    assert.match(again.stdout, new RegExp(`checkpoint ${undo}`));
    assert.match((await restore()).stdout, /already equals the baseline seeded/);
  });

  itInPart('restores what a killed program has left in the -wal as an undo', async () => {
    change('PRAGMA journal_mode = wal');
    await good('checkpoint', 'test.db', '--baseline', 'seeded');
    const program = await holdOpen(database, 'DELETE FROM items WHERE id > 50');
    const refused = await restore('--discard');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /test\.db is open in .*\(pid \d+\)/);
    assert.equal(valueOf(database, count), 50);
    const gone = new Promise((resolve) => program.once('exit', resolve));
    program.kill('SIGKILL');
    await gone;
    assert.ok(statSync(`${database}-wal`).size > 0);
    const { stdout, stderr } = await restore();
    assert.equal(valueOf(database, count), 100, stderr);
    const [, undo = ''] = /Undo: sqlite-backup restore ([0-9a-f]+) /.exec(stdout) ?? [];
    await good('restore', undo, 'test.db', '--yes');
    assert.equal(valueOf(database, count), 50);
  });

  it('never replaces what could not be saved, unless it may go', async () => {
    await good('checkpoint', 'test.db', '--baseline', 'seeded');
    writeFileSync(database, 'no database\n'.repeat(1000));
    const before = sha256(database);
    const { code, stderr } = await restore();
    assert.equal(code, 1);
    assert.match(stderr, /could not be saved first[^]*--discard/);
    assert.equal(sha256(database), before);
    assert.equal((await restore('--discard')).code, 0);
    assert.equal(valueOf(database, count), 100);
  });

  it('is put where the database is gone', async () => {
    await good('checkpoint', 'test.db', '--baseline', 'seeded');
    unlinkSync(database);
    assert.match((await restore()).stdout, /is as the baseline seeded again/);
    assert.equal(valueOf(database, count), 100);
  });

  it('is checked by its stamp, then by its content', async () => {
    const check = (): Promise<Ended> =>
      cli('restore', '--baseline', 'seeded', 'test.db', '--check');
    change('PRAGMA journal_mode = wal');
    await good('checkpoint', 'test.db', '--baseline', 'seeded');
    await restore('--discard');
    assert.match((await check()).stdout, /not written since/);
    utimesSync(database, 1e9 + 5, 1e9 + 5);
    assert.match((await check()).stdout, /the same bytes/);
    change('DELETE FROM items WHERE id = 1');
    const { code, stdout } = await check();
    assert.deepEqual([code, /differs from the baseline seeded: items$/m.test(stdout)], [1, true]);
  });

  it('is refused when its file is not the one that was proved', async () => {
    const { checkpoints } = JSON.parse(
      await good('checkpoint', 'test.db', '--baseline', 'seeded', '--json'),
    ) as { checkpoints: { path: string }[] };
    change('DELETE FROM items');
    const path = checkpoints[0]?.path ?? '';
    chmodSync(path, 0o600);
    overwrite(path, statSync(path).size - 8, Buffer.from('damaged!'));
    const { code, stderr } = await restore('--discard');
    assert.equal(code, 1);
    assert.match(stderr, /is not as it was kept/);
    assert.equal(valueOf(database, count), 0);
    assert.deepEqual(left(), ['test.db']);
  });

  it('keeps its name until another state is to have it', async () => {
    await good('checkpoint', 'test.db', '--baseline', 'seeded');
    change('DELETE FROM items WHERE id > 10');
    const { code, stderr } = await cli('checkpoint', 'test.db', '--baseline', 'seeded');
    assert.equal(code, 1);
    assert.match(stderr, /already has a baseline "seeded"[^]*--replace/);
    await good('checkpoint', 'test.db', '--baseline', 'seeded', '--replace');
    change('DELETE FROM items');
    await restore('--discard');
    assert.equal(valueOf(database, count), 10);
  });

  it('is of one database, and names the other one', async () => {
    await good('checkpoint', 'test.db', '--baseline', 'seeded');
    createDatabase(folder('work/other.db'), { rows: 3 });
    const { code, stderr } = await cli('restore', '--baseline', 'seeded', 'other.db', '--yes');
    assert.equal(code, 1);
    assert.match(stderr, /other\.db has no baseline "seeded"[^]*is a baseline of .*test\.db/);
    assert.equal(valueOf(folder('work/other.db'), count), 3);
  });
});
