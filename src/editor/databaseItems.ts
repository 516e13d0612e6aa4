/** How the rows of the view Databases look. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { formatBytes } from '../core/units.ts';
import { newestGood } from './attention.ts';
import type { Database } from './backups.ts';
import { errorMessage } from './errorMessages.ts';
import { rowContext } from './ids.ts';
import { inertLine } from './inert.ts';
import {
  attentionSummary,
  backupCount,
  databaseCount,
  databaseDescription,
  verdictWord,
} from './messages.ts';
import { type Row, tooltip } from './rows.ts';
import { exactTime } from './times.ts';

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

export function goneItem(row: Extract<Row, { kind: 'gone' }>, count: number): vscode.TreeItem {
  const item = new vscode.TreeItem(inertLine(row.path), vscode.TreeItemCollapsibleState.Collapsed);
  item.id = goneId(row);
  item.contextValue = rowContext.gone;
  item.description = vscode.l10n.t('file not found · {0}', backupCount(count));
  item.iconPath = new vscode.ThemeIcon('circle-slash');
  item.tooltip = tooltip([
    row.path,
    vscode.l10n.t('Not found: deleted, or excluded by a setting. Its backups are still here.'),
  ]);
  item.accessibilityInformation = { label: inertLine(`${row.path}, ${item.description}`) };
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
export function databaseItem(database: Database, prefix = ''): vscode.TreeItem {
  const { uri, path, snapshots, job, attention } = database;
  const now = Date.now();
  const item = new vscode.TreeItem(
    inertLine(path.slice(prefix.length)),
    snapshots.length > 0
      ? vscode.TreeItemCollapsibleState.Collapsed
      : vscode.TreeItemCollapsibleState.None,
  );
  item.id = databaseId(uri);
  item.contextValue =
    job === undefined ? rowContext.database : `${rowContext.database} ${rowContext.running}`;
  item.description = databaseDescription(database, now);
  item.iconPath =
    job !== undefined
      ? new vscode.ThemeIcon('sync~spin')
      : attention === 'failed' || attention === 'damaged'
        ? new vscode.ThemeIcon('warning', new vscode.ThemeColor('editorWarning.foreground'))
        : new vscode.ThemeIcon('database');
  item.tooltip = databaseTooltip(database);
  item.accessibilityInformation = { label: inertLine(`${path}, ${item.description}`) };
  return item;
}

function databaseTooltip(database: Database): string {
  const { uri, file, snapshots, failure } = database;
  const good = newestGood(database);
  const newest = good?.bundle === undefined ? snapshots[0] : good;
  const wal =
    file.walBytes > 0 ? vscode.l10n.t('{0} in the WAL', formatBytes(file.walBytes)) : undefined;
  const mode =
    file.journalMode === 'wal' ? vscode.l10n.t('WAL mode') : vscode.l10n.t('rollback mode');
  return tooltip([
    uri.fsPath,
    [formatBytes(file.sizeBytes), mode, wal].filter((part) => part !== undefined).join(' · '),
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
