import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { storedIn, checkpointsFolder } from '../../src/core/checkpoint/store.ts';
import { dialects, sendToHook } from '../support/agentHooks.ts';
import { createDatabase, withDatabase } from '../support/databases.ts';
import { itInPart } from '../support/operations.ts';
import { changeSettings, waitUntil, withWindow } from './setup.ts';
import type { Window } from './window.ts';

describe('agents in a window', function () {
  this.timeout(240_000);

  const create = (folder: string): Promise<void> => {
    mkdirSync(join(folder, 'data'), { recursive: true });
    mkdirSync(join(folder, '.git'));
    createDatabase(join(folder, 'data/shop.db'), { rows: 300 });
    return Promise.resolve();
  };

  itInPart(
    'are offered what they need, write only what was shown, and leave a turn that a person can undo',
    async () => {
      // With VS Code's chat, which other windows of tests are without.
      const settings = { 'chat.disableAIFeatures': false, 'sqliteBackup.agents.mcp': true };
      await withWindow({ create, settings }, async (window, folder) => {
        await window.openSidebar();
        await window.treeItem(/^data\/shop\.db, /).waitFor();
        // A repository, or an agent that writes its settings, switches nothing on or off.
        const hostile = (isOn: boolean): void =>
          changeSettings(folder, {
            'sqliteBackup.agents.protect': isOn,
            'sqliteBackup.agents.mcp': isOn,
            'sqliteBackup.checkpointsFolder': '/nonexistent',
          });
        hostile(true);

        await protects(window, folder, () => hostile(false));
        await undoesTurns(window, folder);
        await opensLinks(window, folder);
        await offersMcp(window);
      });
    },
  );

  /** The dialogs: what they will write, written only then, and taken away without a trace. */
  async function protects(window: Window, folder: string, attack: () => void): Promise<void> {
    const [copilot, claude] = [
      join(folder, '.github/hooks/sqlite-backup.json'),
      join(folder, '.claude/settings.local.json'),
    ];
    mkdirSync(join(folder, '.claude'));
    const before = '{\n   "permissions": {"allow": ["Bash(ls)"]}}';
    writeFileSync(claude, before);
    const ask = async (): Promise<void> => {
      await window.runCommand('SQLite Backup: Protect from Agents…');
      await window.dialog.getByText('It stops accidents, not a program that means harm').waitFor();
      await window.dialog.getByRole('button', { name: 'Also Outside of VS Code…' }).click();
      await window.dialog.getByText('Write the hook for agents outside of VS Code?').waitFor();
      await window.dialog.getByText('.github/hooks/sqlite-backup.json').waitFor();
    };
    await ask();
    // Each file stands in the editor behind the question.
    await window.page.locator('.view-lines', { hasText: 'sqlite-backup hook' }).waitFor();
    assert.ok(!existsSync(copilot));
    assert.equal(readFileSync(claude, 'utf8'), before);
    await window.dialog.getByRole('button', { name: 'Cancel' }).click();
    await window.dialog.waitFor({ state: 'detached' });
    assert.ok(!existsSync(copilot));
    assert.equal(readFileSync(claude, 'utf8'), before);

    // VS Code has the hooks of the plugin, and goes on to have them whatever the workspace says.
    for (const when of ['before', 'after']) {
      if (when === 'after') attack();
      await window.runCommand('Chat: Configure Hooks');
      await window.option(/^Pre-Tool Use \(\d+\)/).click();
      await window.option(/hooks\/hook\.sh/).waitFor();
      await window.page.keyboard.press('Escape');
    }

    await ask();
    await window.dialog.getByRole('button', { name: 'Write Files' }).click();
    await waitUntil(() => existsSync(copilot), 'the hook for Copilot is written');
    await waitUntil(
      () => readFileSync(claude, 'utf8') !== before,
      'the hook for Claude is written',
    );
    assert.match(readFileSync(claude, 'utf8'), /"Bash\(ls\)"[^]*sqlite-backup hook/);

    await window.runCommand('SQLite Backup: Stop Protecting from Agents');
    await window.notification('Databases are no longer saved before agents run tools.').waitFor();
    assert.equal(readFileSync(claude, 'utf8'), before);
    assert.ok(!existsSync(join(folder, '.github')));
  }

  /** An agent deletes rows through the shipped hook; a person goes back. */
  async function undoesTurns(window: Window, folder: string): Promise<void> {
    const shop = join(folder, 'data/shop.db');
    const tell = async (event: 'UserPromptSubmit' | 'PreToolUse' | 'PostToolUse' | 'Stop') => {
      const tool = event.endsWith('ToolUse') ? { tool: 'Bash' } : {};
      const { code } = await sendToHook(dialects.claude({ event, cwd: folder, ...tool }));
      assert.equal(code, 0);
    };
    await tell('UserPromptSubmit');
    await tell('PreToolUse');
    withDatabase(shop, (db) => db.exec('DELETE FROM items WHERE id > 180'));
    await tell('PostToolUse');
    await tell('Stop');
    await window.runCommand('View: Close All Editors');
    await window.runCommand('SQLite Backup: Undo Changes of This Turn…');
    await window.option(/^Turn 1, .*shop\.db · items −120 rows \(300 → 180\)/).click();
    await window.webview.getByRole('heading', { name: /Restore data\/shop\.db/ }).waitFor();
    // The state before the turn is the one that is chosen, and nothing has happened yet.
    await window.webview.getByText(/120/).first().waitFor();
    withDatabase(shop, (db) => {
      assert.equal(db.prepare('SELECT count(*) FROM items').pluck().get(), 180);
    });
    await window.runCommand('View: Close All Editors');
  }

  /** The link that the plan of a restore gives. */
  async function opensLinks(window: Window, folder: string): Promise<void> {
    const shop = join(folder, 'data/shop.db');
    const [first] = storedIn(checkpointsFolder(undefined)).filter(
      ({ manifest }) => manifest.livePath === shop,
    );
    const open = async (rest: string): Promise<void> => {
      await window.runCommand('Developer: Open URL');
      await window.quickInput
        .getByRole('textbox')
        .fill(`code-oss://sqlite-backup.sqlite-backup${rest}`);
      await window.page.keyboard.press('Enter');
      await window.dialog.getByRole('button', { name: 'Open', exact: true }).click();
    };
    await open('/runbook?backup=ffffffffffff');
    await window.notification('This workspace has no such backup.').waitFor();
    await open(`/runbook?backup=${first?.id ?? ''}`);
    await window.webview.getByRole('heading', { name: /Restore data\/shop\.db/ }).waitFor();
    withDatabase(shop, (db) => {
      assert.equal(db.prepare('SELECT count(*) FROM items').pluck().get(), 180);
    });
    await window.runCommand('View: Close All Editors');
  }

  /** In VS Code's own list of servers, because the user's settings say so, and started from there. */
  async function offersMcp(window: Window): Promise<void> {
    await window.runCommand('MCP: List Servers');
    await window.option(/^SQLite Backup/).click();
    await window.option(/^Start Server/).click();
    await window.page.locator('.view-lines', { hasText: 'Discovered 6 tools' }).waitFor();
  }
});
