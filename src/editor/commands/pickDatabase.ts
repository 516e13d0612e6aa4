import * as vscode from 'vscode';
import { inertLine, notify } from '../inert.ts';
import { databaseName } from '../messages.ts';
import type { Parts } from './parts.ts';

/** A database of the workspace, for a command that no row was chosen for. Says so where there is none. */
export async function pickDatabase(
  { backups }: Pick<Parts, 'backups'>,
  { title, placeHolder }: { title: string; placeHolder?: string },
): Promise<vscode.Uri | undefined> {
  if (!backups.isReady) await backups.refresh();
  if (backups.databases.length === 0) {
    tellNoDatabase();
    return undefined;
  }
  const items = backups.databases.map(({ uri }) => ({ label: inertLine(databaseName(uri)), uri }));
  const asked = placeHolder ?? vscode.l10n.t('Choose a database');
  return (await vscode.window.showQuickPick(items, { title, placeHolder: asked }))?.uri;
}

/** Says also why there is none where no folder is open. */
export function tellNoDatabase(): void {
  const { t } = vscode.l10n;
  const isEmpty = (vscode.workspace.workspaceFolders ?? []).length === 0;
  void notify.info(
    isEmpty
      ? t('No folder is open. Open the folder of your database first.')
      : t('There is no SQLite database in this workspace.'),
  );
}
