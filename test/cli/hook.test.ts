import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Dialect, dialects, sendToHook, type Answered } from '../support/agentHooks.ts';
import { createDatabase, withDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart, itWhere } from '../support/operations.ts';

describe('the hook of agents', function () {
  this.timeout(60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';
  let env: Record<string, string> = {};

  beforeEach(() => {
    mkdirSync(folder('work/.git'), { recursive: true });
    database = createDatabase(folder('work/app.db'), { rows: 100 });
    env = { XDG_DATA_HOME: folder('data'), SQLITE_BACKUP_CHECKPOINTS: folder('cp') };
  });

  const send = (event: object | string | Buffer, args: string[] = []): Promise<Answered> =>
    sendToHook(event, { env, args, cwd: folder('work') });
  const before = (tool = 'Bash', dialect: Dialect = 'claude'): Promise<Answered> =>
    send(dialects[dialect]({ event: 'PreToolUse', cwd: folder('work'), tool }));
  const after = (tool = 'Bash', dialect: Dialect = 'claude'): Promise<Answered> =>
    send(dialects[dialect]({ event: 'PostToolUse', cwd: folder('work'), tool }));
  const listed = async (): Promise<{ id: string; trigger: { kind: string; text: string } }[]> => {
    const { stdout } = await runCli(['list', '--checkpoints', '--json'], { env });
    const { checkpoints } = JSON.parse(stdout) as {
      checkpoints: { id: string; trigger: { kind: string; text: string } }[];
    };
    return checkpoints;
  };

  itInPart(
    'answers with one empty object what is no event, and what is about no folder',
    async () => {
      const events: (object | string | Buffer)[] = [
        ...['', 'null', '[]', '{', '"x"', '{}', '\u0000', '{"hook_event_name":"Nonsense"}'],
        Buffer.from([0xff, 0xfe, 0x00]),
        { hook_event_name: 'PreToolUse', tool_name: 7, cwd: '/nonexistent/folder' },
        { hook_event_name: 'PreToolUse', tool_name: 'Bash', cwd: database },
        { hook_event_name: ['PreToolUse'], cwd: {} },
      ];
      for (const event of events) {
        const { code, answer, stdout } = await send(event);
        assert.equal(code, 0);
        assert.deepEqual(answer, {});
        assert.equal(stdout.trimEnd().split('\n').length, 1);
      }
      assert.deepEqual(await listed(), []);
    },
  );

  it('takes arguments of 10 MB, names with line breaks, and options that it does not know', async () => {
    const input = { command: 'x'.repeat(10_000_000) };
    const event = dialects.claude({
      ...{ event: 'PreToolUse', cwd: folder('work'), tool: 'Ba\nsh\u202e', input },
      session: 's\n1',
    });
    const { code, answer } = await send(event, ['--unknown', '--when-not-saved', 'nonsense']);
    assert.deepEqual([code, answer], [0, {}]);
    const [only] = await listed();
    assert.deepEqual(only?.trigger, { kind: 'agent', text: 'Ba sh ' });
  });

  for (const dialect of Object.keys(dialects) as Dialect[]) {
    itWhere(dialect === 'claude')(
      `saves what has changed before a tool, and says what the tool has changed: ${dialect}`,
      async () => {
        assert.deepEqual((await before('Bash', dialect)).answer, {});
        const [first] = await listed();
        assert.equal(first?.trigger.kind, 'agent');
        // Nothing has changed.
        assert.deepEqual((await after('Bash', dialect)).answer, {});
        assert.deepEqual((await before('Bash', dialect)).answer, {});
        assert.equal((await listed()).length, 1);

        withDatabase(database, (db) => db.exec('DELETE FROM items WHERE id > 60'));
        const { answer } = await after('Bash', dialect);
        const told = answer.hookSpecificOutput;
        assert.equal(told?.hookEventName, 'PostToolUse');
        assert.equal(
          told?.additionalContext,
          `app.db changed: items −40 rows (100 → 60); state before: checkpoint ${first?.id.slice(0, 8)}. Tell the person.`,
        );
        assert.equal(told?.permissionDecision, undefined);
      },
    );
  }

  it('takes no checkpoint for a tool that only reads', async () => {
    for (const tool of ['Read', 'read_file', 'grep_search', 'list_dir', 'sqlite-backup_compare'])
      assert.deepEqual((await before(tool)).answer, {});
    assert.deepEqual(await listed(), []);
    // What it does is not known.
    await before('mcp__shop__lookup');
    assert.equal((await listed()).length, 1);
  });

  it('says that a database is gone, or no database any more', async () => {
    await before();
    rmSync(database);
    assert.match(
      (await after()).answer.hookSpecificOutput?.additionalContext ?? '',
      /^app\.db is gone; state before: checkpoint [0-9a-f]{8}\. Tell the person\.$/,
    );
    // And nothing is left that could be saved before the next tool.
    assert.deepEqual((await before()).answer, {});
  });

  itInPart('tells of a database that became a folder, and of one that was cut', async () => {
    await before();
    rmSync(database);
    mkdirSync(database);
    assert.match(
      (await after()).answer.hookSpecificOutput?.additionalContext ?? '',
      /^app\.db is no database any more; state before: /,
    );
    assert.deepEqual((await before()).answer, {});
    rmSync(database, { recursive: true });
    writeFileSync(database, 'x'.repeat(5000));
    assert.deepEqual((await before()).answer, {});
  });

  it('asks when what has changed cannot be saved, and goes on where a person says so', async () => {
    await holdOpen(database, 'BEGIN EXCLUSIVE');
    const asked = await before();
    assert.equal(asked.code, 0);
    assert.equal(asked.answer.hookSpecificOutput?.permissionDecision, 'ask');
    assert.match(
      asked.answer.hookSpecificOutput?.permissionDecisionReason ?? '',
      /^app\.db could not be saved before this: .*app\.db is locked by another program/,
    );
    const flat = await before('bash', 'copilot');
    assert.equal(flat.answer['permissionDecision'], 'ask');
    const event = dialects.claude({ event: 'PreToolUse', cwd: folder('work'), tool: 'Bash' });
    const { answer } = await send(event, ['--when-not-saved', 'continue']);
    assert.equal(answer.hookSpecificOutput?.permissionDecision, undefined);
    assert.match(answer.hookSpecificOutput?.additionalContext ?? '', /could not be saved/);
  });

  itInPart('saves the others when one is larger than any, and asks about that one', async () => {
    truncateSync(createDatabase(folder('work/large.db')), 20_000_000_000);
    const { answer } = await before();
    assert.match(
      answer.hookSpecificOutput?.permissionDecisionReason ?? '',
      /^large\.db could not be saved before this: .*more than the limit/,
    );
    assert.equal((await listed()).length, 1);
  });

  it('never approves, also when the data folder cannot be written', async () => {
    writeFileSync(folder('data'), 'a file');
    rmSync(folder('cp'), { force: true, recursive: true });
    writeFileSync(folder('cp'), 'a file');
    const { code, answer } = await before();
    assert.equal(code, 0);
    assert.notEqual(answer.hookSpecificOutput?.permissionDecision, 'allow');
  });

  it('knows the databases below the repository, from a folder in it, also by links to them', async () => {
    mkdirSync(folder('work/src/deep'), { recursive: true });
    createDatabase(folder('elsewhere.db'), { rows: 3 });
    symlinkSync(folder('elsewhere.db'), folder('work/link-target'));
    const event = dialects.claude({
      ...{ event: 'PreToolUse', cwd: join(folder('work'), 'src/deep'), tool: 'Write' },
    });
    assert.deepEqual((await send(event)).answer, {});
    assert.equal((await listed()).length, 2);
  });

  itInPart('counts the turns of a session, and names the tool', async () => {
    const prompt = dialects.claude({ event: 'UserPromptSubmit', cwd: folder('work') });
    await send(prompt);
    withDatabase(database, (db) => db.exec('DELETE FROM items WHERE id = 1'));
    await send(prompt);
    withDatabase(database, (db) => db.exec('DELETE FROM items WHERE id = 2'));
    await before('Edit');
    const { stdout } = await runCli(['list', '--checkpoints', '--json'], { env });
    const found = JSON.parse(stdout) as { checkpoints: { trigger: { text: string } }[] };
    assert.deepEqual(
      found.checkpoints.map(({ trigger }) => trigger.text),
      ['Edit', 'prompt', 'prompt'],
    );
  });

  it('says at the start of a session what is saved, and nothing where there is no database', async () => {
    const start = dialects.claude({ event: 'SessionStart', cwd: folder('work') });
    const said = (await send(start)).answer.hookSpecificOutput?.additionalContext ?? '';
    assert.match(said, /checkpoint of app\.db before each tool/);
    assert.ok(said.length <= 500);
    mkdirSync(folder('empty'));
    const empty = dialects.claude({ event: 'SessionStart', cwd: folder('empty') });
    assert.deepEqual((await send(empty)).answer, {});
  });

  it('lets two agents work at once', async () => {
    const events = ['a', 'b', 'c'].map((session) =>
      dialects.claude({ event: 'PreToolUse', cwd: folder('work'), tool: 'Bash', session }),
    );
    const answers = await Promise.all(events.map((event) => send(event)));
    for (const { code, answer } of answers) assert.deepEqual([code, answer], [0, {}]);
    // Those that look at the same moment may each take one: all of the same state.
    const count = (await listed()).length;
    assert.ok(count >= 1 && count <= 3, `${count} checkpoints`);
    withDatabase(database, (db) => db.exec('DELETE FROM items'));
    const told = await Promise.all(
      ['a', 'b', 'c'].map((session) =>
        send(dialects.claude({ event: 'PostToolUse', cwd: folder('work'), tool: 'Bash', session })),
      ),
    );
    for (const { answer } of told)
      assert.match(answer.hookSpecificOutput?.additionalContext ?? '', /items −100 rows/);
  });
});
