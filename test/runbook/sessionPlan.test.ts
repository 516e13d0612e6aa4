import assert from 'node:assert/strict';
import {
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { bundleOf } from '../support/bundles.ts';
import {
  bytesOf,
  contentOf,
  createDatabase,
  flipValue,
  slowToCheckSql,
  withDatabase,
} from '../support/databases.ts';
import { holdOpen, kill, workerEntry } from '../support/processes.ts';
import { setAsidesIn } from '../support/restores.ts';
import { insert, useRestores } from '../support/runbookRestores.ts';
import { Story, type StoryOptions } from '../support/runbookStory.ts';
import type { Run } from '../../src/runbook/run.ts';

describe('the plan of a restore on the page', () => {
  const restores = useRestores();
  const { folder, begin, stop, rows, names } = restores;
  let live = '';
  let backup = '';
  beforeEach(() => ({ live, backup } = restores));

  describe('plans', () => {
    it('with exact numbers, and offers the new file first', async () => {
      withDatabase(live, (db) => db.exec('DELETE FROM items WHERE id <= 3'));
      withDatabase(live, (db) => db.exec("UPDATE items SET name = 'x' WHERE id = 10"));
      const { state } = await begin();
      const [comparison] = state.comparisons;
      assert.deepEqual(comparison?.rows, [
        { table: 'items', live: 102, backup: 100, lost: 5, gained: 3, changed: 1 },
      ]);
      assert.equal(comparison.summary?.text, '5 rows lost, 3 brought back, 1 changed.');
      assert.deepEqual(
        state.steps[0]?.actions.map(({ id, kind }) => [id, kind]),
        [
          ['restore-beside', 'primary'],
          ['restore-live', 'secondary'],
        ],
      );
      assert.match(state.footer.actions[1]?.reason ?? '', /Nothing was changed/);
    });

    it('with the tables that only one side has, also empty ones', async () => {
      withDatabase(live, (db) =>
        db.exec(
          'DROP TABLE items; CREATE TABLE full (a); INSERT INTO full VALUES (1); CREATE TABLE none (a)',
        ),
      );
      const { state } = await begin();
      const [comparison] = state.comparisons;
      assert.deepEqual(comparison?.rows, [
        { table: 'full', live: 1, backup: 0, lost: 1, gained: 0, changed: 0 },
        { table: 'items', live: 0, backup: 100, lost: 0, gained: 100, changed: 0 },
        { table: 'none', live: 0, backup: 0, lost: 0, gained: 0, changed: 0 },
      ]);
      assert.equal(comparison.rest, undefined);
      assert.deepEqual(
        comparison.lines.slice(0, 2).map(({ text }) => text),
        ['Tables only in the live database: full, none.', 'Tables only in the backup: items.'],
      );
    });

    it('without a word about other tables where none differs', async () => {
      withDatabase(live, (db) => db.exec('DELETE FROM items WHERE id > 100'));
      const [comparison] = (await begin()).state.comparisons;
      assert.deepEqual([comparison?.rows, comparison?.rest], [[], undefined]);
      assert.equal(comparison?.summary?.text, 'The rows are the same.');
    });

    it('over a live database that is missing, empty, damaged or nothing of the kind', async () => {
      const cases: [make: () => void, summary: RegExp][] = [
        [() => undefined, /no live file: nothing is lost/],
        [() => writeFileSync(live, ''), /empty: nothing is lost/],
        [
          () => writeFileSync(live, 'text, and long enough to be looked at'),
          /its changes since the backup are unknown/,
        ],
        [
          () => (copyFileSync(backup, live), truncateSync(live, 5000)),
          /its changes since the backup are unknown/,
        ],
      ];
      for (const [make, summary] of cases) {
        for (const part of ['', '-wal', '-shm']) rmSync(live + part, { force: true });
        make();
        const story = await begin();
        const [comparison] = story.state.comparisons;
        assert.match(comparison?.summary?.text ?? '', summary);
        assert.deepEqual(comparison?.lines, [], 'nothing is said of a schema that nobody read');
        assert.ok(story.isOffered('restore-live'));
      }
    });

    it('no restore of a damaged backup over a database, and one to a new file after a question', async () => {
      flipValue(backup, 'item 50');
      const before = names();
      const story = await begin();
      assert.deepEqual(story.state.comparisons, []);
      assert.equal(story.state.notices[0]?.id, 'notice-damaged');
      assert.ok(!story.isOffered('restore-live') && !story.isOffered('restore-beside'));
      story.answer = false;
      await story.press('restore-damaged');
      assert.deepEqual([names(), story.now], [before, 'plan current']);
      story.answer = true;
      await story.press('restore-damaged');
      const { message, detail } = story.questions.at(-1) ?? {};
      assert.match(`${message} ${detail}`, /damaged backup.*new file[^]*same damage/);
      const [made = ''] = names().filter((name) => !before.includes(name));
      assert.deepEqual(readFileSync(folder('data', made)), readFileSync(backup), story.failure);
      assert.equal(story.step('verify').status, 'confirmed');
      const told = story.step('verify').lines.map(({ text }) => text);
      assert.match(told.join('\n'), /holds the damaged backup as it is/);
      assert.equal(rows(), 105);
    });

    it('that nothing proves a backup without a manifest, before the database is replaced', async () => {
      rmSync(`${backup}.json`);
      const story = await begin();
      await story.press('restore-live');
      assert.match(
        story.step('plan').lines[0]?.text ?? '',
        /^No backup details say what the backup should contain/,
      );
      await restores.stop(story);
      story.answer = false;
      await story.press('move');
      assert.match(story.questions[0]?.detail ?? '', /No backup details say/);
      assert.deepEqual(setAsidesIn(folder('data')), []);
    });

    it('nothing of a backup that is gone, until it is back', async () => {
      const story = await begin();
      renameSync(backup, `${backup}.away`);
      await story.press('compare-again');
      assert.match(story.failure, /backups/);
      const again = await story.reopen();
      assert.equal(again.now, 'plan failed');
      assert.ok(!again.isOffered('restore-live'));
      renameSync(`${backup}.away`, backup);
      await again.press('compare-choice');
      assert.equal(again.now, 'plan current');
    });

    it('anew after it was cancelled', async () => {
      const slow = createDatabase(folder('backups/slow.db'));
      withDatabase(slow, (db) => db.unsafeMode().exec(slowToCheckSql));
      const run: Run = {
        id: 'r1',
        backup: slow,
        items: [{ live, chosen: true }],
        destination: 'undecided',
        startedAt: new Date().toISOString(),
        done: {},
        log: [],
        ticked: [],
      };
      const story = new Story(run, { entry: workerEntry });
      const opening = story.session.open();
      await story.untilBusy('plan');
      await story.session.act('restore-live'); // Nothing else is done meanwhile.
      await story.press('cancel-comparison');
      await opening;
      assert.equal(story.failure, '');
      assert.equal(story.restore.plan, undefined);
      assert.ok(story.isOffered('compare-choice'));
    });
  });

  describe('beside', () => {
    it('takes a name that is free, proves the file, and changes nothing else', async () => {
      const before = bytesOf(live);
      const first = await begin();
      const second = await begin();
      await first.press('restore-beside');
      await second.press('restore-beside');
      const made = names().filter((name) => name.includes('.restored_'));
      assert.equal(made.length, 2);
      assert.ok(
        made.some((name) => /-2\.db$/.test(name)),
        made.join(),
      );
      for (const name of made) assert.deepEqual(contentOf(folder('data', name)), contentOf(backup));
      assert.deepEqual(bytesOf(live), before);
      assert.equal(first.now, 'over');
      assert.ok(!first.isOffered('undo'));
      const offered = first.state.steps.flatMap(({ commands }) => commands ?? []);
      assert.deepEqual(offered, [], 'the commands are those of a restore over the live one');
      assert.equal((await first.reopen()).now, 'over');
    });

    it('gives a long name a shorter one', async () => {
      const long = folder(`data/${'ä'.repeat(119)}.db`);
      renameSync(live, long);
      const story = await Story.begin(backup, [long]);
      await story.press('restore-beside');
      assert.equal(story.now, 'over', story.failure);
      assert.equal(rows(story.restore.run.besides?.[0]), 100);
    });

    it('can be tried again after a failure, and given up', async () => {
      const story = await begin();
      renameSync(backup, `${backup}.away`);
      await story.press('restore-beside');
      assert.equal(story.now, 'copy failed');
      renameSync(`${backup}.away`, backup);
      await story.press('change-mind');
      await story.press('restore-beside');
      assert.equal(story.now, 'over', story.failure);
    });
  });

  describe('of a bundle', () => {
    let second = '';
    let bundle = '';

    beforeEach(async () => {
      second = createDatabase(folder('data/jobs.db'), { rows: 7 });
      bundle = (await bundleOf([live, second])).path;
      for (const path of [live, second]) withDatabase(path, (db) => db.exec(insert));
    });

    const both = (options?: StoryOptions): Promise<Story> =>
      Story.begin(
        bundle,
        [live, second].map((path) => ({ live: path, member: basename(path), chosen: true })),
        options,
      );

    it('is one runbook of all its members', async () => {
      const story = await both();
      assert.equal(story.state.comparisons.length, 2);
      await story.press('restore-live');
      await stop(story);
      await story.press('move', 'copy', 'restart-done', 'verify-again', 'verify-done', 'keep');
      assert.deepEqual([rows(), rows(second)], [105, 7]);
      const holder = await holdOpen(second, 'SELECT 1 FROM items');
      await story.press('undo');
      assert.match(story.failure, /open in/);
      const again = await story.reopen();
      await kill(holder);
      await again.press('undo');
      assert.deepEqual([rows(), rows(second)], [106, 8], again.failure);
    });

    it('touches only what is ticked, and waits for a comparison of that', async () => {
      const before = bytesOf(second);
      const story = await both();
      await story.tick('item-1', false);
      assert.equal(story.state.comparisons.length, 1);
      await story.tick('item-0', false);
      assert.ok(!story.isOffered('restore-live') && !story.isOffered('compare-choice'));
      const none = await story.reopen();
      await none.tick('item-0');
      assert.ok(!none.isOffered('restore-live'), 'nothing was compared');
      await none.press('compare-choice');
      await none.tick('item-1');
      assert.ok(!none.isOffered('restore-live'), 'this one was not compared');
      await none.tick('item-1', false);
      await none.press('restore-live');
      await stop(none);
      await none.press('move', 'copy');
      assert.equal(rows(), 105);
      assert.deepEqual(bytesOf(second), before);
      assert.equal(setAsidesIn(folder('data')).length, 1);
      await none.press('undo');
      assert.equal(rows(), 106);
      assert.deepEqual(bytesOf(second), before);
    });

    it('goes beside, each under its own name', async () => {
      const story = await both();
      await story.tick('item-0', false);
      await story.press('restore-beside');
      const made = names().filter((name) => name.includes('.restored_'));
      assert.equal(made.length, 1);
      assert.match(made[0] ?? '', /^jobs\.restored_/);
    });
  });
});
