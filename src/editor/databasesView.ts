import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import type { Backups, Database } from './backups.ts';
import { setContext } from './contexts.ts';
import {
  badgeFor,
  boxFor,
  databaseId,
  databaseFolderItem,
  databaseItem,
  folderItem,
  goneId,
  goneItem,
  goneRow,
  isLeaf,
  missingItem,
  previousItem,
  previousRows,
  uriOfGone,
} from './databaseItems.ts';
import { DatabaseFolders } from './databaseFolders.ts';
import { databaseOrders, isIn } from './databaseOrder.ts';
import { Disposables } from './disposables.ts';
import type { Filter } from './filter.ts';
import type { GoneDatabase } from './gone.ts';
import { contextKeys, views } from './ids.ts';
import { databaseDescription } from './messages.ts';
import {
  backupItem,
  backupTooltip,
  moreItem,
  othersId,
  othersItem,
  problemItem,
  type Row,
} from './rows.ts';
import { checkpointItem, checkpointRows, checkpointsItem } from './protection/checkpointRows.ts';
import type { Checkpoints } from './protection/checkpoints.ts';
import { openFirstBackups } from './openFirstBackups.ts';
import type { Settings } from './settings.ts';
import type { Worktrees } from './worktrees.ts';

const tickedKey = 'tickedForBundle';
const choosingKey = 'choosingForBundle';

/** Ages in rows are at most this old. */
const agesRefreshMs = 30_000;

interface DatabasesViewParts {
  backups: Backups;
  checkpoints: Checkpoints;
  worktrees: Worktrees;
}

