import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import Database from 'better-sqlite3';
import { holdOpen, kill, run, workerEntry } from '../support/processes.ts';
import { setAsidesIn } from '../support/restores.ts';
import { useRestores } from '../support/runbookRestores.ts';
import type { Story } from '../support/runbookStory.ts';
import { itInPart } from '../support/operations.ts';

describe('programs and tasks around a restore on the page', () => {
  const restores = useRestores();
  const { folder, begin, stop, moved, rows } = restores;
  let live = '';
  beforeEach(() => ({ live } = restores));

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

  itInPart(
    'says of the extensions of the window that they are these, and does not wait for them',
    async () => {
      const viewer = new Database(live);
      try {
        viewer.exec('SELECT 1 FROM items');
        const story = await begin({ entry: workerEntry });
        await story.press('restore-live');
        const name = story.step('stop').holders[0]?.name ?? '';
        assert.deepEqual(story.step('stop').holders, [
          { name, pid: process.pid, note: 'an extension in this window' },
        ]);
        viewer.close();
        await story.session.look();
        await stop(story);
        await story.press('move', 'copy');
        assert.match(
          story.step('restart').lines[0]?.text ?? '',
          /Confirm when your application runs again/,
        );
      } finally {
        viewer.close();
      }
    },
  );

  it('does not take a word about what cannot be seen for one about what is open', async () => {
    const story = await begin();
    await story.press('restore-live');
    await story.session.tick('confirm-unseen', true);
    await holdOpen(live, 'SELECT 1 FROM items');
    await story.session.look();
    assert.ok(!story.isOffered('stop-done'));
    assert.equal(story.step('stop').confirm?.ticked, false);
  });

  describe('is started again', () => {
    /** Has a file open until it is killed, as who looks into a database has. */
    const lookInto = (path: string): Promise<ChildProcess> =>
      new Promise((resolve) => {
        const onStart = (child: ChildProcess): void =>
          void child.stdout?.once('data', () => resolve(child));
        // From its beginning, which is text: one byte of a database may be half a letter, of which nobody is told.
        void run(['tail', '-c', '+1', '-f', path], { onStart });
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
        `tail (${viewer.pid}) has it open, but did not have it open before the restore.`,
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
      assert.match((await restart(story)).join(), /Confirm when your application runs again/);
      const viewer = await lookInto(live);
      assert.deepEqual((await restart(story)).slice(1), [`tail (${viewer.pid}) has it open.`]);
      await story.press('restart-done');
      assert.equal(story.step('restart').status, 'confirmed');
      assert.deepEqual(await restart(story), [
        `You confirmed that it is running: tail (${viewer.pid}) has it open.`,
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

  it('offers no task of a folder that is not trusted, and says that nobody was asked', async () => {
    const story = await begin({ stopTask: 'stop server', healthUrl: 'http://localhost/' });
    story.isTrusted = false;
    await story.press('restore-live');
    assert.ok(!story.isOffered('run-stop-task'));
    assert.match(story.step('stop').actions[0]?.reason ?? '', /is not trusted/);
    await stop(story);
    story.health = { ok: undefined, text: 'was not requested' };
    await story.press('move', 'copy', 'restart-done', 'verify-again');
    assert.equal(story.step('verify').lines.at(-1)?.kind, 'warning');
    await story.press('verify-done');
    assert.equal(story.step('verify').status, 'done');
    assert.match(story.step('verify').lines[0]?.text ?? '', /No health check ran/);
  });

  it('does not call it well when the application does not answer well', async () => {
    const story = await moved({ healthUrl: 'http://localhost/' });
    story.health = { ok: false, text: '503' };
    await story.press('copy', 'restart-done', 'verify-again', 'verify-done');
    assert.equal(story.step('verify').status, 'confirmed');
    assert.match(story.step('verify').lines[0]?.text ?? '', /reports a problem/);
  });

  it('stops waiting for a task, and says how it ended', async () => {
    const story = await begin({ stopTask: 'stop server' });
    await story.press('restore-live');
    story.runTask = () => Promise.resolve({ ended: true, exitCode: 1 });
    await story.press('run-stop-task');
    assert.match(story.failure, /ended with 1/);
    story.runTask = (signal) =>
      new Promise((resolve) => signal?.addEventListener('abort', () => resolve({ ended: false })));
    const running = story.press('run-stop-task');
    await story.untilBusy('stop');
    await story.press('cancel');
    await running;
    assert.equal(story.now, 'stop current');
  });
});
