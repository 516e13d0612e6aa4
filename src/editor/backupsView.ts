import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { BundleMember } from '../core/bundle/openBundle.ts';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { isBackupError } from '../core/errors.ts';
import type { Backups } from './backups.ts';
import { folderName } from './backupsFolder.ts';
import { setContext } from './contexts.ts';
import { Disposables } from './disposables.ts';
import type { Filter } from './filter.ts';
import { commands } from './contributed.ts';
import { contextKeys, rowContext, views } from './ids.ts';
import { memberFolderItem, memberItem, memberRows } from './memberRows.ts';
import { readManifest } from './manifests.ts';
import { backupCount, damagedCount } from './messages.ts';
import { dayName } from './times.ts';
import { backupId, backupItem, backupTooltip, moreItem, problemItem, type Row } from './rows.ts';
import { said } from './said.ts';
import type { Settings, SortBy } from './settings.ts';

/** Days are open as long as they are needed to show this many backups. */
const fewestExpanded = 30;

/** A bundle may have more files than a tree can show: so many at first, and more of them each time they are asked for. */
const filesAtFirst = 100;
const filesEachTime = 1000;

const byName = (a: CatalogEntry, b: CatalogEntry): number =>
  basename(a.path).localeCompare(basename(b.path), 'en') || a.path.localeCompare(b.path, 'en');

const orders: Readonly<Record<Exclude<SortBy, 'age'>, typeof byName>> = {
  name: byName,
  size: (a, b) => b.sizeBytes - a.sizeBytes || byName(a, b),
};

const rowOf = (entry: CatalogEntry): Row => ({ kind: 'snapshot', entry });

/** Says what may happen to a backups folder in a work tree; a click chooses another. */
function workTreeRow(folder: string): Row {
  const { t } = vscode.l10n;
  return {
    ...{ kind: 'problem', parent: 'backups', command: commands.chooseBackupsFolder },
    text: t('{0} is in the work tree', folderName(folder)),
    why: t(
      '"git clean -fdX", or deleting the checkout, removes these backups together with the database. Click to choose another folder for new backups.',
    ),
  };
}

/** Says that a backups folder cannot be listed; a click chooses another. */
function troubledRow({ folder, why }: { folder: string; why: string }): Row {
  const { t } = vscode.l10n;
  return {
    ...{ kind: 'problem', parent: 'backups', command: commands.chooseBackupsFolder },
    text: t('The backups folder {0} cannot be used', folderName(folder)),
    why: [said(why), t('Click to choose another folder.')].join(' '),
  };
}

/** How long after midnight Today may still be called so. */
const dayRefreshMs = 60_000;

