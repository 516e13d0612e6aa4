import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { sendToHook, dialects, type ToolEvent } from '../support/agentHooks.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

interface ListedTurn {
  session: string;
  turn: string;
  before: string | null;
  changes: { table: string; before?: number; now?: number }[] | null;
}

describe('the turns of an agent', function () {
  this.timeout(60_000);
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  let database = '';

  const send = async (event: ToolEvent['event'], tool?: string): Promise<void> => {
    const given = { event, cwd: folder('work'), ...(tool !== undefined && { tool }) };
    const { code } = await sendToHook(dialects.claude(given));
    assert.equal(code, 0);
  };
  const run = (sql: string): void => withDatabase(database, (db) => void db.exec(sql));
  const turns = async (): Promise<ListedTurn[]> => {
    const { stdout } = await runCli(['list', '--checkpoints', '--turns', '--json']);
    return (JSON.parse(stdout) as { turns: ListedTurn[] }).turns;
  };

  beforeEach(() => {
    mkdirSync(folder('work/.git'), { recursive: true });
    database = createDatabase(folder('work/app.db'), { rows: 100 });
  });

  it('have the state before them also where nothing had changed when they began', async () => {
    await send('UserPromptSubmit');
    await send('PreToolUse', 'Bash');
    run('DELETE FROM items WHERE id <= 30');
    await send('Stop');
    // Nothing changes between the turns, so nothing is saved when this one begins.
    await send('UserPromptSubmit');
    await send('PreToolUse', 'Bash');
    run('DELETE FROM items WHERE id <= 50');
    await send('PreToolUse', 'Edit');
    run('DELETE FROM items WHERE id <= 60; CREATE TABLE notes (text)');
    await send('Stop');
    // The person's own change is not that of a turn.
    run('DELETE FROM items');

    const [second, first] = await turns();
    assert.deepEqual([first?.turn, second?.turn], ['1', '2']);
    assert.deepEqual(first?.changes, [{ table: 'items', before: 100, now: 70 }]);
    assert.deepEqual(second?.changes, [
      { table: 'items', before: 70, now: 40 },
      { table: 'notes', now: 0 },
    ]);

    const { stdout } = await runCli(['list', '--checkpoints', '--turns']);
    assert.match(stdout, /turn 2 of s1 .*items −30 rows \(70 → 40\), table notes is new/);
    const [, id = ''] =
      /turn 2 .*\n {2}Undo: sqlite-backup restore (\w+) .* --yes$/m.exec(stdout) ?? [];
    assert.equal(id, second?.before);
    const { code } = await runCli(['restore', id, database, '--yes']);
    assert.equal(code, 0);
    assert.equal(valueOf(database, 'SELECT count(*) FROM items'), 70);
  });

  itInPart(
    'that change nothing are not listed as if they had, and a session without turns has none',
    async () => {
      await send('PreToolUse', 'Bash');
      run('DELETE FROM items WHERE id <= 30');
      await send('Stop');
      assert.deepEqual(await turns(), []);
      await send('UserPromptSubmit');
      await send('Stop');
      assert.deepEqual(
        (await turns()).map(({ turn, changes }) => ({ turn, changes })),
        [{ turn: '1', changes: null }],
      );
    },
  );
});
