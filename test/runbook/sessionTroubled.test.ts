import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { bundleOf } from '../support/bundles.ts';
import { createDatabase, flipValue, snapshot, withDatabase } from '../support/databases.ts';
import { fixture, holdOpen, kill, workerEntry } from '../support/processes.ts';
import { leftoversIn, setAsidesIn } from '../support/restores.ts';
import { insert, useRestores } from '../support/runbookRestores.ts';
import { Story } from '../support/runbookStory.ts';
import { itInPart, itWhere } from '../support/operations.ts';

describe('a restore on the page, when others have been at its files', () => {
  const restores = useRestores();
  const { folder, begin, stop, moved, rows, names } = restores;
  let live = '';
  beforeEach(() => ({ live } = restores));

  const setAside = (): string => folder('data', setAsidesIn(folder('data'))[0] ?? '');

  for (const [what, spoil] of [
    ['deleted', (intent: string) => rmSync(intent)],
    ['replaced by something else', (intent: string) => writeFileSync(intent, '{"__proto__":')],
  ] as const) {
    itWhere(what === 'deleted')(
      `does not call it finished when the intent was ${what} before the copy`,
      async () => {
        const story = await moved();
        spoil(story.restore.run.moved?.intent ?? '');
        const again = await story.reopen();
        assert.equal(again.now, 'copy current');
        assert.equal(again.restore.run.ending, undefined);
        await again.press('copy');
        assert.equal(again.now, 'restart current', again.failure);
        assert.equal(rows(), 100);
        await again.press('undo');
        assert.equal(rows(), 105, again.failure);
      },
    );
  }

  itInPart(
    'says that the old database is not live when another is, after a roll-back',
    async () => {
      const one = await moved();
      const two = await moved();
      await one.press('copy');
      await two.press('copy');
      assert.match(two.failure, /changed the live database after/);
      await two.press('undo');
      assert.equal(rows(), 100, 'what the first has restored');
      assert.doesNotMatch(two.state.subtitle, /the previous database is back/);
      const log = two.state.steps.flatMap(({ lines }) => lines.map(({ text }) => text)).join('\n');
      assert.doesNotMatch(log, /the previous database is live/);
      assert.match(log, /neither the previous nor the restored database/);
    },
  );

  for (const when of ['before', 'after']) {
    itWhere(when === 'after')(
      `does not take another restore for its own that was cut off ${when} the live name changed`,
      async () => {
        await kill(await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', insert));
        const other = createDatabase(folder('other.db'), { rows: 3 });
        const theirs = await Story.begin((await snapshot(other)).path, [live]);
        await theirs.press('restore-live');
        await stop(theirs);
        await theirs.press('move');
        process.env['DIE_AT'] = when;
        process.env['DIE_ON'] = live;
        const dying = await theirs.reopen({ entry: fixture('dyingWorker.ts') });
        await dying.press('copy');
        const story = await begin();
        assert.match(story.state.notices[0]?.title ?? '', /Another restore/);
        await story.press(when === 'after' ? 'finish' : 'roll-back');
        assert.equal(rows(), when === 'after' ? 3 : 106);
        assert.equal(story.now, 'plan current');
        assert.deepEqual(story.state.notices, []);
        const [table] = story.restore.plan?.items[0]?.tables ?? [];
        const expected = when === 'after' ? [0, 97] : [6, 0];
        assert.deepEqual([table?.lost, table?.gained], expected, 'compared anew');
      },
    );
  }

  /** A bundle of the live database and of a second one, over both of which it is to be restored. */
  const stoppedForTwo = async (): Promise<{ story: Story; second: string }> => {
    const second = createDatabase(folder('data/jobs.db'), { rows: 7 });
    const bundle = (await bundleOf([live, second])).path;
    for (const path of [live, second]) withDatabase(path, (db) => db.exec(insert));
    const story = await Story.begin(
      bundle,
      [live, second].map((path) => ({ live: path, member: basename(path), chosen: true })),
    );
    await story.press('restore-live');
    await stop(story);
    return { story, second };
  };

  itInPart(
    'goes on to undo the rest of a bundle after the undo of one was interrupted',
    async () => {
      const { story, second } = await stoppedForTwo();
      await story.press('move', 'copy', 'restart-done', 'verify-again', 'verify-done', 'keep');
      process.env['DIE_AT'] = 'after';
      process.env['DIE_ON'] = live;
      const dying = await story.reopen({ entry: fixture('dyingWorker.ts') });
      await dying.press('undo');
      const again = await dying.reopen();
      assert.equal(again.state.notices[0]?.title, 'The undo was interrupted.');
      await again.press('finish');
      assert.deepEqual([rows(), rows(second)], [106, 7], again.failure);
      assert.ok(again.isOffered('undo'), 'the second is still to be undone');
      await again.press('undo');
      assert.equal(again.questions[0]?.message, 'Put the previous database back as jobs.db?');
      assert.deepEqual([rows(), rows(second)], [106, 8], again.failure);
      assert.equal(again.restore.run.ending, 'undone');
    },
  );

  itInPart(
    'does not call a bundle undone while one of its old databases is elsewhere',
    async () => {
      const { story, second } = await stoppedForTwo();
      await story.press('move', 'copy');
      const first = folder(
        'data',
        setAsidesIn(folder('data')).find((one) => /^app/.test(one)) ?? '',
      );
      renameSync(first, folder('elsewhere'));
      await story.press('undo');
      assert.match(story.questions.at(-1)?.detail ?? '', /no longer exists, so it is not put back/);
      assert.deepEqual([rows(), rows(second)], [105, 8], story.failure);
      assert.equal(story.restore.run.ending, undefined);
      assert.ok(!story.isOffered('undo'));
      renameSync(folder('elsewhere'), first);
      const again = await story.reopen();
      await again.press('undo');
      assert.deepEqual([rows(), rows(second)], [106, 8], again.failure);
      assert.equal(again.restore.run.ending, 'undone');
    },
  );

  it('finds what was moved away by hand, also after a reload', async () => {
    const story = await begin();
    await story.press('restore-live');
    await stop(story);
    const stamp = new Date().toISOString().replace(/[-:]/g, '').replace('T', '_').slice(0, 15);
    renameSync(live, `${live}.bad-${stamp}Z`);
    const again = await story.reopen();
    await again.press('check-move');
    assert.match(again.step('move').lines[0]?.text ?? '', /Kept as app\.db\.bad-/);
    // The application was started too early, and has made a database of its own.
    createDatabase(live, { rows: 1 });
    await again.press('undo');
    assert.equal(rows(), 105, again.failure);
    assert.equal(again.questions.length, 1);
    assert.equal(rows(setAside()), 1, 'what the application has made is kept');
  });

  it('can be undone, or rolled back, although a program that was let go on never stops', async () => {
    const server = await holdOpen(live, 'SELECT 1 FROM items');
    const started = async (): Promise<Story> => {
      const story = await begin();
      await story.press('restore-live');
      await story.tick('confirm-open');
      await story.press('stop-done', 'move');
      return story;
    };
    const back = await started();
    await back.press('undo');
    assert.equal(back.failure, '');
    assert.equal(back.restore.run.ending, 'undone');
    const story = await started();
    await story.press('copy');
    assert.equal(rows(), 100, story.failure);
    const other = await holdOpen(live, 'SELECT 1 FROM items');
    await story.press('undo');
    assert.match(story.failure, /open in/, 'nobody has agreed to this one');
    await kill(other);
    await story.press('undo');
    assert.equal(rows(), 105, story.failure);
    await kill(server);
  });

  itInPart('does not take a worker of its own for the application', async function () {
    if (process.platform !== 'linux') this.skip();
    const server = await holdOpen(live, 'SELECT 1 FROM items');
    const story = await begin({ entry: workerEntry });
    await story.press('restore-live');
    await kill(server);
    await story.session.look();
    await stop(story);
    await story.press('move', 'copy');
    const descriptor = openSync(live, 'r');
    const worker = spawn(process.execPath, [workerEntry], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc', descriptor],
    });
    closeSync(descriptor);
    try {
      await story.session.look();
      assert.deepEqual(
        story.restore.seen?.holders.map(({ pid }) => pid),
        [worker.pid],
      );
      assert.equal(story.now, 'restart current');
      assert.equal(story.step('restart').lines.length, 1, 'nobody has it open who matters');
      const again = await holdOpen(live, 'SELECT 1 FROM items');
      await story.session.look();
      assert.match(story.step('restart').lines[0]?.text ?? '', new RegExp(`${again.pid}`));
      assert.equal(story.now, 'verify current');
    } finally {
      worker.kill('SIGKILL');
    }
  });

  it('does not call a live database that is gone verified', async () => {
    const story = await moved();
    await story.press('copy', 'restart-done');
    for (const part of ['', '-wal', '-shm']) rmSync(live + part, { force: true });
    await story.press('verify-again');
    assert.equal(story.step('verify').status, 'failed');
    assert.ok(!story.isOffered('verify-done'));
    createDatabase(live, { rows: 2 });
    await story.press('verify-again', 'verify-done');
    assert.equal(story.step('verify').status, 'confirmed');
    assert.doesNotMatch(story.step('verify').lines[0]?.text ?? '', /^Verified\.$/);
  });

  it('does not take what is live for the backup when the backup was spoiled', async () => {
    const story = await moved();
    flipValue(restores.backup, 'item 50');
    await story.press('check-copy');
    assert.match(story.failure, /is damaged/);
    assert.equal(story.now, 'copy failed');
  });

  it('does not say of tables that nobody compared that they are what was backed up', async () => {
    withDatabase(live, (db) => {
      db.exec('CREATE TABLE heap (a); CREATE VIEW seen AS SELECT a FROM heap');
      // Its rows lie in an order that only the application knows.
      db.exec('CREATE TABLE odd (a COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID');
      db.unsafeMode();
      db.pragma('writable_schema = on');
      db.exec("UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'app_order')");
    });
    const { path } = await snapshot(live, { folder: folder('backups') });
    const story = await Story.begin(path, [live]);
    await story.press('restore-live');
    await stop(story);
    await story.press('move', 'check-copy');
    assert.match(story.failure, /still the previous database/, 'it holds the same');
    copyFileSync(path, folder('data/copy'));
    for (const part of ['-wal', '-shm']) rmSync(live + part, { force: true });
    renameSync(folder('data/copy'), live);
    await story.press('check-copy');
    assert.equal(story.step('copy').status, 'confirmed', story.failure);
    assert.deepEqual(leftoversIn(folder('data')), []);
    assert.match(story.step('copy').lines[0]?.text ?? '', /Not compared with the backup: odd\.$/);
  });

  it('does not copy another backup that has taken the name since the move', async () => {
    rmSync(`${restores.backup}.json`);
    const story = await moved();
    renameSync(createDatabase(folder('other.db'), { rows: 3 }), restores.backup);
    await story.press('copy');
    assert.match(story.failure, /has changed since it was compared/);
    assert.equal(rows(), 105);
    assert.equal(story.restore.plan?.items[0]?.tables[0]?.lost, 102);
    await story.press('copy');
    assert.equal(rows(), 3, story.failure);
  });

  it('tells what became of each old database, when only some can be archived', async () => {
    const second = createDatabase(folder('data/jobs.db'), { rows: 7 });
    const bundle = (await bundleOf([live, second])).path;
    const items = [live, second].map((path) => ({ live: path, member: basename(path) }));
    const story = await Story.begin(
      bundle,
      items.map((item) => ({ ...item, chosen: true })),
      { backupsFolder: folder('backups') },
    );
    await story.press('restore-live');
    await stop(story);
    await story.press('move', 'copy', 'restart-done', 'verify-again', 'verify-done');
    const held = setAsidesIn(folder('data')).find((name) => name.startsWith('jobs')) ?? '';
    const holder = await holdOpen(folder('data', held), 'SELECT 1 FROM items');
    await story.press('archive');
    assert.match(story.failure, /open in/);
    assert.match(story.step('clean-up').lines[0]?.text ?? '', /Archived as app\.db\.bad_/);
    const again = await story.reopen({ backupsFolder: folder('backups') });
    await kill(holder);
    await again.press('archive');
    const told = again.step('clean-up').lines.map(({ text }) => text.replace(/_.*/, ''));
    assert.deepEqual(told, ['Archived as app.db.bad', 'Archived as jobs.db.bad']);
  });

  itInPart('names in the question only what an undo puts back', async () => {
    const fresh = createDatabase(folder('data/jobs.db'), { rows: 7 });
    const bundle = (await bundleOf([live, fresh])).path;
    for (const part of ['', '-wal', '-shm']) rmSync(fresh + part, { force: true });
    const story = await Story.begin(
      bundle,
      [live, fresh].map((path) => ({ live: path, member: basename(path), chosen: true })),
    );
    await story.press('restore-live');
    await stop(story);
    await story.press('move', 'copy', 'undo');
    assert.equal(story.questions.at(-1)?.message, 'Put the previous database back as app.db?');
    assert.match(story.questions.at(-1)?.detail ?? '', /jobs\.db.*stays/);
    assert.ok(existsSync(fresh));
    assert.deepEqual(leftoversIn(folder('data')), [], names().join());
  });
});
