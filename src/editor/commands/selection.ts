import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { BackupError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { inertLine, notify } from '../inert.ts';
import { verdictWord } from '../messages.ts';
import { dayName } from '../times.ts';
import { backupTitle } from '../whichDatabase.ts';
import { isRow } from '../rows.ts';
import type { Parts } from './parts.ts';

/** What a command may be about, and what the list says that will happen. */
interface Choice {
  several: boolean;
  /** Files of other programs do not count. */
  own?: boolean;
  title: string;
  fits?: (entry: CatalogEntry) => boolean;
}

/** The backups that a command is about: the selected rows, else the row, else what the person picks. */
export async function backupsFor(
  parts: Parts,
  target: unknown,
  selection: unknown,
  { several, own, title, fits = () => true }: Choice,
): Promise<CatalogEntry[]> {
  const rows =
    Array.isArray(selection) && selection.length > 0 ? (selection as unknown[]) : [target].flat();
  const entries: CatalogEntry[] = [];
  for (const row of rows) {
    if (isRow(row) && row.kind === 'snapshot') entries.push(row.entry);
    else if (row instanceof vscode.Uri) entries.push(await entryOf(parts, row));
  }
  const unique = [...new Map(entries.map((entry) => [entry.path, entry])).values()];
  const chosen =
    unique.length > 0 ? unique : await pick(parts, { several, own: own === true, title, fits });
  const usable = own === true ? chosen.filter(({ kept }) => kept !== undefined) : chosen;
  if (usable.length < chosen.length) {
    void notify.info(vscode.l10n.t('Files of other programs are not changed.'));
  }
  return several ? usable : usable.slice(0, 1);
}

/** The backup that is at this place, in a backups folder of the workspace or elsewhere. */
async function entryOf({ backups, worker }: Parts, { fsPath }: vscode.Uri): Promise<CatalogEntry> {
  const isIt = ({ path }: CatalogEntry): boolean => path === fsPath;
  const known = backups.entries.find(isIt);
  if (known !== undefined) return known;
  const { entries } = await worker.call('list', { folder: dirname(fsPath) });
  const found = entries.find(isIt);
  if (found !== undefined) return found;
  throw new BackupError('source-missing', vscode.l10n.t('{0} is not a backup.', fsPath), {
    path: fsPath,
    hint: vscode.l10n.t('Name a file in a backups folder.'),
  });
}

async function pick(
  { backups }: Parts,
  { several, own, title, fits }: Required<Choice>,
): Promise<CatalogEntry[]> {
  if (!backups.isReady) await backups.refresh();
  const entries = backups.entries.filter(
    (entry) => (!own || entry.kept !== undefined) && fits(entry),
  );
  if (entries.length === 0) {
    void notify.info(
      backups.entries.length === 0
        ? vscode.l10n.t('There are no backups yet.')
        : vscode.l10n.t('No backup fits: {0}.', title),
    );
    return [];
  }
  const now = Date.now();
  const days = Map.groupBy(entries, ({ createdAt }) => dayName(createdAt, now));
  const items = [...days].flatMap(([label, some]) => [
    { label, kind: vscode.QuickPickItemKind.Separator },
    ...some.map((entry) => ({
      label: inertLine(backupTitle(backups.names, entry)),
      description: inertLine(
        [formatBytes(entry.sizeBytes), verdictWord(entry.verified), basename(entry.path)].join(
          ' · ',
        ),
      ),
      entry,
    })),
  ]);
  if (several) {
    const placeHolder = vscode.l10n.t('Choose backups');
    const picked = await vscode.window.showQuickPick(items, {
      ...{ canPickMany: true, title, placeHolder, matchOnDescription: true },
    });
    return (picked ?? []).flatMap((item) => ('entry' in item ? [item.entry] : []));
  }
  const placeHolder = vscode.l10n.t('Choose a backup');
  const picked = await vscode.window.showQuickPick(items, {
    ...{ title, placeHolder, matchOnDescription: true },
  });
  return picked !== undefined && 'entry' in picked ? [picked.entry] : [];
}

/** A long action of a person: progress that can be cancelled. What it throws goes on to the boundary of commands. */
export async function withCancel<T>(
  title: string,
  action: (signal: AbortSignal, report: (message: string) => void) => Promise<T>,
): Promise<T> {
  return vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: inertLine(title), cancellable: true },
    (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      return action(abort.signal, (message) => progress.report({ message: inertLine(message) }));
    },
  );
}
