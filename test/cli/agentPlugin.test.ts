import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Answered, dialects, sendToHook } from '../support/agentHooks.ts';
import { createDatabase } from '../support/databases.ts';
import { cliEntry, root } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the plugin for agents', function () {
  this.timeout(60_000);
  const folder = useTempFolder();
  const withNode = dirname(process.execPath);
  const system = '/usr/bin:/bin';

  beforeEach(function () {
    if (process.platform === 'win32') this.skip();
    cpSync(join(root, 'agent-plugin'), folder('extension/agent-plugin'), { recursive: true });
    symlinkSync(dirname(cliEntry), folder('extension/dist'));
    mkdirSync(folder('work/.git'), { recursive: true });
    createDatabase(folder('work/app.db'), { rows: 10 });
    // Programs that the script needs, and no Node.
    mkdirSync(folder('bin'));
    for (const name of ['sh', 'dirname', 'uname', 'cat', 'date', 'mkdir', 'chmod'])
      symlinkSync(
        [`/usr/bin/${name}`, `/bin/${name}`].find((path) => existsSync(path)) ?? name,
        folder(`bin/${name}`),
      );
  });

  const send = (PATH: string): Promise<Answered> =>
    sendToHook(dialects.claude({ event: 'PreToolUse', cwd: folder('work'), tool: 'Bash' }), {
      program: ['/bin/sh', folder('extension/agent-plugin/hooks/hook.sh')],
      env: { PATH, XDG_DATA_HOME: folder('data'), HOME: folder('home') },
    });
  const checkpoints = (): boolean => existsSync(folder('data/sqlite-backup/checkpoints'));

  it('says once a day that there is no Node, and never ends with an error', async () => {
    const first = await send(folder('bin'));
    assert.equal(first.code, 0);
    assert.match(String(first.answer['systemMessage']), /needs Node\.js 22\.14 or newer/);
    const second = await send(folder('bin'));
    assert.deepEqual([second.code, second.answer], [0, {}]);
    assert.ok(!checkpoints());
  });

  it('answers with an object when the command line breaks, or is gone with the extension', async () => {
    writeFileSync(folder('bin/node'), '#!/bin/sh\necho half an answer {; exit 3\n', {
      mode: 0o755,
    });
    assert.equal((await send(folder('bin'))).code, 0);
    writeFileSync(folder('bin/node'), '#!/bin/sh\nkill -9 $$\n', { mode: 0o755 });
    assert.deepEqual((await send(folder('bin'))).answer, {});
  });

  it('uses the Node on the path', async () => {
    assert.deepEqual((await send(`${withNode}:${system}`)).answer, {});
    assert.ok(checkpoints());
  });

  it('uses the Node of the editor, which need not be on the path, and the rule of its settings', async () => {
    mkdirSync(folder('data/sqlite-backup/runtime'), { recursive: true });
    const runtime = folder('data/sqlite-backup/runtime/agents');
    writeFileSync(runtime, `${process.execPath}\ncontinue\n`);
    assert.deepEqual((await send(folder('bin'))).answer, {});
    assert.ok(checkpoints());
    // An editor that was removed since.
    writeFileSync(runtime, '/nonexistent/code\nask\n');
    assert.deepEqual((await send(`${withNode}:${system}`)).answer, {});
  });

  it('calls the script at each event, from the folder of the plugin', () => {
    const { hooks } = JSON.parse(
      readFileSync(join(root, 'agent-plugin/hooks/hooks.json'), 'utf8'),
    ) as { hooks: Record<string, { hooks: { command: string; timeout: number }[] }[]> };
    assert.deepEqual(Object.keys(hooks), [
      ...['SessionStart', 'UserPromptSubmit', 'PreToolUse', 'PostToolUse', 'Stop'],
    ]);
    for (const [entry] of Object.values(hooks)) {
      const [only] = entry?.hooks ?? [];
      assert.match(
        only?.command ?? '',
        /; then sh "\$\{CLAUDE_PLUGIN_ROOT\}\/hooks\/hook\.sh"; else/,
      );
      assert.ok((only?.timeout ?? 0) > 15);
    }
  });
});
