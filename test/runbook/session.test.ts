import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { bundleOf } from '../support/bundles.ts';
import {
  bytesOf,
  contentOf,
  createDatabase,
  flipValue,
  slowToCheckSql,
  snapshot,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import {
  endProcessesAfterEach,
  fixture,
  holdOpen,
  kill,
  needProgram,
  run,
} from '../support/processes.ts';
import { leftoversIn, setAsidesIn } from '../support/restores.ts';
import { buildWorker, Story, type StoryOptions } from '../support/runbookStory.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const insert = "INSERT INTO items (name) VALUES ('after the backup')";
const countSql = 'SELECT count(*) FROM items';

describe('a restore as the page leads through it', () => {
  before(buildWorker);
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';

  /** 100 rows were backed up; 5 were written since. */
  beforeEach(async () => {
    mkdirSync(folder('data'));
    live = createDatabase(folder('data/app.db'), { journalMode: 'wal' });
    backup = (await snapshot(live, { folder: folder('backups') })).path;
    for (let n = 0; n < 5; n++) withDatabase(live, (db) => db.exec(insert));
  });

  const begin = (options?: StoryOptions): Promise<Story> => Story.begin(backup, [live], options);
  const rows = (path = live): unknown => valueOf(path, countSql);
  const names = (): string[] => readdirSync(folder('data')).sort();

  /** The step "stop", where this machine may see only the programs of its own user. */
  const stop = async (story: Story): Promise<void> => {
    if (!story.isOffered('stop-done')) await story.tick('confirm-unseen');
    await story.press('stop-done');
  };

  const moved = async (options?: StoryOptions): Promise<Story> => {
    const story = await begin(options);
    await story.press('restore-live');
    await stop(story);
    await story.press('move');
    assert.equal(story.now, 'copy current', story.failure);
    return story;
  };

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

    it('over a live database that is missing, empty, damaged or nothing of the kind', async () => {
      const cases: [make: () => void, summary: RegExp][] = [
        [() => undefined, /no live file: nothing is lost/],
        [() => writeFileSync(live, ''), /empty: nothing is lost/],
        [() => writeFileSync(live, 'text, and long enough to be looked at'), /nobody knows/],
        [() => (copyFileSync(backup, live), truncateSync(live, 5000)), /nobody knows/],
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

    it('no restore of a damaged backup, and claims nothing about it', async () => {
      flipValue(backup, 'item 50');
      const story = await begin();
      assert.deepEqual(story.state.comparisons, []);
      assert.equal(story.state.notices[0]?.id, 'notice-damaged');
      assert.ok(!story.isOffered('restore-live') && !story.isOffered('restore-beside'));
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
      const story = new Story({
        ...{ id: 'r1', backup: slow, items: [{ live, chosen: true }], destination: 'undecided' },
        ...{ startedAt: new Date().toISOString(), done: {}, log: [], ticked: [] },
      });
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

  describe('over the live database', () => {
    it('goes through all steps, and keeps the old one', async () => {
      const before = await holdOpen(live, 'SELECT 1 FROM items');
      const story = await begin({ backupsFolder: folder('backups') });
      await story.press('restore-live');
      await kill(before);
      await story.session.look();
      await stop(story);
      await story.press('move');
      assert.match(story.questions[0]?.detail ?? '', /5 rows of items are only in the live/);
      assert.equal(rows(), 105, 'still the old one');
      await story.press('copy');
      assert.equal(rows(), 100);
      assert.equal(story.now, 'restart current');
      const server = await holdOpen(live, insert);
      await story.session.look();
      assert.equal(story.now, 'verify current');
      await story.press('verify-again');
      const said = story.step('verify').lines.map(({ kind }) => kind);
      assert.ok(said.includes('warning'), 'the application has written since');
      await story.tick('check-0');
      await story.press('verify-done', 'keep');
      assert.equal(story.now, 'over');
      await story.press('undo');
      assert.match(story.failure, /open in/);
      await kill(server);
      await story.press('undo');
      assert.match(story.questions.at(-1)?.detail ?? '', /items: 1 added\n/);
      assert.equal(rows(), 105);
      const [kept = ''] = setAsidesIn(folder('data'));
      assert.equal(rows(folder('data', kept)), 101, 'what was written since is kept');
      assert.ok(!story.isOffered('undo'));
      assert.deepEqual(leftoversIn(folder('data')), []);
    });

    it('does nothing while the question is refused, pressed twice, or open', async () => {
      const story = await begin();
      await story.press('restore-live');
      await stop(story);
      story.answer = false;
      story.whileAsked = async () => {
        await Promise.all(['move', 'undo', 'restore-beside'].map((id) => story.session.act(id)));
        await story.session.tick('item-0', false);
      };
      await Promise.all([story.press('move'), story.session.act('move')]);
      assert.equal(story.questions.length, 1);
      assert.deepEqual(setAsidesIn(folder('data')), []);
      assert.equal(story.now, 'move current');
      assert.deepEqual(leftoversIn(folder('data')), []);
    });

    it('offers no button but Cancel while another would be lost', async () => {
      withDatabase(live, (db) => db.exec('CREATE TABLE later (id)'));
      const story = await begin();
      assert.ok(story.offered.includes('open-schema-0'));
      const offered = new Set<string>();
      story.restore.onDidChange(() => {
        if (story.restore.isActing) for (const id of story.offered) offered.add(id);
      });
      await story.press('restore-live');
      await stop(story);
      story.whileAsked = () => {
        assert.deepEqual(story.offered, []);
        return Promise.resolve();
      };
      await story.press('move', 'copy', 'undo');
      assert.equal(story.questions.length, 2);
      assert.deepEqual([...offered], ['cancel']);
    });

    it('waits for who has it open, unless the person says so, and only for those', async () => {
      const one = await holdOpen(live, 'SELECT 1 FROM items');
      const story = await begin();
      await story.press('restore-live');
      assert.deepEqual(
        story.step('stop').holders.map(({ pid }) => pid),
        [one.pid],
      );
      assert.ok(!story.isOffered('stop-done'));
      await story.tick('confirm-open');
      const other = await holdOpen(live, 'SELECT 1 FROM items');
      await story.press('stop-done');
      assert.match(story.failure, /still/);
      assert.ok(!story.isOffered('stop-done'), 'nobody agreed to the second one');
      await kill(other);
      await story.session.look();
      await story.press('stop-done');
      assert.equal(story.step('stop').status, 'confirmed');
      const third = await holdOpen(live, 'SELECT 1 FROM items');
      await story.press('move');
      assert.equal(story.now, 'stop failed');
      assert.deepEqual(setAsidesIn(folder('data')), []);
      await Promise.all([kill(one), kill(third)]);
      await story.session.look();
      await stop(story);
      await story.press('move', 'copy');
      assert.equal(rows(), 100, story.failure);
    });

    it('says of the extensions of the window that they are these, and does not wait for them', async () => {
      const viewer = new Database(live);
      try {
        viewer.exec('SELECT 1 FROM items');
        const story = await begin();
        await story.press('restore-live');
        const name = story.step('stop').holders[0]?.name ?? '';
        assert.deepEqual(story.step('stop').holders, [
          { name, pid: process.pid, note: 'an extension in this window' },
        ]);
        viewer.close();
        await story.session.look();
        await stop(story);
        await story.press('move', 'copy');
        assert.match(story.step('restart').lines[0]?.text ?? '', /only you know/);
      } finally {
        viewer.close();
      }
    });

    it('does not take a word about what cannot be seen for one about what is open', async () => {
      const story = await begin();
      await story.press('restore-live');
      await story.session.tick('confirm-unseen', true);
      await holdOpen(live, 'SELECT 1 FROM items');
      await story.session.look();
      assert.ok(!story.isOffered('stop-done'));
      assert.equal(story.step('stop').confirm?.ticked, false);
    });

    it('compares again when the live database or the backup changed meanwhile', async () => {
      const story = await begin();
      await story.press('restore-live');
      withDatabase(live, (db) => db.exec(insert));
      await stop(story);
      assert.equal(story.restore.plan?.items[0]?.tables[0]?.lost, 6);
      withDatabase(live, (db) => db.exec(insert));
      story.answer = false;
      await story.press('move');
      assert.match(story.questions[0]?.detail ?? '', /7 rows of items/);
      const other = createDatabase(folder('other.db'), { rows: 1 });
      renameSync((await snapshot(other)).path, backup);
      await story.press('move');
      assert.equal(story.restore.plan?.verified, 'damaged');
      story.answer = true;
      if (story.isOffered('move')) await story.press('move');
      assert.deepEqual(setAsidesIn(folder('data')), []);
      assert.equal(rows(), 107);
    });

    it('follows a link that leads elsewhere meanwhile only after it was looked at anew', async () => {
      const other = createDatabase(folder('data/other.db'), { rows: 3 });
      const link = folder('data/link.db');
      symlinkSync(live, link);
      const story = await Story.begin(backup, [link]);
      await story.press('restore-live');
      await stop(story);
      rmSync(link);
      symlinkSync(other, link);
      story.answer = false;
      await story.press('move');
      assert.deepEqual(setAsidesIn(folder('data')), []);
      assert.deepEqual([rows(), rows(other)], [105, 3]);
      await story.press('compare-again');
      assert.equal(story.restore.plan?.items[0]?.realTarget, other);
    });

    it('keeps everything when the backup goes between move and copy', async () => {
      const story = await moved();
      renameSync(backup, `${backup}.away`);
      await story.press('copy');
      assert.equal(story.now, 'copy failed');
      assert.equal(rows(), 105);
      const again = await story.reopen();
      assert.ok(again.isOffered('undo'));
      await again.press('undo');
      assert.equal(again.questions.length, 0, 'nothing is lost by it');
      assert.equal(rows(), 105);
      assert.deepEqual(setAsidesIn(folder('data')), []);
      assert.deepEqual(leftoversIn(folder('data')), []);
    });

    it('says how to go on when the database was used between move and copy', async () => {
      const story = await moved();
      withDatabase(live, (db) => db.exec(insert));
      await story.press('copy');
      assert.match(story.failure, /used after it was set aside.*Undo/);
      await story.press('undo');
      assert.equal(rows(), 106, 'with what was written since');
      assert.deepEqual(leftoversIn(folder('data')), []);
    });

    it('goes on where it was after the window was closed at each step', async () => {
      let story = await begin();
      await story.press('restore-live');
      story = await story.reopen();
      await stop(story);
      story = await story.reopen();
      await story.press('move');
      story = await story.reopen();
      assert.equal(story.now, 'copy current');
      await story.press('copy');
      story = await story.reopen();
      assert.equal(story.now, 'restart current');
      await story.press('restart-done');
      story = await story.reopen();
      await story.press('verify-again', 'verify-done');
      story = await story.reopen();
      await story.press('keep');
      story = await story.reopen();
      await story.press('undo');
      story = await story.reopen();
      assert.equal(rows(), 105);
      assert.equal(story.state.subtitle, 'Undone: the old database is in place.');
    });

    it('can be written down filled in, with what it was to change, also after the window was closed', async () => {
      const story = await begin();
      assert.ok(story.isOffered('export'));
      await story.press('restore-live');
      await stop(story);
      await story.press('move', 'copy', 'restart-done');
      const again = await story.reopen();
      await again.press('export', 'verify-again', 'verify-done', 'keep');
      const over = await again.reopen();
      await over.press('export');
      const [middle = '', end = ''] = [...again.exported, ...over.exported];
      const [kept = ''] = setAsidesIn(folder('data'));
      for (const text of [middle, end]) {
        assert.match(text, /^items: 5 rows lost, 0 rows brought back, 0 rows changed$/m);
        const steps = [...text.matchAll(/^## \d\. (.*)$/gm)].map(([, title]) => title);
        assert.equal(steps.join(), 'Plan,Stop,Move,Copy,Restart,Verify,Clean Up');
        assert.match(text, /^- \[x\] .*: It runs again, as you say\.$/m);
        assert.ok(text.includes(`Kept as ${kept.replaceAll('_', '\\_')}.`), text);
        assert.ok(text.includes(`'${folder('data', kept)}'`), 'the commands name what was kept');
      }
      assert.doesNotMatch(middle, /The old database stays/);
      assert.match(end, /^- \[x\] .*: The old database stays as/m);
      assert.match(over.state.to.title, /app\.db · /, 'the cards tell what was planned');
    });

    it('is not written down when it only made a new file', async () => {
      const story = await begin();
      await story.press('restore-live', 'change-mind', 'restore-beside');
      assert.ok(!story.isOffered('export'));
      assert.ok(!(await story.reopen()).isOffered('export'));
    });

    describe('is started again', () => {
      /** Has a file open until it is killed, as who looks into a database has. */
      const lookInto = (path: string): Promise<ChildProcess> =>
        new Promise((resolve) => {
          const onStart = (child: ChildProcess): void =>
            void child.stdout?.once('data', () => resolve(child));
          void run(['tail', '-c', '1', '-f', path], { onStart });
        });
      const restart = async (story: Story): Promise<string[]> => {
        await story.session.look();
        return story.step('restart').lines.map(({ text }) => text);
      };

      before(function () {
        if (process.platform === 'win32') this.skip(); // There is no tail.
      });

      it('when a program that had it open before has it open again, and by no other', async () => {
        const server = await holdOpen(live, 'SELECT 1 FROM items');
        const story = await begin();
        await story.press('restore-live');
        await kill(server);
        await story.session.look();
        await stop(story);
        await story.press('move', 'copy');
        assert.match((await restart(story)).join(), /as soon as node opens the database again/);
        const viewer = await lookInto(live);
        assert.deepEqual((await restart(story)).slice(1), [
          `tail (${viewer.pid}) has it open; it is not one of the programs that had it before.`,
        ]);
        assert.equal(story.now, 'restart current');
        const again = await story.reopen();
        const { pid } = await holdOpen(live, 'SELECT 1 FROM items');
        assert.deepEqual(await restart(again), [`node (${pid}) has it open again, as before.`]);
        assert.equal(again.step('restart').status, 'done');
      });

      it('when the person says that what was seen is it', async () => {
        const story = await moved();
        await story.press('copy');
        assert.match((await restart(story)).join(), /only you know/);
        const viewer = await lookInto(live);
        assert.deepEqual((await restart(story)).slice(1), [`tail (${viewer.pid}) has it open.`]);
        await story.press('restart-done');
        assert.equal(story.step('restart').status, 'confirmed');
        assert.deepEqual(await restart(story), [
          `It runs again, as you say: tail (${viewer.pid}) has it open.`,
        ]);
      });

      it('not by a program that was never stopped, which is told', async () => {
        const { pid } = await holdOpen(live, 'SELECT 1 FROM items');
        const story = await begin();
        await story.press('restore-live');
        await story.tick('confirm-open');
        await story.press('stop-done', 'move', 'copy');
        assert.match(
          (await restart(story)).join('\n'),
          new RegExp(`node \\(${pid}\\) was not stopped`),
        );
        assert.equal(story.now, 'restart current', story.failure);
      });
    });

    it('makes a database where none was, and says that there is nothing to put back', async () => {
      for (const part of ['', '-wal', '-shm']) rmSync(live + part, { force: true });
      const story = await begin();
      await story.press('restore-live');
      await stop(story);
      await story.press('move');
      assert.equal(story.questions.length, 0);
      assert.ok(story.isOffered('undo'), 'an intent is on the disk');
      await story.press('copy', 'restart-done', 'verify-again', 'verify-done');
      assert.ok(!story.isOffered('undo'));
      assert.deepEqual(
        story.step('clean-up').actions.map(({ id }) => id),
        ['keep'],
      );
      await story.press('keep');
      assert.equal(rows(), 100);
      assert.equal(story.state.subtitle, 'Finished.');
    });

    it('archives or deletes what it kept, and then does not offer to undo', async () => {
      const toCleanUp = async (): Promise<Story> => {
        const story = await moved({ backupsFolder: folder('backups') });
        await story.press('copy', 'restart-done', 'verify-again', 'verify-done');
        return story;
      };
      const archived = await toCleanUp();
      await archived.press('archive');
      assert.ok(readdirSync(folder('backups')).some((name) => name.endsWith('.zip')));
      assert.ok(!archived.isOffered('undo'));
      const deleted = await toCleanUp();
      deleted.answer = false;
      await deleted.press('delete');
      assert.equal(setAsidesIn(folder('data')).length, 1);
      deleted.answer = true;
      await deleted.press('delete');
      assert.deepEqual(setAsidesIn(folder('data')), []);
      assert.ok(!deleted.isOffered('undo'));
    });

    it('does not offer to put back what somebody has deleted', async () => {
      const story = await moved();
      await story.press('copy');
      for (const name of setAsidesIn(folder('data'))) rmSync(folder('data', name));
      const again = await story.reopen();
      assert.ok(!again.isOffered('undo'));
      assert.match(again.state.footer.text, /is not there any more/);
    });

    it('survives that all its files are gone', async () => {
      const story = await moved();
      rmSync(folder('data'), { recursive: true });
      rmSync(folder('backups'), { recursive: true });
      const again = await story.reopen();
      assert.equal(again.restore.run.ending, 'elsewhere');
      assert.ok(!again.isOffered('undo'));
    });

    it('does not have two pages replace the same database blindly', async () => {
      const one = await moved();
      const two = await moved();
      await one.press('copy');
      assert.equal(rows(), 100);
      withDatabase(live, (db) => db.exec(insert));
      await two.press('copy');
      const all = [live, ...setAsidesIn(folder('data')).map((name) => folder('data', name))];
      const kept = all.map((path) => rows(path));
      assert.ok(kept.includes(105), `the old one: ${kept.join()}`);
      assert.ok(kept.includes(101), `what was written since: ${kept.join()}`);
    });

    it('offers no task of a folder that is not trusted, and says that nobody was asked', async () => {
      const story = await begin({ stopTask: 'stop server', healthUrl: 'http://localhost/' });
      story.isTrusted = false;
      await story.press('restore-live');
      assert.ok(!story.isOffered('run-stop-task'));
      assert.match(story.step('stop').actions[0]?.reason ?? '', /is not trusted/);
      await stop(story);
      story.health = { ok: undefined, text: 'was not asked' };
      await story.press('move', 'copy', 'restart-done', 'verify-again');
      assert.equal(story.step('verify').lines.at(-1)?.kind, 'warning');
      await story.press('verify-done');
      assert.equal(story.step('verify').status, 'done');
      assert.match(story.step('verify').lines[0]?.text ?? '', /The application was not asked/);
    });

    it('does not call it well when the application does not answer well', async () => {
      const story = await moved({ healthUrl: 'http://localhost/' });
      story.health = { ok: false, text: '503' };
      await story.press('copy', 'restart-done', 'verify-again', 'verify-done');
      assert.equal(story.step('verify').status, 'confirmed');
      assert.match(story.step('verify').lines[0]?.text ?? '', /does not answer well/);
    });

    it('stops waiting for a task, and says how it ended', async () => {
      const story = await begin({ stopTask: 'stop server' });
      await story.press('restore-live');
      story.runTask = () => Promise.resolve({ ended: true, exitCode: 1 });
      await story.press('run-stop-task');
      assert.match(story.failure, /ended with 1/);
      story.runTask = (signal) =>
        new Promise((resolve) =>
          signal?.addEventListener('abort', () => resolve({ ended: false })),
        );
      const running = story.press('run-stop-task');
      await story.untilBusy('stop');
      await story.press('cancel');
      await running;
      assert.equal(story.now, 'stop current');
    });
  });

  describe('cut off in the middle', () => {
    for (const when of ['before', 'after']) {
      for (const how of ['finish', 'roll-back']) {
        it(`${when} the live name changes, the new window can ${how}`, async () => {
          const story = await moved();
          process.env['DIE_AT'] = when;
          process.env['DIE_ON'] = live;
          const dying = await story.reopen({ entry: fixture('dyingWorker.ts') });
          await dying.press('copy');
          assert.equal(dying.step('copy').status, 'failed');
          const again = await dying.reopen();
          // Even where the old file still has its name: what was beside it has gone to the set-aside.
          assert.equal(again.state.notices[0]?.id, 'notice-interrupted');
          assert.ok(!again.isOffered('copy'));
          await again.press(how);
          assert.equal(rows(), how === 'finish' ? 100 : 105, again.failure);
          assert.deepEqual(leftoversIn(folder('data')), []);
          const later = await again.reopen();
          if (how === 'roll-back') return assert.equal(later.restore.run.ending, 'undone');
          assert.equal(later.now, 'restart current');
          await later.press('undo');
          assert.equal(rows(), 105, later.failure);
        });
      }
    }

    it('while the page is closed, it notices that the copy was finished, or rolled back', async () => {
      for (const how of ['finish', 'roll-back'] as const) {
        const story = await moved();
        const { intent = '' } = story.restore.run.moved ?? {};
        await story.restore.host.worker.call('recoverInterrupted', { intent, how });
        await story.press('copy');
        assert.equal(story.restore.run.ending, how === 'finish' ? undefined : 'elsewhere');
        const again = await story.reopen();
        if (how === 'roll-back') assert.ok(!again.isOffered('undo'));
        else await again.press('undo');
        assert.equal(rows(), 105);
      }
    });
  });

  describe('by hand', function () {
    before(function () {
      if (process.platform === 'win32') this.skip(); // There is no sh.
      needProgram('sqlite3', 'sqlite3');
      needProgram('lsof', 'lsof');
    });

    const follow = async (story: Story, step: string): Promise<void> => {
      const commands = story.step(step).commands?.posix ?? '';
      assert.notEqual(commands, '', step);
      const { code, stderr } = await run(['sh', '-eu', '-c', commands], { cwd: folder() });
      assert.equal(code, 0, `${commands}\n${stderr}`);
    };

    const stopped = async (): Promise<Story> => {
      const story = await begin();
      await story.press('restore-live');
      await stop(story);
      return story;
    };

    it('believes nothing that was not done', async () => {
      copyFileSync(live, folder('data/app.db.bad-20200101_000000Z'));
      const story = await stopped();
      await story.press('check-move');
      assert.match(story.failure, /not set aside yet/);
      await follow(story, 'move');
      const [own = ''] = setAsidesIn(folder('data')).filter((name) => !name.includes('2020'));
      await story.press('check-move');
      assert.equal(story.now, 'copy current', story.failure);
      await story.press('check-copy');
      assert.match(story.failure, /the rows of items differ/);
      assert.equal(story.now, 'copy failed');
      assert.ok(existsSync(folder('data', own)));
    });

    it('does not take half of a database for a set-aside', async () => {
      await kill(await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', insert));
      const story = await stopped();
      await follow(story, 'move');
      const wal = names().find((name) => /bad-.*-wal$/.test(name)) ?? '';
      assert.notEqual(wal, '');
      rmSync(folder('data', wal));
      await story.press('check-move');
      assert.match(story.failure, /is not all of/);
    });

    it('goes on with moves and copies made by the commands, and undoes them', async () => {
      await kill(await holdOpen(live, insert));
      const story = await stopped();
      await follow(story, 'move');
      await story.press('check-move');
      await follow(story, 'copy');
      await story.press('check-copy');
      assert.equal(story.now, 'restart current', story.failure);
      assert.equal(rows(), 100);
      await follow(story, 'verify');
      await story.press('restart-done', 'verify-again', 'verify-done', 'keep');
      await (await story.reopen()).press('undo');
      assert.equal(rows(), 106);
    });

    it('mixes the button of one step with the commands of the next', async () => {
      const one = await moved();
      await follow(one, 'copy');
      await one.press('check-copy');
      assert.equal(one.now, 'restart current', one.failure);
      assert.deepEqual(leftoversIn(folder('data')), [], 'nobody is to finish it any more');
      await one.press('undo');
      assert.equal(rows(), 105);

      await sleep(1000); // The names that the commands give have whole seconds.
      const two = await stopped();
      await follow(two, 'move');
      await two.press('check-move', 'copy');
      assert.equal(rows(), 100, two.failure);
      await two.press('undo');
      assert.equal(rows(), 105);
    });

    it('takes back a move, whether the live name is free or not', async () => {
      const linked = await stopped();
      await follow(linked, 'move');
      await linked.press('check-move', 'undo');
      assert.equal(rows(), 105);
      for (const name of setAsidesIn(folder('data'))) rmSync(folder('data', name));
      const story = await stopped();
      await follow(story, 'move');
      for (const part of ['', '-wal', '-shm']) rmSync(live + part, { force: true });
      await story.press('check-move', 'undo');
      assert.equal(rows(), 105, story.failure);
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
