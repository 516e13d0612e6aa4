import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { BackupError, isBackupError } from '../../core/errors.ts';
import {
  manifestNameOf,
  requireBareName,
  stemLength,
  withSuffixOf,
} from '../../core/manifest/names.ts';
import { formatBytes } from '../../core/units.ts';
import { inertLine, notify } from '../inert.ts';
import { backupCount } from '../messages.ts';
import { said } from '../said.ts';
import type { Parts } from './parts.ts';
import { backupTitle } from '../whichDatabase.ts';
import { backupsFor } from './selection.ts';

/** How many files a question names one by one. */
const mostNamed = 10;

export async function pin(
  parts: Parts,
  target: unknown,
  selection: unknown,
  { pinned }: { pinned: boolean },
): Promise<{ paths: string[] }> {
  const entries = await backupsFor(parts, target, selection, {
    several: true,
    own: true,
    title: pinned ? vscode.l10n.t('Pin Backups') : vscode.l10n.t('Unpin Backups'),
    fits: ({ kept }) => kept?.pinned !== pinned,
  });
  for (const { path } of entries) await parts.worker.call('remark', { path, remark: { pinned } });
  await parts.backups.refresh();
  return { paths: entries.map(({ path }) => path) };
}

/** Writes a note to a backup; an empty one takes it away. `text` is for callers that need not ask. */
export async function note(
  parts: Parts,
  target: unknown,
  text?: unknown,
): Promise<{ note?: string }> {
  const [entry] = await backupsFor(parts, target, undefined, {
    several: false,
    own: true,
    title: vscode.l10n.t('Note on a Backup'),
  });
  if (entry === undefined) return {};
  const answer =
    typeof text === 'string'
      ? text
      : await vscode.window.showInputBox({
          title: vscode.l10n.t('Note on {0}', inertLine(backupTitle(parts.backups.names, entry))),
          value: entry.kept?.note ?? '',
          placeHolder: vscode.l10n.t('before migration 0042'),
        });
  if (answer === undefined) return {};
  const manifest = await parts.worker.call('remark', {
    path: entry.path,
    remark: { note: answer },
  });
  await parts.backups.refresh();
  return { note: manifest.note ?? '' };
}

/** Gives a backup another bare name. `to` is for callers that need not ask. */
export async function rename(
  parts: Parts,
  target: unknown,
  to?: unknown,
): Promise<{ path?: string }> {
  const [entry] = await backupsFor(parts, target, undefined, {
    several: false,
    own: true,
    title: vscode.l10n.t('Rename a Backup'),
  });
  if (entry === undefined) return {};
  const current = basename(entry.path);
  const answer =
    typeof to === 'string'
      ? to
      : await vscode.window.showInputBox({
          title: vscode.l10n.t('Rename {0}', inertLine(current)),
          value: current,
          valueSelection: [0, stemLength(current)],
          validateInput: (value) => {
            const wanted = withSuffixOf(current, value);
            return wanted === current
              ? undefined
              : (problemWith(wanted) ?? takenProblem(dirname(entry.path), wanted));
          },
        });
  if (answer === undefined) return {};
  const name = typeof to === 'string' ? to : withSuffixOf(current, answer);
  if (name === current) return {};
  const path = await parts.worker.call('rename', { path: entry.path, name });
  await parts.backups.refresh();
  return { path };
}

function problemWith(name: string): string | undefined {
  try {
    requireBareName(name);
    return undefined;
  } catch (error) {
    if (isBackupError(error)) return inertLine(said(error.message));
    throw error;
  }
}

/** While it is typed: after Enter, the text would be lost. */
function takenProblem(folder: string, name: string): string | undefined {
  const isTaken = [name, manifestNameOf(name)].some((one) => existsSync(join(folder, one)));
  return isTaken
    ? inertLine(vscode.l10n.t('{0} already exists. Choose another name.', name))
    : undefined;
}

/** Moves backups with their manifests to the trash, after asking. */
export async function remove(
  parts: Parts,
  target: unknown,
  selection: unknown,
): Promise<{ paths: string[] }> {
  const { t } = vscode.l10n;
  const entries = await backupsFor(parts, target, selection, {
    several: true,
    own: true,
    title: vscode.l10n.t('Delete Backups'),
  });
  const paths: string[] = [];
  if (entries.length === 0) return { paths };
  const yes = t('Move to Trash');
  const question = t('Move {0} to the trash?', summary(entries));
  if (
    parts.settings.confirmsAlways() &&
    (await notify.confirm(question, names(entries), yes)) !== yes
  ) {
    return { paths };
  }
  let useTrash = true;
  try {
    for (const [index, { path }] of entries.entries()) {
      if (useTrash && !(await removePair(path, { useTrash }))) {
        const left = entries.slice(index);
        // Remote machines have no trash.
        const permanently = t('Delete Permanently');
        const question = t('There is no trash here. Delete {0} permanently?', summary(left));
        const answers = { yes: permanently, no: t('Keep Backups') };
        if (!(await notify.confirmFinal(question, names(left), answers))) break;
        useTrash = false;
      }
      if (!useTrash) await removePair(path, { useTrash });
      paths.push(path);
      parts.log.info(`Deleted ${path}.`);
      void parts.audit.record({ what: 'deletion', path, trigger: 'manual', result: 'ok' });
    }
  } finally {
    await parts.backups.refresh();
  }
  return { paths };
}

/** `app_….db (48.2 MB)` or `3 backups (140 MB)`. */
function summary(entries: readonly CatalogEntry[]): string {
  const size = formatBytes(entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const [only, ...rest] = entries;
  return only !== undefined && rest.length === 0
    ? `${inertLine(basename(only.path))} (${size})`
    : `${backupCount(entries.length)} (${size})`;
}

function names(entries: readonly CatalogEntry[]): string {
  const shown = entries.slice(0, mostNamed).map(({ path }) => inertLine(basename(path)));
  const more = entries.length - shown.length;
  return [...shown, ...(more > 0 ? [vscode.l10n.t('and {0} more', more)] : [])].join('\n');
}

/** False when there is no trash for them. What another window has removed already is no reason to stop. */
async function removePair(path: string, { useTrash }: { useTrash: boolean }): Promise<boolean> {
  for (const uri of [vscode.Uri.file(path), vscode.Uri.file(manifestNameOf(path))]) {
    try {
      await vscode.workspace.fs.delete(uri, { useTrash });
    } catch (error) {
      if (error instanceof vscode.FileSystemError && error.code === 'FileNotFound') continue;
      if (useTrash) return false;
      throw new BackupError('access', vscode.l10n.t('{0} could not be deleted.', uri.fsPath), {
        path: uri.fsPath,
        cause: error,
      });
    }
  }
  return true;
}
