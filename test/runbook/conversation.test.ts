import assert from 'node:assert/strict';
import { Conversation } from '../../src/runbook/conversation.ts';
import type { RunbookState, ToPage } from '../../src/runbook/protocol.ts';
import { newRun } from '../../src/runbook/run.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { waitUntil } from '../support/processes.ts';
import { Story, wording } from '../support/runbookStory.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the conversation with a page', () => {
  const folder = useTempFolder();
  let story: Story;
  let conversation: Conversation;
  const posted: ToPage[] = [];
  const copied: string[] = [];
  const warnings: string[] = [];
  let isVisible = true;

  const shown = (): RunbookState | undefined =>
    posted.flatMap((message) => ('state' in message ? message.state : [])).at(-1);

  beforeEach(async () => {
    for (const list of [posted, copied, warnings]) list.length = 0;
    isVisible = true;
    const live = createDatabase(folder('app.db'));
    const { path } = await snapshot(live, { folder: folder('backups') });
    story = new Story(newRun('r1', path, [{ live, chosen: true }], new Date()));
    conversation = new Conversation(story.session, wording, {
      isVisible: () => isVisible,
      post: (message) => void posted.push(message),
      copy: (text) => Promise.resolve(void copied.push(text)),
      warn: (text) => void warnings.push(text),
      defect: (error) => assert.fail(String(error)),
    });
  });
  afterEach(() => conversation.dispose());

  const untilCompared = (): Promise<void> =>
    waitUntil(() => shown()?.comparisons[0]?.summary !== undefined, 'the comparison is shown');

  it('takes nothing from a page before it was shown anything', () => {
    conversation.receive({ act: 'restore-beside' });
    assert.match(warnings.join(), /not offered/);
    assert.equal(posted.length, 1, 'it is told what there is');
  });

  it('does what was shown, and refuses what does not hold any more', async () => {
    conversation.start();
    conversation.receive({ ready: true });
    await untilCompared();
    assert.equal(shown()?.footer.actions[0]?.enabled, true);
    // The page has not been told yet that something goes on.
    story.restore.isActing = true;
    conversation.receive({ act: 'export' });
    assert.match(warnings.join(), /not offered/);
    assert.equal(shown()?.footer.actions[0]?.enabled, false, 'now it is told');
    story.restore.isActing = false;
    conversation.draw();
    conversation.receive({ act: 'export' });
    await waitUntil(() => story.exported.length === 1, 'it is exported');
  });

  it('copies the commands that were shown, which only the host has', async () => {
    conversation.start();
    await untilCompared();
    conversation.receive({ copy: { step: 'step-move', shell: 'posix' } });
    await waitUntil(() => posted.some((message) => 'copied' in message), 'it says so');
    assert.equal(copied[0], story.step('move').commands?.posix);
  });

  it('tells a hidden page nothing, and all when it is seen again', async () => {
    isVisible = false;
    conversation.start();
    await waitUntil(() => story.restore.plan !== undefined && !story.restore.isActing, 'compared');
    conversation.draw();
    assert.deepEqual(posted, []);
    isVisible = true;
    conversation.draw();
    assert.notEqual(shown()?.comparisons[0]?.summary, undefined);
  });
});