/** The view Databases: workspace folder (only when several) > database > its snapshots, newest first. */
export class DatabasesView implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  readonly #backups: Backups;
  readonly #owned = new Disposables();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<Row | undefined>());
  readonly onDidChangeTreeData = this.#changed.event;

  readonly #settings: Settings;
  /** Ids of the rows that show all their backups. */
  readonly #unfolded = new Set<string>();
  #drawn = '';
  #said = new Map<string, string>();
  #toldExplorer = '';
  readonly #rows = new Map<string, Row>();
  readonly #folders = new DatabaseFolders();
  readonly #filter: Filter;
  readonly #tree: vscode.TreeView<Row>;
  readonly #memory: vscode.Memento;
  /** Whether rows have boxes that say what goes into the next bundle. */
  #isChoosing: boolean;

  readonly #checkpoints: Checkpoints;
  readonly #worktrees: Worktrees;

  constructor(
    { backups, checkpoints, worktrees }: DatabasesViewParts,
    settings: Settings,
    filter: Filter,
    memory: vscode.Memento,
  ) {
    this.#checkpoints = checkpoints;
    this.#worktrees = worktrees;
    for (const one of [checkpoints, worktrees])
      this.#owned.add(one.onDidChange(() => this.#changed.fire(undefined)));
    this.#memory = memory;
    this.#backups = backups;
    this.#settings = settings;
    this.#filter = filter;
    this.#isChoosing = memory.get<boolean>(choosingKey) ?? false;
    setContext(contextKeys.choosing, this.#isChoosing);
    const tree = this.#owned.add(
      vscode.window.createTreeView(views.databases, {
        treeDataProvider: this,
        canSelectMany: true,
        showCollapseAll: true,
        manageCheckboxStateManually: true,
      }),
    );
    this.#tree = tree;
    this.#owned.add(tree.onDidChangeCheckboxState(({ items }) => this.#tick(items)));
    this.#owned.add(
      backups.onDidChange(() => {
        setContext(
          contextKeys.databases,
          !backups.isReady
            ? 'searching'
            : backups.databases.length + backups.gone.length > 0
              ? 'some'
              : 'none',
        );
        setContext(contextKeys.running, backups.isRunning);
        setContext(contextKeys.previous, backups.previous.length > 0);
        this.#tellExplorer();
        tree.badge = badgeFor(backups.databases);
        this.#tellFilter(tree);
        this.#drawIfChanged();
      }),
    );
    this.#owned.add(
      filter.onDidChange(() => {
        this.#tellFilter(tree);
        this.#changed.fire(undefined);
      }),
    );
    this.#owned.add(openFirstBackups(backups, tree, this.#folders, this.#rowOf.bind(this)));
    const ages = setInterval(() => {
      if (tree.visible && !backups.isRunning) this.#drawIfChanged();
    }, agesRefreshMs);
    this.#owned.add({ dispose: () => clearInterval(ages) });
  }

  /** The databases whose boxes are ticked, as long as they are shown. */
  get ticked(): vscode.Uri[] {
    return this.#isChoosing ? this.lastChosen : [];
  }

  /** The databases that were last chosen for a bundle; remembered with the workspace. */
  get lastChosen(): vscode.Uri[] {
    const ticked = new Set(this.#remembered());
    return [...this.#backups.databases, ...this.#backups.others]
      .map(({ uri }) => uri)
      .filter((uri) => ticked.has(uri.toString()));
  }

  async rememberChosen(uris: readonly vscode.Uri[]): Promise<void> {
    await this.#memory.update(
      tickedKey,
      uris.map((uri) => uri.toString()),
    );
    if (this.#isChoosing) this.#changed.fire(undefined);
  }

  /** Shows or hides the boxes; that too is remembered with the workspace. */
  async showBoxes(isChoosing: boolean): Promise<void> {
    this.#isChoosing = isChoosing;
    setContext(contextKeys.choosing, isChoosing);
    this.#tellFilter(this.#tree);
    this.#changed.fire(undefined);
    await this.#memory.update(choosingKey, isChoosing);
  }

  #remembered(): string[] {
    return this.#memory.get<string[]>(tickedKey) ?? [];
  }

  #tick(items: readonly [Row, vscode.TreeItemCheckboxState][]): void {
    const ticked = new Set(this.#remembered());
    for (const [row, state] of items) {
      if (row.kind !== 'database') continue;
      const key = row.uri.toString();
      if (state === vscode.TreeItemCheckboxState.Checked) ticked.add(key);
      else ticked.delete(key);
    }
    void this.#memory.update(tickedKey, [...ticked]).then(() => this.#changed.fire(undefined));
  }

  /**
   * While rows are drawn anew, a press on one of them reaches no row. So none is unless it says something else, and only
   * the rows that do are, as long as no row comes or goes: a job says something else all the time.
   */
  #drawIfChanged(): void {
    const now = Date.now();
    const rest = JSON.stringify([
      this.#backups.revision,
      new Date(now).toDateString(),
      [this.#settings.sortDatabases(), this.#settings.snapshotsShown()],
      (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.toString()),
      this.#backups.databases.map(({ uri }) => uri.toString()),
      this.#backups.gone.map((row) => [goneId(row), row.why, row.snapshots.length]),
      this.#backups.previous.map(({ path }) => path),
      this.#backups.others.map(({ uri }) => uri.toString()),
      this.#backups.sawAllFiles,
    ]);
    const said = new Map(
      [...this.#backups.databases, ...this.#backups.others].map((database) => [
        database.uri.toString(),
        JSON.stringify([
          databaseDescription(database, now),
          [database.attention, database.file.modifiedAt, database.snapshots.length],
          database.job === undefined,
        ]),
      ]),
    );
    const changed = [...said].filter(([key, text]) => this.#said.get(key) !== text);
    const isMore = rest !== this.#drawn;
    this.#drawn = rest;
    this.#said = said;
    if (isMore) this.#changed.fire(undefined);
    else for (const [key] of changed) this.#changed.fire(this.#rowOf(vscode.Uri.parse(key)));
  }

  /** The same object for the same database: VS Code knows rows by it. */
  #rowOf(uri: vscode.Uri): Row {
    const key = uri.toString();
    const row = this.#rows.get(key) ?? { kind: 'database', uri };
    this.#rows.set(key, row);
    return row;
  }

  /** Its menu offers Back Up for files whose extensions do not tell that they are databases. */
  #tellExplorer(): void {
    const shown = [...this.#backups.databases, ...this.#backups.others];
    const paths = shown.map(({ uri }) => uri.fsPath);
    if (paths.join('\0') === this.#toldExplorer) return;
    this.#toldExplorer = paths.join('\0');
    setContext(contextKeys.byContent, paths);
  }

  #othersRow(folder: vscode.WorkspaceFolder | undefined): Row {
    const key = othersId(folder);
    const row = this.#rows.get(key) ?? {
      kind: 'others',
      ...(folder !== undefined && { folder }),
    };
    this.#rows.set(key, row);
    return row;
  }

  /** Shows all backups of the database whose row has this id, until the window is closed. */
  showAll(id: string): void {
    this.#unfolded.add(id);
    this.#changed.fire(undefined);
  }

  /** VS Code asks for what is opened by itself: that is at the top. */
  getParent(): undefined {
    return undefined;
  }

  getChildren(row?: Row): Row[] {
    const { databases, gone, others } = this.#shown();
    const rowOf = this.#rowOf.bind(this);
    const rows = (parent?: vscode.WorkspaceFolder): Row[] => [
      ...this.#folders.rowsOf(databases.filter(isIn(parent)), parent, '', rowOf),
      ...gone.filter(isIn(parent)).map(goneRow),
      ...this.#worktrees.missing.filter(isIn(parent)),
      ...(others.some(isIn(parent)) ? [this.#othersRow(parent)] : []),
    ];
    if (row === undefined) {
      const folders = vscode.workspace.workspaceFolders ?? [];
      if (folders.length < 2) return rows();
      return folders
        .filter((folder) => rows(folder).length > 0)
        .map((folder) => ({ kind: 'folder', folder }));
    }
    if (isLeaf(row)) return [];
    switch (row.kind) {
      case 'folder':
        return rows(row.folder);
      case 'databaseFolder':
        return this.#folders.rowsOf(
          databases.filter(isIn(row.folder)),
          row.folder,
          row.prefix,
          rowOf,
        );
      case 'others':
        return others.filter(isIn(row.folder)).map(({ uri }) => this.#rowOf(uri));
      case 'database': {
        const { uri } = row;
        const hasCheckpoints = this.#checkpoints.of(uri).length > 0;
        const snapshots = this.#backups.databaseAt(uri)?.snapshots ?? [];
        return [
          ...previousRows(this.#backups.previousOf(uri)),
          ...(hasCheckpoints ? [{ kind: 'checkpoints', uri } as const] : []),
          ...this.#snapshotRows(snapshots, databaseId(uri), uri),
        ];
      }
      case 'checkpoints':
        return checkpointRows(row, this.#checkpoints.of(row.uri));
      case 'gone':
        return [
          ...previousRows(this.#backups.previousOf(uriOfGone(row))),
          ...this.#snapshotRows(this.#findGone(row)?.snapshots ?? [], goneId(row)),
        ];
    }
  }

  getTreeItem(row: Row): vscode.TreeItem {
    switch (row.kind) {
      case 'folder':
        return folderItem(row.folder);
      case 'database': {
        const database = this.#backups.databaseAt(row.uri);
        if (database === undefined) return new vscode.TreeItem(row.uri);
        const item = databaseItem(database, {
          prefix: this.#folders.prefixOf(row.uri),
          hasPrevious: this.#backups.previousOf(row.uri).length > 0,
          worktree: this.#worktrees.kindOf(database),
        });
        if (this.#isChoosing)
          item.checkboxState = boxFor(
            database.path,
            this.#remembered().includes(row.uri.toString()),
          );
        return item;
      }
      case 'databaseFolder':
        return databaseFolderItem(row, this.#filter.text !== '');
      case 'gone':
        return goneItem(row, this.#findGone(row)?.snapshots.length ?? 0);
      case 'others':
        return othersItem(
          row.folder,
          this.#shown().others.filter(isIn(row.folder)).length,
          this.#backups.sawAllFiles,
        );
      case 'snapshot':
        return row.entry.kept?.cause === undefined
          ? backupItem(row.entry, 'database', this.#backups.names)
          : checkpointItem(row.entry, this.#backups.names);
      case 'checkpoints': {
        const known = this.#checkpoints;
        return checkpointsItem(row, known.of(row.uri), known.changesOf(row));
      }
      case 'missing':
        return missingItem(row);
      case 'previous':
        return previousItem(row);
      case 'problem':
        return problemItem(row);
      case 'more':
        return moreItem(row);
      // These are in the view Backups.
      case 'day':
      case 'member':
      case 'memberFolder':
        return new vscode.TreeItem('');
    }
  }

  async resolveTreeItem(item: vscode.TreeItem, row: Row): Promise<vscode.TreeItem> {
    if (row.kind === 'snapshot') item.tooltip = await backupTooltip(row.entry, this.#backups.names);
    return item;
  }

  /** What the filter leaves, in the order of the setting. */
  #shown(): { databases: Database[]; gone: GoneDatabase[]; others: Database[] } {
    const isShown = ({ path, snapshots }: Pick<Database, 'path' | 'snapshots'>): boolean =>
      this.#filter.matches([path]) || snapshots.some((entry) => this.#filter.matchesBackup(entry));
    const inOrder = databaseOrders[this.#settings.sortDatabases()];
    return {
      databases: this.#backups.databases.filter(isShown).sort(inOrder),
      gone: this.#backups.gone.filter(isShown),
      others: this.#backups.others.filter(isShown).sort(inOrder),
    };
  }

  #tellFilter(tree: vscode.TreeView<Row>): void {
    const count = (rows: Record<'databases' | 'gone' | 'others', readonly unknown[]>): number =>
      rows.databases.length + rows.gone.length + rows.others.length;
    this.#filter.tell(tree, count(this.#shown()), count(this.#backups));
    if (this.#isChoosing && tree.message === '')
      tree.message = vscode.l10n.t('Tick databases, then press Create Bundle… above.');
  }

  #findGone(row: Pick<GoneDatabase, 'folder' | 'path'>): GoneDatabase | undefined {
    return this.#backups.gone.find((one) => goneId(one) === goneId(row));
  }

  #snapshotRows(snapshots: readonly CatalogEntry[], id: string, uri?: vscode.Uri): Row[] {
    const most = this.#unfolded.has(id) ? Infinity : this.#settings.snapshotsShown();
    // A database that is itself what was looked for shows all it has.
    const found = snapshots.filter((entry) => this.#filter.matchesBackup(entry));
    const left = found.length > 0 ? found : snapshots;
    const shown = left
      .slice(0, most)
      .map((entry): Row => ({ kind: 'snapshot', entry, ...(uri !== undefined && { uri }) }));
    const count = left.length - shown.length;
    return count > 0 ? [...shown, { kind: 'more', parent: id, count }] : shown;
  }

  dispose(): void {
    this.#owned.dispose();
  }
}
