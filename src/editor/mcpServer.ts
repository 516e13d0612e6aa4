/** The tools for agents as an MCP server, for what in the editor knows no other tools. VS Code's own chat has them without it. */
import { join } from 'node:path';
import * as vscode from 'vscode';
import { mcpArguments } from '../agents/mcpCommand.ts';
import type { Parts } from './commands/parts.ts';
import { mcpProvider } from './ids.ts';

/** Offers the server while `sqliteBackup.agents.mcp` is on and the workspace is trusted. `dist` has the program. */
export function registerMcpServer(
  { folder, settings }: Pick<Parts, 'folder' | 'settings'>,
  { dist, version }: { dist: string; version: string },
): vscode.Disposable {
  // Editors that are made from VS Code may lack it.
  if (Reflect.get(vscode.lm, 'registerMcpServerDefinitionProvider') === undefined)
    return vscode.Disposable.from();
  const changed = new vscode.EventEmitter<void>();
  const tell = (): void => changed.fire();
  return vscode.Disposable.from(
    changed,
    settings.onDidChange(tell),
    vscode.workspace.onDidChangeWorkspaceFolders(tell),
    vscode.workspace.onDidGrantWorkspaceTrust(tell),
    vscode.lm.registerMcpServerDefinitionProvider(mcpProvider, {
      onDidChangeMcpServerDefinitions: changed.event,
      async provideMcpServerDefinitions() {
        const open = vscode.workspace.workspaceFolders ?? [];
        if (!settings.agents().mcp || !vscode.workspace.isTrusted || open.length === 0) return [];
        const args = mcpArguments({
          cli: join(dist, 'cli.js'),
          folders: open.map(({ uri }) => uri.fsPath),
          backupsFolder: await folder.resolve(open[0]),
          checkpoints: settings.protection().folder,
        });
        const env = { ELECTRON_RUN_AS_NODE: '1' };
        const label = 'SQLite Backup';
        return [new vscode.McpStdioServerDefinition(label, process.execPath, args, env, version)];
      },
    }),
  );
}
