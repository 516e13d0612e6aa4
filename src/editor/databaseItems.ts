/** How the rows of the view Databases look. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { formatBytes } from '../core/units.ts';
import { newestNotDamaged } from './attention.ts';
import type { SetAside } from '../core/restore/setAside.ts';
import type { Absence } from './absence.ts';
import type { Database } from './backups.ts';
import { errorMessage } from './errorMessages.ts';
import type { GoneDatabase } from './gone.ts';
import { rowContext } from './ids.ts';
import { inertLine } from './inert.ts';
import {
  attentionSummary,
  backupCount,
  databaseCount,
  databaseDescription,
  databaseName,
  verdictWord,
} from './messages.ts';
import { type PreviousRow, type Row, tooltip } from './rows.ts';
import { dayAndTime, exactTime } from './times.ts';
import type { MissingRow, WorktreeKind } from './worktrees.ts';

export function databaseId(uri: vscode.Uri): string {
  return `database:${uri.toString()}`;
}

export function goneId({ folder, path }: { folder: vscode.WorkspaceFolder; path: string }): string {
  return `gone:${folder.uri.toString()}:${path}`;
}

/** A count of what needs attention: nothing else is worth a number. */
export function badgeFor(databases: Database[]): vscode.ViewBadge | undefined {
  const needing = databases.filter(({ attention }) => attention !== undefined);
  if (needing.length === 0) return undefined;
  return { value: needing.length, tooltip: attentionSummary(needing) };
}

export function goneRow({ folder, path, why }: GoneDatabase): Row {
  return { kind: 'gone', folder, path, why };
}

export function uriOfGone({ folder, path }: Extract<Row, { kind: 'gone' }>): vscode.Uri {
  return vscode.Uri.joinPath(folder.uri, path);
}

export function previousRows(all: readonly SetAside[]): Row[] {
  return all.map((previous) => ({ kind: 'previous', previous }));
}

export function goneItem(row: Extract<Row, { kind: 'gone' }>, count: number): vscode.TreeItem {
  const item = new vscode.TreeItem(inertLine(row.path), vscode.TreeItemCollapsibleState.Collapsed);
  item.id = goneId(row);
  item.contextValue = rowContext.gone;
  const { said, more } = absenceWords(row.why);
  item.description = `${said} · ${backupCount(count)}`;
  item.iconPath = new vscode.ThemeIcon('circle-slash');
  item.tooltip = tooltip([row.path, more]);
  item.accessibilityInformation = { label: inertLine(`${row.path}, ${item.description}`) };
  return item;
}

export function missingItem({ folder, path }: MissingRow): vscode.TreeItem {
  const { t } = vscode.l10n;
  const item = new vscode.TreeItem(inertLine(path));
  item.id = `missing:${folder.uri.toString()}:${path}`;
  item.contextValue = rowContext.missing;
  item.description = t('none in this worktree');
  item.iconPath = new vscode.ThemeIcon('circle-outline');
  item.tooltip = tooltip([
    path,
    t('The main worktree has it. Copy from Main Worktree makes a copy for this one.'),
  ]);
  item.accessibilityInformation = { label: inertLine(`${path}, ${item.description}`) };
  return item;
}

/** For the row, and for its tooltip. */
function worktreeWords(kind: WorktreeKind): { said: string; more: string } {
  const { t } = vscode.l10n;
  switch (kind) {
    case 'own':
      return { said: t('own'), more: t('This worktree has its own copy.') };
    case 'shared':
      return {
        said: t('shared'),
        more: t('Other places use the same file: what is written here is written there.'),
      };
    case 'tracked':
      return { said: t('in git'), more: t('Git tracks it, so each worktree has its own.') };
  }
}

function absenceWords(why: Absence): { said: string; more: string } {
  const { t } = vscode.l10n;
  switch (why) {
    case 'deleted':
      return {
        said: t('deleted'),
        more: t('The file does not exist. Its backups are still here.'),
      };
    case 'excluded':
      return {
        said: t('excluded'),
        more: t(
          'The file exists, but a setting excludes it: sqliteBackup.exclude, sqliteBackup.include or files.exclude. Its backups are still here.',
        ),
      };
    case 'no-database':
      return {
        said: t('not a database now'),
        more: t(
          'The file exists, but its content is not that of a SQLite database. Its backups are still here.',
        ),
      };
    case 'unlisted':
      return {
        said: t('not listed'),
        more: t(
          'The file exists, but the last search did not list it. Refresh searches again. Its backups are still here.',
        ),
      };
    case 'unknown':
      return {
        said: t('cannot be read now'),
        more: t('The file cannot be looked at now. Its backups are still here.'),
      };
  }
}

/** The previous database that a restore has kept: below its database, or by itself where that is missing. */
export function previousItem({ previous }: PreviousRow): vscode.TreeItem {
  const { t } = vscode.l10n;
  const { path, target, createdAt, sizeBytes, isRecorded } = previous;
  const label = t('Previous database');
  const item = new vscode.TreeItem(label);
  item.id = `previous:${path}`;
  item.contextValue = rowContext.previous;
  item.description = t(
    'kept by a restore {0} · {1}',
    dayAndTime(createdAt, Date.now()),
    formatBytes(sizeBytes),
  );
  item.iconPath = new vscode.ThemeIcon('discard');
  item.tooltip = tooltip([
    t('What {0} was before a restore.', databaseName(vscode.Uri.file(target))),
    path,
    exactTime(createdAt),
    isRecorded ? undefined : t('No record says which restore kept it.'),
    t('Undo Restore… puts it back. Delete Previous Database… removes it.'),
  ]);
  item.accessibilityInformation = { label: inertLine(`${label}, ${item.description}`) };
  return item;
}

