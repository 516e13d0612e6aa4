/** Files whose names may be those of databases, where the settings say that they are looked for. */
import { relative, sep } from 'node:path';
import * as vscode from 'vscode';
import type { SearchedFolder } from '../core/catalog/byContent.ts';
import { isLeftOut } from './absence.ts';
import type { Settings } from './settings.ts';

export async function candidatesIn(
  settings: Settings,
  folder: vscode.WorkspaceFolder,
  { below = folder.uri, most }: { below?: vscode.Uri; most?: number } = {},
): Promise<vscode.Uri[]> {
  const exclude = settings.exclude(folder);
  const excluded =
    exclude.length === 0 ? undefined : new vscode.RelativePattern(below, `{${exclude.join(',')}}`);
  const found = await Promise.all(
    settings
      .include(folder)
      .map((pattern) =>
        vscode.workspace.findFiles(new vscode.RelativePattern(below, pattern), excluded, most),
      ),
  );
  return found.flat();
}

/** A look into one folder `below` another, far cheaper than searching all of it. */
export async function mayHoldCandidates(
  settings: Settings,
  folder: vscode.WorkspaceFolder,
  below: vscode.Uri,
): Promise<boolean> {
  // Other patterns are meant from the workspace folder on.
  const isAnywhere = settings.include(folder).every((pattern) => pattern.startsWith('**/'));
  return !isAnywhere || (await candidatesIn(settings, folder, { below, most: 1 })).length > 0;
}

/** Whether the settings leave a file out, which the search has not listed. */
export function isLeftOutBy(
  settings: Settings,
  path: string,
  folder: vscode.WorkspaceFolder,
): boolean {
  const inside = relative(folder.uri.fsPath, path).split(sep).join('/');
  const exclude = [...settings.exclude(folder), ...settings.filesExclude(folder)];
  return isLeftOut(inside, { include: settings.include(folder), exclude });
}

/** The same for a search by content. */
export function searchedFolders(
  settings: Settings,
  folders: readonly vscode.WorkspaceFolder[],
): SearchedFolder[] {
  return folders.map((folder) => ({
    folder: folder.uri.fsPath,
    exclude: [...settings.exclude(folder), ...settings.filesExclude(folder)],
    include: settings.include(folder),
  }));
}
