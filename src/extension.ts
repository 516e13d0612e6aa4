import * as vscode from 'vscode';

export function activate(context: vscode.ExtensionContext): { apiVersion: 1 } {
  context.subscriptions.push(
    vscode.commands.registerCommand('sqliteBackup.showLog', () => undefined),
  );
  return { apiVersion: 1 };
}
