import * as vscode from 'vscode';
import { BackupError } from '../../core/errors.ts';
import { isRow } from '../rows.ts';
import type { Parts } from './parts.ts';
import { reveal } from './reveal.ts';

/** Asks for the backups folder of a workspace folder and remembers it. Returns its path, if one was chosen. */
export async function chooseBackupsFolder(parts: Parts): Promise<{ path?: string }> {
  const folder = await pickWorkspaceFolder();
  if (folder === 'none') return {};
  const path = await parts.folder.change(folder);
  await parts.backups.refresh();
  return path === undefined ? {} : { path };
}

/** Shows the backups folder; asks for one first when there is none. */
export async function openBackupsFolder(
  parts: Parts,
  target?: unknown,
): Promise<{ path?: string }> {
  const row = isRow(target) ? target : undefined;
  const folder =
    row?.kind === 'folder' || row?.kind === 'gone'
      ? row.folder
      : row?.kind === 'database'
        ? vscode.workspace.getWorkspaceFolder(row.uri)
        : undefined;
  const chosen = folder ?? (await pickWorkspaceFolder());
  if (chosen === 'none') return {};
  const path = (await parts.folder.resolve(chosen)) ?? (await parts.folder.ask(chosen));
  if (path === undefined) return {};
  const uri = vscode.Uri.file(path);
  const exists = await vscode.workspace.fs.stat(uri).then(
    () => true,
    () => false,
  );
  if (!exists) {
    throw new BackupError('access', vscode.l10n.t('{0} does not exist yet.', path), {
      path,
      hint: vscode.l10n.t('The first backup creates it.'),
    });
  }
  await reveal(uri);
  return { path };
}

/** The only workspace folder, or the one the person picks. `none` when the person turns away. */
async function pickWorkspaceFolder(): Promise<vscode.WorkspaceFolder | undefined | 'none'> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length < 2) return folders[0];
  const picked = await vscode.window.showWorkspaceFolderPick({
    placeHolder: vscode.l10n.t('Choose a workspace folder'),
  });
  return picked ?? 'none';
}
