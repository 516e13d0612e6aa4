import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { defaultBusyTimeoutMs } from '../backupJobs.ts';
import { inertLine, notify } from '../inert.ts';
import { recordAs } from '../located.ts';
import { databaseName } from '../messages.ts';
import { isRow } from '../rows.ts';
import { foldersFor } from './backUp.ts';
import type { Parts } from './parts.ts';
import { reveal } from './reveal.ts';
import { withCancel } from './selection.ts';

/**
 * Saves what programs still have open of a database that was deleted or replaced, or whose -wal was. Takes a Uri or a row,
 * else asks for the path, because the file may be gone.
 */
export async function saveOpenFiles(
  parts: Parts,
  target?: unknown,
): Promise<{ backups: { path: string; pid: number }[] }> {
  const { t } = vscode.l10n;
  const uri = await uriFor(target);
  if (uri === undefined) return { backups: [] };
  const name = databaseName(uri);
  const found = await parts.worker.call('lostFiles', { path: uri.fsPath }, {});
  const [first] = found;
  if (first === undefined) {
    void notify.info(
      t(
        'No program holds deleted or replaced files of {0} open, so there is nothing to save.',
        name,
      ),
    );
    return { backups: [] };
  }
  const folder = (await foldersFor(parts, [uri]))?.get(uri.toString());
  if (folder === undefined) return { backups: [] };
  const request = {
    database: uri.fsPath,
    recordAs: recordAs(uri),
    folder,
    trigger: 'manual' as const,
    verify: true,
    busyTimeoutMs: defaultBusyTimeoutMs,
    largestBytes: parts.settings.largestBytes(uri),
    toolVersion: parts.toolVersion,
  };
  const { snapshots, failures } = await withCancel(t('Saving'), (signal) =>
    parts.worker.call('saveOpen', request, { signal }),
  );
  await parts.backups.refresh();
  const who = `${first.program} (pid ${first.pid})`;
  void tell(
    snapshots.map(({ path }) => path),
    failures.map(({ error }) => error.message),
    who,
  );
  return { backups: snapshots.map(({ path }) => ({ path, pid: first.pid })) };
}

async function uriFor(target: unknown): Promise<vscode.Uri | undefined> {
  if (target instanceof vscode.Uri) return target;
  if (isRow(target) && target.kind === 'database') return target.uri;
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '';
  const path = await vscode.window.showInputBox({
    title: vscode.l10n.t('Save Files a Program Still Has Open'),
    prompt: vscode.l10n.t('Path that the database has, or had before it was deleted'),
    value: folder === '' ? '' : `${folder}/`,
    valueSelection: [folder.length + 1, folder.length + 1],
  });
  return path === undefined || path.trim() === '' ? undefined : vscode.Uri.file(path.trim());
}

async function tell(paths: string[], problems: string[], who: string): Promise<void> {
  const { t } = vscode.l10n;
  const [path] = paths;
  if (path === undefined) {
    if (problems.length > 0) void notify.error(problems.join(' '));
    return;
  }
  const revealIt = t('Reveal');
  const text = t(
    'Saved what {0} has open as {1}. Stop the program, then restore this backup if data is missing.',
    who,
    inertLine(basename(path)),
  );
  const show = problems.length > 0 ? notify.warn : notify.info;
  if ((await show([text, ...problems].join(' '), revealIt)) === revealIt)
    await reveal(paths.length === 1 ? vscode.Uri.file(path) : vscode.Uri.file(dirname(path)));
}
