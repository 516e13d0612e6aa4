import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { valueOf } from '../support/databases.ts';
import { holdOpen, kill } from '../support/processes.ts';
import { useRestores } from '../support/runbookRestores.ts';
import type { Story } from '../support/runbookStory.ts';

describe('data that only a running program still has, on the page', function () {
  const restores = useRestores();
  const { folder, begin, stop, rows } = restores;

  before(function () {
    if (process.platform !== 'linux') this.skip(); // Elsewhere other programs do not show it.
  });

  /** 105 rows less 98, all of it in a `-wal` that is deleted while the program runs. */
  const inWal = ['PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7'];
  const backups = (): string[] =>
    readdirSync(folder('backups')).filter((name) => name.endsWith('.db'));
  const toStop = async (): Promise<Story> => {
    const story = await begin({ backupsFolder: folder('backups'), stopTask: 'stop server' });
    await story.press('restore-live');
    return story;
  };
  const linesOf = (story: Story): string =>
    story
      .step('stop')
      .lines.map(({ text }) => text)
      .join('\n');

  for (const [what, suffixes] of [
    ['a deleted -wal', ['-wal']],
    ['a deleted database', ['', '-wal', '-shm']],
  ] as const) {
    it(`(${what}) is saved before anything could end the program, and then the restore goes on`, async () => {
      const server = await holdOpen(restores.live, ...inWal);
      for (const suffix of suffixes) rmSync(restores.live + suffix);
      const story = await toStop();
      const [notice] = story.state.notices;
      assert.equal(notice?.title, `Do not stop node (${server.pid}) yet: data would be lost.`);
      assert.match(notice.text ?? '', new RegExp(`app\\.db${suffixes[0]}.* Save it, then stop`));
      assert.match(linesOf(story), /Only that program still has its content/);
      const actions = story.step('stop').actions;
      assert.deepEqual([actions[0]?.label, actions[0]?.kind], ['Save What It Holds', 'primary']);
      for (const id of ['run-stop-task', 'stop-done']) assert.ok(!story.isOffered(id), id);
      assert.equal(story.step('stop').confirm, undefined, 'it can be passed by with a tick');

      const before = backups();
      await story.press('save-lost');
      const [made = ''] = backups().filter((name) => !before.includes(name));
      assert.equal(valueOf(folder('backups', made), 'SELECT count(*) FROM items'), 7);
      assert.match(linesOf(story), new RegExp(`Saved what node \\(${server.pid}\\).*${made}`));
      assert.deepEqual(story.state.notices, []);
      assert.ok(story.isOffered('run-stop-task'));
      assert.ok(!story.isOffered('stop-done'), 'it still has it open');

      const again = await story.reopen({ backupsFolder: folder('backups') });
      assert.deepEqual(again.state.notices, [], 'it is saved already');
      await kill(server);
      await again.session.look();
      await stop(again);
      await again.press('move', 'copy');
      assert.equal(rows(), 100, again.failure);
    });
  }

  it('is named on the plan already, before a step leads to stopping anything', async () => {
    await holdOpen(restores.live, ...inWal);
    rmSync(`${restores.live}-wal`);
    const story = await begin({ backupsFolder: folder('backups') });
    assert.match(story.state.notices[0]?.title ?? '', /^Do not stop node/);
    await story.press('save-lost-first');
    assert.deepEqual(story.state.notices, []);
  });

  it('is given up only after a question, and that is written down', async () => {
    await holdOpen(restores.live, ...inWal);
    rmSync(`${restores.live}-wal`);
    const story = await toStop();
    story.answer = false;
    await story.press('give-up-lost');
    assert.ok(!story.isOffered('run-stop-task'));
    story.answer = true;
    await story.press('give-up-lost');
    const asked = story.questions.at(-1);
    assert.match(`${asked?.message} ${asked?.detail}`, /without saving.*app\.db-wal was deleted/);
    assert.ok(story.isOffered('run-stop-task'));
    assert.match(linesOf(story), /You chose not to save/);
  });

  it('that a program takes with it before it was saved is told', async () => {
    const server = await holdOpen(restores.live, ...inWal);
    rmSync(`${restores.live}-wal`);
    const story = await toStop();
    await kill(server);
    await story.session.look();
    assert.match(linesOf(story), new RegExp(`node \\(${server.pid}\\) ended.*before.*was saved`));
    await story.session.look();
    assert.equal(linesOf(story).match(/was saved/g)?.length, 1);
  });

  it('keeps the restore from going on when the files are deleted after the step Stop', async () => {
    const server = await holdOpen(restores.live, ...inWal);
    const story = await toStop();
    await story.tick('confirm-open');
    await story.press('stop-done');
    rmSync(`${restores.live}-wal`);
    await story.press('move');
    assert.equal(story.now, 'stop failed');
    assert.match(story.failure, new RegExp(`node \\(${server.pid}\\).*Save it first`));
    await story.press('save-lost');
    assert.equal(story.failure, '');
  });

  it('cannot be saved without a backups folder, and the page says that', async () => {
    await holdOpen(restores.live, ...inWal);
    rmSync(`${restores.live}-wal`);
    const story = await begin({ stopTask: 'stop server' });
    await story.press('restore-live');
    assert.match(story.step('stop').actions[0]?.reason ?? '', /no backups folder/);
    assert.ok(!story.isOffered('run-stop-task'));
    assert.ok(story.isOffered('give-up-lost'));
  });
});
