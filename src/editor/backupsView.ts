import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog.ts';
import type { Backups } from './backups.ts';
import { Disposables } from './disposables.ts';
import type { Filter } from './filter.ts';
import { rowContext, views } from './ids.ts';
import { backupCount, damagedCount, dayName } from './messages.ts';
import { backupItem, backupTooltip, memberItem, type Row } from './rows.ts';
import type { Settings, SortBy } from './settings.ts';

/** Days are open as long as they are needed to show this many backups. */
const fewestExpanded = 30;

const byName = (a: CatalogEntry, b: CatalogEntry): number =>
  basename(a.path).localeCompare(basename(b.path), 'en') || a.path.localeCompare(b.path, 'en');

const orders: Readonly<Record<Exclude<SortBy, 'age'>, typeof byName>> = {
  name: byName,
  size: (a, b) => b.sizeBytes - a.sizeBytes || byName(a, b),
};

const rowOf = (entry: CatalogEntry): Row => ({ kind: 'snapshot', entry });

/** How long after midnight Today may still be called so. */
const dayRefreshMs = 60_000;

/** The view Backups: everything in the backups folders by day, files of others included. */
export class BackupsView implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  readonly #backups: Backups;
  readonly #settings: Settings;
  readonly #filter: Filter;
  readonly #owned = new Disposables();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<void>());
  readonly onDidChangeTreeData = this.#changed.event;

  constructor(backups: Backups, settings: Settings, filter: Filter) {
    this.#backups = backups;
    this.#settings = settings;
    this.#filter = filter;
    const tree = this.#owned.add(
      vscode.window.createTreeView(views.backups, {
        treeDataProvider: this,
        canSelectMany: true,
        showCollapseAll: true,
      }),
    );
    let shown: string | undefined;
    const showFilter = (): void => {
      tree.message = filter.message(this.#shown().length, backups.entries.length) ?? '';
    };
    this.#owned.add(
      filter.onDidChange(() => {
        showFilter();
        this.#changed.fire();
      }),
    );
    this.#owned.add(settings.onDidChange(() => this.#changed.fire()));
    let today = new Date().toDateString();
    const midnight = setInterval(() => {
      if (new Date().toDateString() === today) return;
      today = new Date().toDateString();
      this.#changed.fire();
    }, dayRefreshMs);
    this.#owned.add({ dispose: () => clearInterval(midnight) });
    this.#owned.add(
      backups.onDidChange(() => {
        // Progress of a job changes nothing here, and a folder may hold thousands.
        if (backups.revision === shown) return;
        shown = backups.revision;
        showFilter();
        const damaged = backups.entries.filter(({ verified }) => verified === 'damaged').length;
        tree.badge = damaged === 0 ? undefined : { value: damaged, tooltip: damagedCount(damaged) };
        this.#changed.fire();
      }),
    );
  }

  getChildren(row?: Row): Row[] | Promise<Row[]> {
    if (row?.kind === 'day') return row.entries.map(rowOf);
    if (row?.kind === 'snapshot') return this.#members(row.entry);
    if (row !== undefined) return [];
    const entries = this.#shown();
    const sortBy = this.#settings.sortBackups();
    if (sortBy !== 'age') return entries.sort(orders[sortBy]).map(rowOf);
    const now = Date.now();
    const days = Map.groupBy(entries, ({ createdAt }) => dayName(createdAt, now));
    return [...days].map(([label, some]) => ({ kind: 'day', label, entries: some }));
  }

  #shown(): CatalogEntry[] {
    return this.#backups.entries.filter((entry) => this.#filter.matchesBackup(entry));
  }

  getTreeItem(row: Row): vscode.TreeItem {
    if (row.kind === 'snapshot') {
      return backupItem(row.entry, this.#settings.sortBackups() === 'age' ? 'day' : 'list');
    }
    if (row.kind === 'member') return memberItem(row);
    const label = row.kind === 'day' ? row.label : '';
    // A folder may hold years of backups: what is long ago is opened when it is wanted.
    const isRecent = row.kind === 'day' && this.#recentDays().has(label);
    const item = new vscode.TreeItem(
      label,
      isRecent
        ? vscode.TreeItemCollapsibleState.Expanded
        : vscode.TreeItemCollapsibleState.Collapsed,
    );
    item.id = `day:${label}`;
    item.contextValue = rowContext.day;
    if (row.kind === 'day') item.description = backupCount(row.entries.length);
    return item;
  }

  async resolveTreeItem(item: vscode.TreeItem, row: Row): Promise<vscode.TreeItem> {
    if (row.kind === 'snapshot') item.tooltip = await backupTooltip(row.entry);
    return item;
  }

  /** The databases first, then the other files, each by its path. */
  async #members(entry: CatalogEntry): Promise<Row[]> {
    if (entry.bundle === undefined) return [];
    const members = await this.#backups.membersOf(entry);
    const order = (kind: string): number => (kind === 'database' ? 0 : 1);
    return members
      .toSorted((a, b) => order(a.kind) - order(b.kind) || a.name.localeCompare(b.name, 'en'))
      .map((member) => ({ kind: 'member', entry, member }));
  }

  #recentDays(): Set<string> {
    const now = Date.now();
    const newest = this.#shown().slice(0, fewestExpanded);
    return new Set(newest.map(({ createdAt }) => dayName(createdAt, now)));
  }

  dispose(): void {
    this.#owned.dispose();
  }
}
