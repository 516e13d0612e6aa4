import assert from 'node:assert/strict';
import { readdirSync, renameSync, rmSync, symlinkSync, truncateSync } from 'node:fs';
import { noteUndone } from '../../src/runbook/steps/undo.ts';
import { createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import { holdOpen, kill } from '../support/processes.ts';
import { leftoversIn, setAsidesIn } from '../support/restores.ts';
import { insert, useRestores } from '../support/runbookRestores.ts';
import { Story } from '../support/runbookStory.ts';
import { itInPart } from '../support/operations.ts';

describe('a restore over the live database on the page', () => {
  const restores = useRestores();
  const { folder, begin, stop, moved, rows } = restores;
  let live = '';
  let backup = '';
  beforeEach(() => ({ live, backup } = restores));

  it('goes through all steps, and keeps the old one', async () => {
    const before = await holdOpen(live, 'SELECT 1 FROM items');
    const story = await begin({ backupsFolder: folder('backups') });
    await story.press('restore-live');
    await kill(before);
    await story.session.look();
    await stop(story);
    const { summary = '' } = story.step('move');
    assert.match(summary, /is kept as app\.db\.bad-… with/, 'no time before there is one');
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

  itInPart('forgets why it was not undone once a command has done it', async () => {
    const story = await moved();
    await story.press('copy');
    const server = await holdOpen(live, insert);
    await story.press('undo');
    assert.match(story.failure, /open in/);
    await kill(server);
    const [setAside = ''] = story.restore.setAsides;
    await noteUndone(story.restore, setAside, 'The previous database is live again.');
    assert.deepEqual([story.failure, story.now], ['', 'over']);
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

  itInPart('offers no button but Cancel while another would be lost', async () => {
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

  itInPart('says how to go on when the database was used between move and copy', async () => {
    const story = await moved();
    withDatabase(live, (db) => db.exec(insert));
    await story.press('copy');
    assert.match(story.failure, /changed the live database after it was kept.*Undo/);
    await story.press('undo');
    assert.equal(rows(), 106, 'with what was written since');
    assert.deepEqual(leftoversIn(folder('data')), []);
  });

  itInPart('goes on where it was after the window was closed at each step', async () => {
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
    assert.equal(story.state.subtitle, 'Undone: the previous database is back.');
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
      const steps = [...text.matchAll(/^## (\d\. .*)$/gm)].map(([, title]) => title);
      assert.deepEqual(
        steps,
        story.state.steps.map(({ number, title }) => `${number}. ${title}`),
      );
      assert.match(text, /^- \[x\] .*: You confirmed that it is running\.$/m);
      assert.ok(text.includes(`Kept as ${kept.replaceAll('_', '\\_')}.`), text);
      assert.ok(text.includes(`=${folder('data', kept)}'`), 'the commands name what was kept');
    }
    assert.doesNotMatch(middle, /The previous database stays/);
    assert.match(end, /^- \[x\] .*: The previous database stays as/m);
    assert.match(over.state.to.title, /app\.db · /, 'the cards tell what was planned');
    assert.equal(over.state.to.facts[0], 'Readable');
  });

  it('is not written down when it only made a new file', async () => {
    const story = await begin();
    await story.press('restore-live', 'change-mind', 'restore-beside');
    assert.ok(!story.isOffered('export'));
    assert.ok(!(await story.reopen()).isOffered('export'));
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

  itInPart('archives or deletes what it kept, and then does not offer to undo', async () => {
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

  for (const [what, spoil] of [
    ['does not exist', () => rmSync(live)],
    ['is empty', () => truncateSync(live)],
  ] as const) {
    it(`says before it deletes the last copy of a database that ${what}`, async () => {
      const story = await moved();
      await story.press('copy', 'restart-done', 'verify-again', 'verify-done');
      spoil();
      story.answer = false;
      await story.press('delete');
      const { message, detail } = story.questions.at(-1) ?? {};
      assert.match(message ?? '', /^Delete the last copy, app\.db\.bad-/);
      assert.match(detail ?? '', /app\.db does not exist or is empty, so this is the last copy/);
      assert.equal(setAsidesIn(folder('data')).length, 1);
    });
  }

  it('asks before it puts back what is not what was kept, and keeps the live one as well', async () => {
    const story = await moved();
    await story.press('copy');
    const [name = ''] = setAsidesIn(folder('data'));
    withDatabase(folder('data', name), (db) => db.exec('DELETE FROM items WHERE id < 50'));
    story.answer = false;
    story.whileAsked = () => Promise.resolve(void (story.answer = story.questions.length === 2));
    await story.press('undo');
    assert.match(story.questions[2]?.message ?? '', /even though it changed/);
    assert.match(story.questions[2]?.detail ?? '', /has changed since it was kept/);
    assert.equal(rows(), 100, 'the answer was no');
    story.whileAsked = () => Promise.resolve();
    story.answer = true;
    await story.press('undo');
    assert.equal(rows(), 56, story.failure);
    assert.equal(setAsidesIn(folder('data')).map((one) => rows(folder('data', one)))[0], 100);
  });

  it('does not offer to put back what somebody has deleted', async () => {
    const story = await moved();
    await story.press('copy');
    for (const name of setAsidesIn(folder('data'))) rmSync(folder('data', name));
    const again = await story.reopen();
    assert.ok(!again.isOffered('undo'));
    assert.match(again.state.footer.text, /no longer exists/);
  });

  it('survives that all its files are gone', async () => {
    const story = await moved();
    rmSync(folder('data'), { recursive: true });
    rmSync(folder('backups'), { recursive: true });
    const again = await story.reopen();
    assert.equal(again.restore.run.ending, 'elsewhere');
    assert.ok(!again.isOffered('undo'));
  });

  itInPart('does not have two pages replace the same database blindly', async () => {
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
});