export function databaseFolderItem(
  { folder, prefix, label, count }: Extract<Row, { kind: 'databaseFolder' }>,
  isOpen: boolean,
): vscode.TreeItem {
  const name = inertLine(label);
  const { Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(name, isOpen ? Expanded : Collapsed);
  item.id = `databases:${folder?.uri.toString() ?? ''}:${prefix}:${isOpen}`;
  item.contextValue = rowContext.databaseFolder;
  item.description = databaseCount(count);
  item.iconPath = new vscode.ThemeIcon('folder');
  item.tooltip = tooltip([prefix]);
  item.accessibilityInformation = { label: `${name}, ${item.description}` };
  return item;
}

export function folderItem(folder: vscode.WorkspaceFolder): vscode.TreeItem {
  const name = inertLine(folder.name);
  const item = new vscode.TreeItem(name, vscode.TreeItemCollapsibleState.Expanded);
  item.id = `folder:${folder.uri.toString()}`;
  item.contextValue = rowContext.folder;
  item.iconPath = new vscode.ThemeIcon('root-folder');
  item.tooltip = tooltip([folder.uri.fsPath]);
  item.accessibilityInformation = { label: vscode.l10n.t('{0}, workspace folder', name) };
  return item;
}

/** `prefix` is what the folder above it says already. */
export function databaseItem(
  database: Database,
  {
    prefix = '',
    hasPrevious = false,
    worktree,
  }: { prefix?: string; hasPrevious?: boolean; worktree?: WorktreeKind | undefined } = {},
): vscode.TreeItem {
  const { uri, path, file, snapshots, job, attention } = database;
  const now = Date.now();
  const item = new vscode.TreeItem(
    inertLine(path.slice(prefix.length)),
    snapshots.length > 0 || hasPrevious
      ? vscode.TreeItemCollapsibleState.Collapsed
      : vscode.TreeItemCollapsibleState.None,
  );
  item.id = databaseId(uri);
  item.contextValue = [
    rowContext.database,
    ...(file.litestream?.hasProgram === true ? [rowContext.litestream] : []),
    ...(job === undefined ? [] : [rowContext.running]),
  ].join(' ');
  const tree = worktree === undefined ? undefined : worktreeWords(worktree);
  item.description = [databaseDescription(database, now), ...(tree ? [tree.said] : [])].join(' · ');
  item.iconPath =
    job !== undefined
      ? new vscode.ThemeIcon('sync~spin')
      : attention === 'failed' || attention === 'damaged'
        ? new vscode.ThemeIcon('warning', new vscode.ThemeColor('editorWarning.foreground'))
        : new vscode.ThemeIcon('database');
  item.tooltip = databaseTooltip(database, tree?.more);
  item.accessibilityInformation = { label: inertLine(`${path}, ${item.description}`) };
  return item;
}

function databaseTooltip(database: Database, worktree: string | undefined): string {
  const { uri, file, snapshots, failure } = database;
  const good = newestNotDamaged(database);
  const newest = good?.bundle === undefined ? snapshots[0] : good;
  const wal =
    file.walBytes > 0 ? vscode.l10n.t('{0} in the WAL', formatBytes(file.walBytes)) : undefined;
  const mode =
    file.journalMode === 'wal' ? vscode.l10n.t('WAL mode') : vscode.l10n.t('rollback mode');
  return tooltip([
    uri.fsPath,
    [formatBytes(file.sizeBytes), mode, wal].filter((part) => part !== undefined).join(' · '),
    worktree,
    file.litestream && litestreamWords(file.litestream),
    vscode.l10n.t('Last written {0}', exactTime(file.modifiedAt)),
    newest === undefined
      ? vscode.l10n.t('Never backed up')
      : vscode.l10n.t(
          'Last backup {0}, {1}',
          exactTime(newest.createdAt),
          verdictWord(newest.verified),
        ),
    newest?.bundle === undefined ? undefined : vscode.l10n.t('in {0}', basename(newest.path)),
    good !== undefined && good !== newest
      ? vscode.l10n.t('Last good backup {0}', exactTime(good.createdAt))
      : undefined,
    failure && errorMessage(failure.error, basename(uri.fsPath)),
  ]);
}

function litestreamWords({ hasProgram = false }: { hasProgram?: boolean }): string {
  const { t } = vscode.l10n;
  return hasProgram
    ? t('Litestream replicates it. Restore from Litestream… fetches a state that it keeps.')
    : t(
        'Litestream replicates it. Install litestream 0.5 or newer (litestream.io) to restore what it keeps.',
      );
}

/** The box of a database that says whether it goes into the next bundle. */
export function boxFor(
  path: string,
  isTicked: boolean,
): NonNullable<vscode.TreeItem['checkboxState']> {
  const { Checked, Unchecked } = vscode.TreeItemCheckboxState;
  const label = vscode.l10n.t('Put {0} into the bundle', inertLine(path));
  return {
    state: isTicked ? Checked : Unchecked,
    tooltip: label,
    accessibilityInformation: { label, role: 'checkbox' },
  };
}

const withRowsBelow = [
  ...(['folder', 'databaseFolder', 'others', 'database', 'checkpoints', 'gone'] as const),
];

/** Whether a row of the view Databases has nothing below it. */
export function isLeaf(row: Row): row is Exclude<Row, { kind: (typeof withRowsBelow)[number] }> {
  return !withRowsBelow.some((kind) => kind === row.kind);
}
