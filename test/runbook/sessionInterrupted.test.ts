import assert from 'node:assert/strict';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixture, holdOpen, kill, needProgram, run } from '../support/processes.ts';
import { leftoversIn, setAsidesIn } from '../support/restores.ts';
import { insert, useRestores } from '../support/runbookRestores.ts';
import type { Story } from '../support/runbookStory.ts';
import { itInPart, itWhere } from '../support/operations.ts';

describe('a restore on the page that is interrupted, or done by hand', () => {
  const restores = useRestores();
  const { folder, begin, stop, moved, rows, names } = restores;
  let live = '';
  beforeEach(() => ({ live } = restores));

  describe('cut off in the middle', () => {
    for (const when of ['before', 'after']) {
      for (const how of ['finish', 'roll-back']) {
        itWhere((when === 'before') === (how === 'roll-back'))(
          `${when} the live name changes, the new window can ${how}`,
          async () => {
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
          },
        );
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
      assert.match(story.failure, /not kept yet/);
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
      assert.match(story.failure, /is not a complete copy of/);
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

    itInPart('mixes the button of one step with the commands of the next', async () => {
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
});
