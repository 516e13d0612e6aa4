import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog.ts';
import { formatBytes } from '../core/units.ts';
import type { Backups, Database } from './backups.ts';
import { Disposables } from './disposables.ts';
import { contextKeys, rowContext, views } from './ids.ts';
import {
  databaseDescription,
  dayAndTime,
  errorMessage,
  exactTime,
  verdictWord,
} from './messages.ts';

export type Row =
  | { kind: 'folder'; folder: vscode.WorkspaceFolder }
  | { kind: 'database'; uri: vscode.Uri }
  | { kind: 'snapshot'; uri: vscode.Uri; entry: CatalogEntry };

/** Ages in rows are at most this old. */
const agesRefreshMs = 30_000;

/** The view Databases: workspace folder (only when several) > database > its snapshots, newest first. */
export class DatabasesView implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  readonly #backups: Backups;
  readonly #owned = new Disposables();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<void>());
  readonly onDidChangeTreeData = this.#changed.event;

  constructor(backups: Backups) {
    this.#backups = backups;
    const tree = this.#owned.add(
      vscode.window.createTreeView(views.databases, {
        treeDataProvider: this,
        canSelectMany: true,
        showCollapseAll: true,
      }),
    );
    this.#owned.add(
      backups.onDidChange(() => {
        setContext(
          contextKeys.databases,
          !backups.isReady ? 'searching' : backups.databases.length > 0 ? 'some' : 'none',
        );
        setContext(contextKeys.running, backups.isRunning);
        this.#changed.fire();
      }),
    );
    const ages = setInterval(() => {
      if (tree.visible && !backups.isRunning) this.#changed.fire();
    }, agesRefreshMs);
    this.#owned.add({ dispose: () => clearInterval(ages) });
  }

  getChildren(row?: Row): Row[] {
    const { databases } = this.#backups;
    const rows = (some: Database[]): Row[] => some.map(({ uri }) => ({ kind: 'database', uri }));
    if (row === undefined) {
      const folders = vscode.workspace.workspaceFolders ?? [];
      if (folders.length < 2) return rows(databases);
      return folders
        .filter((folder) =>
          databases.some((one) => one.folder?.uri.toString() === folder.uri.toString()),
        )
        .map((folder) => ({ kind: 'folder', folder }));
    }
    switch (row.kind) {
      case 'folder':
        return rows(
          databases.filter((one) => one.folder?.uri.toString() === row.folder.uri.toString()),
        );
      case 'database':
        return (this.#backups.find(row.uri)?.snapshots ?? []).map((entry) => ({
          kind: 'snapshot',
          uri: row.uri,
          entry,
        }));
      case 'snapshot':
        return [];
    }
  }

  getTreeItem(row: Row): vscode.TreeItem {
    switch (row.kind) {
      case 'folder':
        return folderItem(row.folder);
      case 'database': {
        const database = this.#backups.find(row.uri);
        return database === undefined ? new vscode.TreeItem(row.uri) : databaseItem(database);
      }
      case 'snapshot':
        return snapshotItem(row.entry);
    }
  }

  dispose(): void {
    this.#owned.dispose();
  }
}

function setContext(key: string, value: string | boolean): void {
  void vscode.commands.executeCommand('setContext', key, value);
}

function folderItem(folder: vscode.WorkspaceFolder): vscode.TreeItem {
  const item = new vscode.TreeItem(folder.name, vscode.TreeItemCollapsibleState.Expanded);
  item.id = `folder:${folder.uri.toString()}`;
  item.contextValue = rowContext.folder;
  item.iconPath = new vscode.ThemeIcon('root-folder');
  item.tooltip = folder.uri.fsPath;
  return item;
}

function databaseItem(database: Database): vscode.TreeItem {
  const { uri, path, snapshots, job, failure } = database;
  const now = Date.now();
  const item = new vscode.TreeItem(
    path,
    snapshots.length > 0
      ? vscode.TreeItemCollapsibleState.Collapsed
      : vscode.TreeItemCollapsibleState.None,
  );
  item.id = `database:${uri.toString()}`;
  item.contextValue =
    job === undefined ? rowContext.database : `${rowContext.database} ${rowContext.running}`;
  item.description = databaseDescription(database, now);
  item.iconPath =
    job !== undefined
      ? new vscode.ThemeIcon('sync~spin')
      : failure !== undefined
        ? new vscode.ThemeIcon('warning', new vscode.ThemeColor('list.warningForeground'))
        : new vscode.ThemeIcon('database');
  item.tooltip = databaseTooltip(database);
  item.accessibilityInformation = { label: `${path}, ${item.description}` };
  return item;
}

function databaseTooltip({ uri, file, snapshots, failure }: Database): vscode.MarkdownString {
  const [newest] = snapshots;
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
      : vscode.l10n.t('Last backup {0}', exactTime(newest.createdAt)),
    failure === undefined ? undefined : errorMessage(failure, basename(uri.fsPath)),
  ]);
}

function snapshotItem(entry: CatalogEntry): vscode.TreeItem {
  const label = dayAndTime(entry.createdAt, Date.now());
  const item = new vscode.TreeItem(label);
  item.id = `snapshot:${entry.path}`;
  item.contextValue = rowContext.snapshot;
  item.description = `${formatBytes(entry.sizeBytes)} · ${verdictWord(entry.verified)}`;
  item.iconPath =
    entry.verified === 'damaged'
      ? new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground'))
      : new vscode.ThemeIcon(entry.verified === 'ok' ? 'verified' : 'archive');
  item.tooltip = snapshotTooltip(entry);
  item.accessibilityInformation = { label: `${label}, ${item.description}` };
  return item;
}

function snapshotTooltip({
  path,
  createdAt,
  sizeBytes,
  verified,
  manifest,
}: CatalogEntry): vscode.MarkdownString {
  const verdict = manifest?.verdict;
  return tooltip([
    path,
    exactTime(createdAt),
    [
      formatBytes(sizeBytes),
      manifest &&
        vscode.l10n.t(
          '{0} pages of {1}',
          manifest.facts.pageCount,
          formatBytes(manifest.facts.pageSize),
        ),
      manifest && vscode.l10n.t('journal mode {0}', manifest.facts.journalMode),
      manifest?.method,
    ]
      .filter((part) => part !== undefined)
      .join(' · '),
    verdict?.checkedAt === undefined
      ? verdictWord(verified)
      : vscode.l10n.t('{0} at {1}', verdictWord(verified), exactTime(verdict.checkedAt)),
    ...(verdict?.findings ?? []).map(({ message }) => message),
    manifest && `SHA-256 ${manifest.sha256}`,
  ]);
}

/** Lines of plain text: whatever names contain, nothing of it becomes a link or markup. */
function tooltip(lines: (string | undefined)[]): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  for (const line of lines) {
    if (line !== undefined) text.appendText(`${line}\n`);
  }
  return text;
}
