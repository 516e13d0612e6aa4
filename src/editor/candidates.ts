/** Files whose names may be those of databases, where the settings say that they are looked for. */
import * as vscode from 'vscode';
import type { SearchedFolder } from '../core/catalog/byContent.ts';
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
