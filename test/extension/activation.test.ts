import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import * as vscode from 'vscode';

describe('activation', () => {
  it('activates and offers the log', async () => {
    const extension = vscode.extensions.getExtension('sqlite-backup.sqlite-backup');
    assert.ok(extension, 'the extension is not installed');
    await extension.activate();
    const commands = await vscode.commands.getCommands(true);
    assert.ok(commands.includes('sqliteBackup.showLog'));
  });

  it('answers with Doctor, in a document that has no name of the user in it', async function () {
    this.timeout(60_000);
    const text = await vscode.commands.executeCommand<string>('sqliteBackup.doctor');
    assert.match(text, /^VS Code\n {2}✓ VS Code \d/);
    assert.match(text, /\n\nThis machine\n {2}✓ SQLite Backup \d/);
    assert.match(text, /\n {2}✓ SQLite 3\./);
    assert.match(text, /\n\ndata\/app\.db\n/);
    assert.ok(!text.includes(homedir()));
    const shown = vscode.window.activeTextEditor?.document;
    assert.equal(shown?.getText(), text);
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
  });
});
