import assert from 'node:assert/strict';
import { holdOpen, kill } from '../support/processes.ts';
import { useRestores } from '../support/runbookRestores.ts';

describe('a restore to a new file, once it is done', () => {
  const { begin } = useRestores();

  it('offers to look at the file, to compare it, to find it, and to restore over the live database', async () => {
    const story = await begin();
    assert.ok(!story.isOffered('look-beside'), 'there is no file yet');
    await story.press('restore-beside');
    const [path = ''] = story.restore.run.besides ?? [];
    await story.press('look-beside', 'compare-beside', 'reveal-beside', 'restore-now');
    assert.deepEqual(
      story.shown.map((one) => [one.how, one.path]),
      [
        ['look', path],
        ['compare', path],
        ['reveal', path],
      ],
    );
    assert.deepEqual(story.again, [story.restore.run.backup]);
    const reopened = await story.reopen();
    assert.ok(reopened.isOffered('restore-now'), 'also after the window was closed');
  });
});

describe('the step Stop', () => {
  const restores = useRestores();
  const { begin } = restores;

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  it('names the command line of a program, and since when it runs', async () => {
    const { pid } = await holdOpen(restores.live, 'SELECT 1');
    const story = await begin();
    await story.press('restore-live');
    const [holder] = story.step('stop').holders;
    assert.equal(holder?.pid, pid);
    assert.match(holder?.note ?? '', /holder\.\w+ .* · since 2\d{3}-\d\d-\d\dT/);
  });

  it('ends a program after a question, and only then', async () => {
    const { pid } = await holdOpen(restores.live, 'SELECT 1');
    const story = await begin();
    await story.press('restore-live');
    story.answer = false;
    await story.press(`end-${pid}`);
    assert.deepEqual(
      story.step('stop').holders.map((one) => one.pid),
      [pid],
    );
    story.answer = true;
    await story.press(`end-${pid}`);
    assert.equal(story.questions.at(-1)?.no, 'Let It Run', 'the safe answer says what it does');
    assert.deepEqual(story.step('stop').holders, [], story.failure);
  });

  it('ends no program that has come in the place of the one that was shown', async () => {
    const program = await holdOpen(restores.live, 'SELECT 1');
    const story = await begin();
    await story.press('restore-live');
    const [shown] = story.restore.seen?.holders ?? [];
    if (shown !== undefined) shown.startedAt = '2020-01-01T00:00:00.000Z';
    await story.press(`end-${program.pid}`);
    assert.deepEqual(
      story.step('stop').holders.map(({ pid }) => pid),
      [program.pid],
      'the number was used again, and the other program lives',
    );
    await kill(program);
  });
});