/** The view Backups: everything in the backups folders by day, files of others included. */
export class BackupsView implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  readonly #backups: Backups;
  readonly #settings: Settings;
  readonly #filter: Filter;
  readonly #tree: vscode.TreeView<Row>;
  readonly #owned = new Disposables();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<void>());
  readonly onDidChangeTreeData = this.#changed.event;
  /** What was read of bundles that were opened, by path. */
  readonly #opened = new Map<string, { stamp: string; members: Promise<BundleMember[]> }>();
  /** How many files of a bundle are shown, by the id of its row; otherwise `filesAtFirst`. */
  readonly #filesShown = new Map<string, number>();

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
    this.#tree = tree;
    let shown: string | undefined;
    const showFilter = (): void => {
      filter.tell(tree, this.#shown().length, backups.entries.length);
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
        if (backups.isReady) {
          setContext(contextKeys.backupsFolder, backups.hasBackupsFolder ? 'some' : 'none');
        }
        // Progress of a job changes nothing else here, and a folder may hold thousands.
        if (backups.revision === shown) return;
        shown = backups.revision;
        this.#forgetClosed();
        showFilter();
        setContext(contextKeys.backups, backups.entries.length > 0 ? 'some' : 'none');
        const files = backups.entries.map(({ path }) => path);
        setContext(contextKeys.backupFiles, files);
        const damaged = backups.entries.filter(({ verified }) => verified === 'damaged').length;
        tree.badge = damaged === 0 ? undefined : { value: damaged, tooltip: damagedCount(damaged) };
        this.#changed.fire();
      }),
    );
  }

  getChildren(row?: Row): Row[] | Promise<Row[]> {
    if (row?.kind === 'day') return row.entries.map(rowOf);
    if (row?.kind === 'snapshot') return this.#members(row.entry);
    if (row?.kind === 'memberFolder') return this.#members(row.entry, row.prefix);
    if (row !== undefined) return [];
    const entries = this.#shown();
    const sortBy = this.#settings.sortBackups();
    const marks = [
      ...this.#backups.troubledFolders.map(troubledRow),
      ...(entries.length === 0 ? [] : this.#backups.inWorkTree.map(workTreeRow)),
    ];
    if (sortBy !== 'age') return [...entries.sort(orders[sortBy]).map(rowOf), ...marks];
    return [...this.#days(), ...marks];
  }

  /** Selects the row of a backup, below its day. A filter that hides it is taken away. */
  async showBackup(entry: CatalogEntry): Promise<void> {
    if (!this.#filter.matchesBackup(entry)) this.#filter.set('');
    await this.#tree.reveal(rowOf(entry), { select: true, focus: true });
  }

  getParent(row: Row): Row | undefined {
    if (row.kind === 'member' || row.kind === 'memberFolder') return rowOf(row.entry);
    if (row.kind !== 'snapshot' || this.#settings.sortBackups() !== 'age') return undefined;
    return this.#days().find(({ entries }) => entries.some(({ path }) => path === row.entry.path));
  }

  #days(): Extract<Row, { kind: 'day' }>[] {
    const now = Date.now();
    const days = Map.groupBy(this.#shown(), ({ createdAt }) => dayName(createdAt, now));
    return [...days].map(([label, entries]) => ({ kind: 'day', label, entries }));
  }

  #shown(): CatalogEntry[] {
    return this.#backups.entries.filter((entry) => this.#filter.matchesBackup(entry));
  }

  getTreeItem(row: Row): vscode.TreeItem {
    if (row.kind === 'snapshot') {
      const place = this.#settings.sortBackups() === 'age' ? 'day' : 'list';
      return backupItem(row.entry, place, this.#backups.names);
    }
    if (row.kind === 'member') return memberItem(row);
    if (row.kind === 'memberFolder') return memberFolderItem(row);
    if (row.kind === 'problem') return problemItem(row);
    if (row.kind === 'more') return moreItem(row);
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
    if (row.kind === 'snapshot') item.tooltip = await backupTooltip(row.entry, this.#backups.names);
    return item;
  }

  /** Shows more files of the bundle whose row has this id. */
  showMore(id: string): void {
    this.#filesShown.set(id, (this.#filesShown.get(id) ?? filesAtFirst) + filesEachTime);
    this.#changed.fire();
  }

  /** What was left out, then folders, databases and other files. */
  async #members(entry: CatalogEntry, prefix = ''): Promise<Row[]> {
    if (entry.bundle === undefined) return [];
    const bundle = backupId(entry.path);
    const id = prefix === '' ? bundle : `${bundle}:${prefix}`;
    try {
      const rows = memberRows(entry, await this.#read(entry), prefix);
      const shown = rows.slice(0, this.#filesShown.get(id) ?? filesAtFirst);
      const count = rows.length - shown.length;
      return [
        ...(prefix === '' ? await leftOut(entry, id) : []),
        ...shown,
        ...(count > 0 ? [{ kind: 'more' as const, parent: id, count }] : []),
      ];
    } catch (error) {
      // Gone or damaged since it was listed: the row says so, and the next opening tries again.
      this.#opened.delete(entry.path);
      if (!isBackupError(error)) throw error;
      const text = vscode.l10n.t('This bundle cannot be read.');
      return [{ kind: 'problem', parent: id, text, why: error.message }];
    }
  }

  /** Each name once, by path: a forged manifest may list one twice. Read again only when the file has changed. */
  #read(entry: CatalogEntry): Promise<BundleMember[]> {
    const { path, stamp } = entry;
    const known = this.#opened.get(path);
    if (known?.stamp === stamp) return known.members;
    const members = this.#backups.membersOf(entry).then((all) => {
      const unique = new Map(all.map((member) => [member.name, member]));
      return [...unique.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    });
    this.#opened.set(path, { stamp, members });
    return members;
  }

  #forgetClosed(): void {
    const listed = new Set(this.#backups.entries.map(({ path }) => path));
    for (const path of this.#opened.keys()) if (!listed.has(path)) this.#opened.delete(path);
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

/** What an incomplete bundle should have in it as well. */
async function leftOut(entry: CatalogEntry, parent: string): Promise<Row[]> {
  if (entry.bundle?.complete !== false) return [];
  const manifest = await readManifest(entry.path);
  const failures = manifest?.kind === 'bundle' ? (manifest.failures ?? []) : [];
  const unique = new Map(failures.map((failure) => [failure.path, failure]));
  return [...unique.values()].slice(0, filesAtFirst).map(({ path, message }) => ({
    ...{ kind: 'problem', parent, why: message },
    text: vscode.l10n.t('left out: {0}', path),
  }));
}
