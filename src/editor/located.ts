/** Where a file is, as people, manifests and maps name it. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { FoundDatabase } from '../core/catalog/discovery.ts';

export interface Located {
  readonly uri: vscode.Uri;
  readonly folder: vscode.WorkspaceFolder | undefined;
  /** Relative to the workspace folder, with `/`: how people and manifests name it. */
  readonly path: string;
  readonly file: FoundDatabase;
}

export function locate(file: FoundDatabase): Located {
  const uri = vscode.Uri.file(file.path);
  return { uri, file, folder: vscode.workspace.getWorkspaceFolder(uri), path: recordAs(uri).path };
}

/** How manifests name a file: relative to its workspace folder. */
export function recordAs(uri: vscode.Uri): { path: string; workspace?: string } {
  const folder = vscode.workspace.getWorkspaceFolder(uri);
  if (folder === undefined) return { path: basename(uri.fsPath) };
  return {
    path: vscode.workspace.asRelativePath(uri, false),
    workspace: basename(folder.uri.fsPath),
  };
}

/** Two workspaces may share one backups folder, so the name of the workspace folder counts where it is known. */
export function isOfWorkspace(
  { workspace }: { workspace?: string },
  folder: vscode.WorkspaceFolder | undefined,
): boolean {
  return (
    workspace === undefined || folder === undefined || workspace === basename(folder.uri.fsPath)
  );
}

export function databaseKey(folder: vscode.WorkspaceFolder | undefined, path: string): string {
  return `${folderKey(folder)}\0${path}`;
}

export function folderKey(folder: vscode.WorkspaceFolder | undefined): string {
  return folder?.uri.toString() ?? '';
}
