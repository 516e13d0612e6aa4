import { basename } from 'node:path';
import * as vscode from 'vscode';
import { notify } from '../inert.ts';
import { isBackupError } from '../../core/errors.ts';
import { manifestNameOf, requireBareName } from '../../core/names.ts';
import { formatBytes } from '../../core/units.ts';
import type { Parts } from './register.ts';
import { backupsFor } from './selection.ts';

export async function pin(
  parts: Parts,
  target: unknown,
  selection: unknown,
  { pinned }: { pinned: boolean },
): Promise<{ paths: string[] }> {
  const entries = await backupsFor(parts, target, selection, { several: true, own: true });
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
  const [entry] = await backupsFor(parts, target, undefined, { several: false, own: true });
  if (entry === undefined) return {};
  const answer =
    typeof text === 'string'
      ? text
      : await vscode.window.showInputBox({
          title: vscode.l10n.t('Note on {0}', basename(entry.path)),
          value: entry.manifest?.note ?? '',
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
  const [entry] = await backupsFor(parts, target, undefined, { several: false, own: true });
  if (entry === undefined) return {};
  const current = basename(entry.path);
  const name =
    typeof to === 'string'
      ? to
      : await vscode.window.showInputBox({
          title: vscode.l10n.t('Rename {0}', current),
          value: current,
          valueSelection: [0, current.length],
          validateInput: (value) => (value === current ? undefined : problemWith(value)),
        });
  if (name === undefined || name === current) return {};
  const path = await parts.worker.call('rename', { path: entry.path, name });
  await parts.backups.refresh();
  return { path };
}

function problemWith(name: string): string | undefined {
  try {
    requireBareName(name);
    return undefined;
  } catch (error) {
    if (isBackupError(error)) return error.message;
    throw error;
  }
}

/** Moves backups with their manifests to the trash, after asking. */
export async function remove(
  parts: Parts,
  target: unknown,
  selection: unknown,
): Promise<{ paths: string[] }> {
  const entries = await backupsFor(parts, target, selection, { several: true, own: true });
  if (entries.length === 0) return { paths: [] };
  const { t } = vscode.l10n;
  const names = entries.map(({ path }) => basename(path));
  const size = formatBytes(entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const shown = names.slice(0, 10).join('\n');
  const detail = names.length > 10 ? t('{0}\nand {1} more', shown, names.length - 10) : shown;
  const question =
    entries.length === 1
      ? t('Move {0} ({1}) to the trash?', names[0] ?? '', size)
      : t('Move {0} backups ({1}) to the trash?', entries.length, size);
  const yes = t('Move to Trash');
  if (parts.settings.confirmsAlways() && (await notify.confirm(question, detail, yes)) !== yes) {
    return { paths: [] };
  }
  const paths: string[] = [];
  let useTrash = true;
  for (const { path } of entries) {
    const outcome = await removePair(path, useTrash);
    if (outcome === 'refused') break;
    if (outcome === 'permanently') useTrash = false;
    paths.push(path);
    parts.log.info(`Deleted ${path}.`);
    void parts.audit.record({ what: 'deletion', path, trigger: 'manual', result: 'ok' });
  }
  await parts.backups.refresh();
  return { paths };
}

async function removePair(
  path: string,
  useTrash: boolean,
): Promise<'trashed' | 'permanently' | 'refused'> {
  const uris = [vscode.Uri.file(path), vscode.Uri.file(manifestNameOf(path))];
  try {
    for (const uri of uris) await vscode.workspace.fs.delete(uri, { useTrash });
    return useTrash ? 'trashed' : 'permanently';
  } catch (error) {
    if (!useTrash) throw error;
    // Remote machines have no trash.
    const yes = vscode.l10n.t('Delete Permanently');
    const question = vscode.l10n.t('There is no trash for {0}. Delete it permanently?', path);
    const answer = await notify.confirm(question, '', yes);
    if (answer !== yes) return 'refused';
    return removePair(path, false);
  }
}
