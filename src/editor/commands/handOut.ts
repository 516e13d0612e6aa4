import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';
import * as vscode from 'vscode';
import type { Parts } from './register.ts';
import { reveal } from './reveal.ts';
import { backupsFor } from './selection.ts';

/**
 * Hands a private read-only copy to whatever viewer the person uses for such files: a viewer that writes, or makes a
 * `-wal`, never touches the backup.
 */
export async function openReadOnly(parts: Parts, target: unknown): Promise<{ path?: string }> {
  const [entry] = await backupsFor(parts, target, undefined, { several: false });
  if (entry === undefined) return {};
  const key = createHash('sha256')
    .update(`${entry.path} ${entry.createdAt}`)
    .digest('hex')
    .slice(0, 16);
  const folder = vscode.Uri.joinPath(parts.storage, 'opened', key);
  await vscode.workspace.fs.createDirectory(folder);
  const copy = vscode.Uri.joinPath(folder, basename(entry.path));
  const exists = await vscode.workspace.fs.stat(copy).then(
    () => true,
    () => false,
  );
  if (!exists)
    await parts.worker.call('copyOut', { path: entry.path, to: copy.fsPath, readOnly: true });
  await vscode.commands.executeCommand('vscode.open', copy);
  return { path: copy.fsPath };
}

/** Saves a copy of a backup where the person chooses. An existing file is never overwritten. */
export async function saveCopyAs(
  parts: Parts,
  target: unknown,
  to?: unknown,
): Promise<{ path?: string }> {
  const [entry] = await backupsFor(parts, target, undefined, { several: false });
  if (entry === undefined) return {};
  const extension = extname(entry.path).slice(1);
  const chosen =
    to instanceof vscode.Uri
      ? to
      : await vscode.window.showSaveDialog({
          defaultUri: vscode.Uri.file(entry.path),
          title: vscode.l10n.t('Save a Copy'),
          ...(extension !== '' && { filters: { SQLite: [extension] } }),
        });
  if (chosen === undefined) return {};
  await parts.worker.call('copyOut', { path: entry.path, to: chosen.fsPath, readOnly: false });
  return { path: chosen.fsPath };
}

export async function revealBackup(parts: Parts, target: unknown): Promise<void> {
  const [entry] = await backupsFor(parts, target, undefined, { several: false });
  if (entry !== undefined) await reveal(vscode.Uri.file(entry.path));
}

export async function copyPath(parts: Parts, target: unknown, selection: unknown): Promise<string> {
  const entries = await backupsFor(parts, target, selection, { several: true });
  return toClipboard(entries.map(({ path }) => path));
}

/** As `sha256sum` prints it, so that it can be checked with `sha256sum --check`. */
export async function copySha256(
  parts: Parts,
  target: unknown,
  selection: unknown,
): Promise<string> {
  const entries = await backupsFor(parts, target, selection, { several: true, own: true });
  const [only, ...rest] = entries;
  if (only?.manifest !== undefined && rest.length === 0) return toClipboard([only.manifest.sha256]);
  return toClipboard(entries.map(({ path, manifest }) => `${manifest?.sha256 ?? ''}  ${path}`));
}

async function toClipboard(lines: string[]): Promise<string> {
  const text = lines.join('\n');
  if (text !== '') await vscode.env.clipboard.writeText(text);
  return text;
}
