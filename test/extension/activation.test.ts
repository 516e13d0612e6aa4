import assert from 'node:assert/strict';
import * as vscode from 'vscode';

describe('activation', () => {
  it('activates and offers the log', async () => {
    const extension = vscode.extensions.getExtension('sqlite-backup.sqlite-backup');
    assert.ok(extension, 'the extension is not installed');
    await extension.activate();
    const commands = await vscode.commands.getCommands(true);
    assert.ok(commands.includes('sqliteBackup.showLog'));
  });
});
