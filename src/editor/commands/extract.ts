import * as vscode from 'vscode';
import { folderName } from '../backupsFolder.ts';
import { notify } from '../inert.ts';
import { fileCount } from '../messages.ts';
import { isRow } from '../rows.ts';
import type { Parts } from './parts.ts';
import { reveal } from './reveal.ts';
import { withCancel } from './selection.ts';

/** Extracts a bundle, or the selected members of one, into a folder. `to` is for callers that need not ask. */
export async function extract(
  parts: Parts,
  target: unknown,
  selection?: unknown,
  to?: unknown,
): Promise<{ paths: string[] }> {
  const { t } = vscode.l10n;
  const selected = Array.isArray(selection) && selection.length > 0 ? selection : [target];
  const rows = selected
    .filter(isRow)
    .filter((row) => row.kind === 'member' || row.kind === 'snapshot')
    .filter(({ entry }) => entry.bundle !== undefined);
  const [bundle, ...others] = new Set(rows.map(({ entry }) => entry.path));
  if (bundle === undefined || others.length > 0) {
    void notify.info(t('Select one bundle, or files in one.'));
    return { paths: [] };
  }
  const folder = to instanceof vscode.Uri ? to : await pickFolder();
  if (folder === undefined) return { paths: [] };
  // A row of the bundle itself means all of it, whatever is selected below it.
  const members = rows.every(({ kind }) => kind === 'member')
    ? rows.flatMap((row) => (row.kind === 'member' ? [row.member.name] : []))
    : undefined;
  const request = { bundle, folder: folder.fsPath, ...(members !== undefined && { members }) };
  const files = await withCancel(t('Extracting'), (signal) =>
    parts.worker.call('extract', request, { signal }),
  );
  void tell(folder, files.length);
  return { paths: files.map(({ path }) => path) };
}

async function tell(folder: vscode.Uri, count: number): Promise<void> {
  const revealIt = vscode.l10n.t('Reveal');
  const message = vscode.l10n.t(
    'Extracted {0} to {1}, each checked.',
    fileCount(count),
    folderName(folder.fsPath),
  );
  if ((await notify.info(message, revealIt)) === revealIt) await reveal(folder);
}

async function pickFolder(): Promise<vscode.Uri | undefined> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const [picked] =
    (await vscode.window.showOpenDialog({
      ...{ canSelectFiles: false, canSelectFolders: true },
      title: vscode.l10n.t('Extract To'),
      openLabel: vscode.l10n.t('Extract Here'),
      ...(folder !== undefined && { defaultUri: folder }),
    })) ?? [];
  return picked;
}
