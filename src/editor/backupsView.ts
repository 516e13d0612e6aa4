import * as vscode from 'vscode';
import type { Backups } from './backups.ts';
import { Disposables } from './disposables.ts';
import { rowContext, views } from './ids.ts';
import { backupCount, dayName } from './messages.ts';
import { snapshotItem, type Row } from './rows.ts';

/** The view Backups: everything in the backups folders by day, files of others included. */
export class BackupsView implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  readonly #backups: Backups;
  readonly #owned = new Disposables();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<void>());
  readonly onDidChangeTreeData = this.#changed.event;

  constructor(backups: Backups) {
    this.#backups = backups;
    const tree = this.#owned.add(
      vscode.window.createTreeView(views.backups, {
        treeDataProvider: this,
        canSelectMany: true,
        showCollapseAll: true,
      }),
    );
    let shown: string | undefined;
    this.#owned.add(
      backups.onDidChange(() => {
        // Progress of a job changes nothing here, and a folder may hold thousands.
        if (backups.revision === shown) return;
        shown = backups.revision;
        const damaged = backups.entries.filter(({ verified }) => verified === 'damaged').length;
        tree.badge =
          damaged === 0
            ? undefined
            : { value: damaged, tooltip: vscode.l10n.t('{0} damaged backups', damaged) };
        this.#changed.fire();
      }),
    );
  }

  getChildren(row?: Row): Row[] {
    if (row === undefined) {
      const now = Date.now();
      const days = Map.groupBy(this.#backups.entries, ({ createdAt }) => dayName(createdAt, now));
      return [...days].map(([label, entries]) => ({ kind: 'day', label, entries }));
    }
    return row.kind === 'day' ? row.entries.map((entry) => ({ kind: 'snapshot', entry })) : [];
  }

  getTreeItem(row: Row): vscode.TreeItem {
    if (row.kind === 'snapshot') return snapshotItem(row.entry, { named: true });
    const label = row.kind === 'day' ? row.label : '';
    const item = new vscode.TreeItem(label, vscode.TreeItemCollapsibleState.Expanded);
    item.id = `day:${label}`;
    item.contextValue = rowContext.day;
    if (row.kind === 'day') item.description = backupCount(row.entries.length);
    return item;
  }

  dispose(): void {
    this.#owned.dispose();
  }
}
