import { basename, dirname, extname, join } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { notify } from '../inert.ts';
import { privateCopy } from '../privateCopies.ts';
import { memberRows } from './members.ts';
import type { Parts } from './parts.ts';
import { reveal } from './reveal.ts';
import { backupsFor } from './selection.ts';

/** Hands a private read-only copy to whatever viewer the person uses for such files. */
export async function openReadOnly(parts: Parts, target: unknown): Promise<{ path?: string }> {
  const chosen = await oneFor(parts, target, vscode.l10n.t('Open a Copy in a Viewer'));
  if (chosen === undefined) return {};
  if (chosen.entry.bundle !== undefined && chosen.member === undefined) {
    void notify.info(vscode.l10n.t('Open the bundle in the view Backups, and then a file in it.'));
    return {};
  }
  const path = await privateCopy(parts, chosen.entry, chosen.member);
  await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(path));
  return { path };
}

/** A member of a bundle, or a backup: the row, else what the person picks. */
async function oneFor(
  parts: Parts,
  target: unknown,
  title: string,
): Promise<{ entry: CatalogEntry; member?: string } | undefined> {
  const [row] = memberRows(target, undefined);
  if (row !== undefined) return { entry: row.entry, member: row.member.name };
  const [entry] = await backupsFor(parts, target, undefined, { several: false, title: title });
  return entry && { entry };
}

/** Saves a copy of a backup, or of a member, where the person chooses. An existing file is never overwritten. */
export async function saveCopyAs(
  parts: Parts,
  target: unknown,
  to?: unknown,
): Promise<{ path?: string }> {
  const chosen = await oneFor(parts, target, vscode.l10n.t('Save a Copy of a Backup'));
  if (chosen === undefined) return {};
  const { entry, member } = chosen;
  const name = basename(member ?? entry.path);
  const extension = extname(name).slice(1);
  const uri =
    to instanceof vscode.Uri
      ? to
      : await vscode.window.showSaveDialog({
          defaultUri: vscode.Uri.file(join(dirname(entry.path), name)),
          title: vscode.l10n.t('Save a Copy'),
          ...(extension !== '' && { filters: { [extension]: [extension] } }),
        });
  if (uri === undefined) return {};
  const path = uri.fsPath;
  if (member === undefined) {
    await parts.worker.call('copyOut', { path: entry.path, to: path, readOnly: false });
  } else {
    const request = { bundle: entry.path, member, folder: dirname(path), name: basename(path) };
    await parts.worker.call('extractMember', { ...request, readOnly: false });
  }
  return { path };
}

export async function revealBackup(parts: Parts, target: unknown): Promise<void> {
  const [entry] = await backupsFor(parts, target, undefined, {
    several: false,
    title: vscode.l10n.t('Reveal a Backup'),
  });
  if (entry !== undefined) await reveal(vscode.Uri.file(entry.path));
}

export async function copyPath(parts: Parts, target: unknown, selection: unknown): Promise<string> {
  const entries = await backupsFor(parts, target, selection, {
    several: true,
    title: vscode.l10n.t('Copy Paths of Backups'),
  });
  return toClipboard(entries.map(({ path }) => path));
}

/** As `sha256sum` prints it, so that it can be checked with `sha256sum --check`. */
export async function copySha256(
  parts: Parts,
  target: unknown,
  selection: unknown,
): Promise<string> {
  const entries = await backupsFor(parts, target, selection, {
    several: true,
    own: true,
    title: vscode.l10n.t('Copy SHA-256 of Backups'),
  });
  const [only, ...rest] = entries;
  if (only?.kept !== undefined && rest.length === 0) return toClipboard([only.kept.sha256]);
  return toClipboard(entries.map(({ path, kept }) => `${kept?.sha256 ?? ''}  ${path}`));
}

async function toClipboard(lines: string[]): Promise<string> {
  const text = lines.join('\n');
  if (text !== '') await vscode.env.clipboard.writeText(text);
  return text;
}
