/** The one owner of what is known: databases and their backups. Views and status bar listen. */
import { dirname, extname, join } from 'node:path';
import * as vscode from 'vscode';
import { ShortNames } from '../core/manifest/shortNames.ts';
import type { BundleMember } from '../core/bundle/openBundle.ts';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { isInside } from '../core/catalog/folderSetting.ts';
import type { Trigger } from '../core/manifest/manifest.ts';
import type { SetAside } from '../core/restore/setAside.ts';
import type { WorkerClient } from '../worker/client.ts';
import { type Attention, attentionFor, type KnownBackups, newestBundles } from './attention.ts';
import type { Audit } from './audit.ts';
import {
  BackupJobs,
  type BackUpOptions,
  type BackUpResult,
  type LastFailure,
} from './backupJobs.ts';
import { type BackupsFolder, workTreeOf } from './backupsFolder.ts';
import type { BundleOrder, BundleResult } from './bundleOrder.ts';
import { candidatesIn, isLeftOutBy, mayHoldCandidates, searchedFolders } from './candidates.ts';
import { Catalogs, unlisted } from './catalogs.ts';
import { ContentSearch } from './contentSearch.ts';
import { Disposables } from './disposables.ts';
import { FileWatch } from './fileWatch.ts';
import { databaseKey, folderKey, isOfWorkspace, locate, type Located } from './located.ts';
import { findGone, type GoneDatabase } from './gone.ts';
import type { Log } from './log.ts';
import type { Job } from './runningJobs.ts';
import { previousIn } from './previous.ts';
import type { Settings } from './settings.ts';
import { shortNamesOf } from './whichDatabase.ts';

export interface Database extends Located, KnownBackups {
  readonly job: Job | undefined;
  readonly failure: LastFailure | undefined;
  /** Why a person should look at it. */
  readonly attention: Attention | undefined;
}

export class Backups implements vscode.Disposable {
  readonly #worker: WorkerClient;
  readonly #settings: Settings;
  readonly #folder: BackupsFolder;
  readonly #log: Log;
  readonly #owned = new Disposables();
  readonly #changed: vscode.EventEmitter<void>;
  readonly #jobs: BackupJobs;
  readonly #watch: FileWatch;
  readonly #byContent: ContentSearch;
  #located: Located[] | undefined;
  /** Databases by content with names of other files. */
  #others: Located[] = [];
  /** The backups of each workspace folder (by its Uri), newest first. */
  #catalogs = new Map<string, CatalogEntry[]>();
  readonly #lists: Catalogs;
  #revision = '';
  #names = new ShortNames([]);
  #inWorkTree: string[] = [];
  #troubled: { folder: string; why: string }[] = [];
  #previous = new Map<string, SetAside[]>();
  /** The catalogs, by the path of the database. */
  #byDatabase = new Map<string, CatalogEntry[]>();
  /** The newest bundle of each database that is not damaged. */
  #bundles = new Map<string, CatalogEntry>();
  #gone: GoneDatabase[] = [];
  /** What was told of files that are not offered, so that it is told once. */
  readonly #told = new Set<string>();
  #refreshing: Promise<void> | undefined;
  #refreshAgain = false;
  readonly onDidChange: vscode.Event<void>;
  readonly #backedUp = this.#owned.add(new vscode.EventEmitter<BackUpResult['done'][number]>());
  /** Fires for each database that was backed up. */
  readonly onDidBackUp = this.#backedUp.event;

  constructor(parts: {
    worker: WorkerClient;
    settings: Settings;
    folder: BackupsFolder;
    log: Log;
    audit: Audit;
    toolVersion: string;
  }) {
    this.#worker = parts.worker;
    this.#settings = parts.settings;
    this.#folder = parts.folder;
    this.#log = parts.log;
    this.#lists = new Catalogs(parts.worker, parts.log, () => this.#watch.refreshSoon());
    this.#changed = this.#owned.add(new vscode.EventEmitter<void>());
    this.onDidChange = this.#changed.event;
    this.#jobs = new BackupJobs(parts, () => this.#changed.fire());
    this.#watch = this.#owned.add(
      new FileWatch({
        settings: parts.settings,
        isKnown: (uri) => this.databaseAt(uri) !== undefined,
        holdsKnown: ({ fsPath }) =>
          [...(this.#located ?? []), ...this.#others].some(({ uri }) =>
            isInside(uri.fsPath, fsPath),
          ) || this.entries.some(({ path }) => isInside(path, fsPath)),
        holdsNews: (folder) =>
          this.#holdsNews(folder).catch((error: unknown) => {
            tellFailure(error);
            return false;
          }),
        noteNewFile: (path, sizeBytes) => this.#byContent.noteNewFile(path, sizeBytes),
        onNews: () => void this.refresh().catch(tellFailure),
      }),
    );
    this.#byContent = this.#owned.add(
      new ContentSearch({
        ...{ worker: parts.worker, log: parts.log },
        where: async () => {
          const { folders, leftOut: leaveOut } = await this.#whereToSearch();
          return { places: searchedFolders(this.#settings, folders), leaveOut };
        },
        isKnown: (path) => this.databaseAt(vscode.Uri.file(path)) !== undefined,
        onNews: () => void this.refresh().catch(tellFailure),
      }),
    );
    const tellFailure = (error: unknown): void =>
      this.#log.error('Looking for databases failed', error);
    const refreshSoon = (): void => this.#watch.refreshSoon();
    this.#owned.add(this.#settings.onDidChange(refreshSoon));
    this.#owned.add(vscode.workspace.onDidChangeWorkspaceFolders(refreshSoon));
    this.#owned.add(vscode.workspace.onDidGrantWorkspaceTrust(refreshSoon));
  }

  /** False until the first search is over. */
  get isReady(): boolean {
    return this.#located !== undefined;
  }

  get databases(): Database[] {
    return (this.#located ?? []).map((located) => this.#describe(located));
  }

  /** Databases that only their content tells, and whose names are those of other files. They have no backups yet. */
  get others(): Database[] {
    return this.#others.map((located) => this.#describe(located));
  }

  /** False when the search by content stopped before it had seen all files. */
  get sawAllFiles(): boolean {
    return this.#byContent.isComplete;
  }

  /** Changes with what is in the backups folders: for listeners whom nothing else concerns. */
  get revision(): string {
    return this.#revision;
  }

  /** The backups folders that are in a git work tree. */
  get inWorkTree(): readonly string[] {
    return this.#inWorkTree;
  }

  /** The backups folders that cannot be listed, and why. */
  get troubledFolders(): readonly { folder: string; why: string }[] {
    return this.#troubled;
  }

  /** What restores have kept of databases of the workspace, newest first. */
  get previous(): SetAside[] {
    return [...this.#previous.values()].flat();
  }

  previousOf({ fsPath }: vscode.Uri): readonly SetAside[] {
    return this.#previous.get(fsPath) ?? [];
  }

  /** What tells the databases apart, those that only backups tell of included. */
  get names(): ShortNames {
    return this.#names;
  }

  /** Whether any workspace folder has a backups folder that may be used. */
  get hasBackupsFolder(): boolean {
    return this.#catalogs.size > 0;
  }

  /** Everything in the backups folders, newest first, each file once. */
  get entries(): CatalogEntry[] {
    const unique = new Map([...this.#catalogs.values()].flat().map((entry) => [entry.path, entry]));
    return [...unique.values()];
  }

  get gone(): readonly GoneDatabase[] {
    return this.#gone;
  }

  get isRunning(): boolean {
    return this.#jobs.isRunning;
  }

  databaseAt(uri: vscode.Uri): Database | undefined {
    const isIt = (one: Located): boolean => one.uri.toString() === uri.toString();
    const located = this.#located?.find(isIt) ?? this.#others.find(isIt);
    return located && this.#describe(located);
  }

  /** Looks again as `refresh` does, and also at the content of files without the name of a database. */
  async refreshAll(): Promise<void> {
    const [isNews] = await Promise.all([this.#byContent.search(), this.refresh()]);
    if (isNews) await this.refresh();
  }

  /** Looks for databases and backups again. Calls during a search are answered by one more search. */
  async refresh(): Promise<void> {
    if (this.#refreshing !== undefined) {
      this.#refreshAgain = true;
      return this.#refreshing;
    }
    this.#refreshing = this.#refreshUntilSettled();
    try {
      await this.#refreshing;
    } finally {
      this.#refreshing = undefined;
    }
  }

  /** As `BackupJobs.backUp`; what came of it is shown when this returns. */
  async backUp(
    uris: readonly vscode.Uri[],
    folders: ReadonlyMap<string, string>,
    options: BackUpOptions,
  ): Promise<BackUpResult> {
    const result = await this.#jobs.backUp(uris, folders, options);
    for (const done of result.done) this.#backedUp.fire(done);
    await this.refresh();
    return result;
  }

  /** As `BackupJobs.bundle`; what came of it is shown when this returns. */
  async bundle(order: BundleOrder, trigger: Trigger): Promise<BundleResult> {
    const result = await this.#jobs.bundle(order, trigger);
    await this.refresh();
    return result;
  }

  /** Stops the job of one database, or all of them. A job that is already publishing still ends well. */
  cancel(uri?: vscode.Uri): void {
    this.#jobs.cancel(uri);
  }

  dispose(): void {
    this.cancel();
    this.#owned.dispose();
  }

  /** What is in a bundle. */
  membersOf({ path }: CatalogEntry): Promise<BundleMember[]> {
    return this.#worker.call('members', { path });
  }

  #describe(located: Located): Database {
    const failure = this.#jobs.failureOf(located.uri);
    const snapshots = (
      this.#byDatabase.get(databaseKey(located.folder, located.path)) ?? []
    ).filter((entry) => isOfWorkspace(entry, located.folder));
    const bundle = this.#bundles.get(databaseKey(located.folder, located.path));
    const isListed = this.#catalogs.get(folderKey(located.folder)) !== unlisted;
    const staleAfterMs = this.#settings.staleAfterMs(located.uri);
    return {
      ...located,
      snapshots,
      bundle,
      isListed,
      job: this.#jobs.of(located.uri),
      failure,
      attention:
        failure === undefined
          ? attentionFor(located.file, { snapshots, bundle, isListed }, staleAfterMs)
          : 'failed',
    };
  }

  async #refreshUntilSettled(): Promise<void> {
    do {
      this.#refreshAgain = false;
      await this.#search();
    } while (this.#refreshAgain);
  }

  async #whereToSearch(): Promise<{
    folders: vscode.WorkspaceFolder[];
    /** By workspace folder. */
    backupsFolders: Map<string, string>;
    leftOut: string[];
  }> {
    const folders = (vscode.workspace.workspaceFolders ?? []).filter(
      ({ uri }) => uri.scheme === 'file',
    );
    const backupsFolders = new Map<string, string>();
    for (const folder of folders) {
      const path = await this.#folder.resolve(folder);
      if (path !== undefined) backupsFolders.set(folderKey(folder), path);
    }
    // A backups folder that holds the workspace itself cannot be left out: there, backups are told by their manifests.
    const leftOut = [...backupsFolders.values()].filter(
      (path) => !folders.some(({ uri }) => isInside(uri.fsPath, path)),
    );
    return { folders, backupsFolders, leftOut };
  }

  async #search(): Promise<void> {
    const { folders, backupsFolders, leftOut } = await this.#whereToSearch();
    const insideBackups = (uri: vscode.Uri): boolean =>
      leftOut.some((path) => isInside(uri.fsPath, path));
    const candidates = new Map<string, vscode.Uri>();
    for (const folder of folders) {
      for (const uri of await candidatesIn(this.#settings, folder)) {
        if (!insideBackups(uri)) candidates.set(uri.fsPath, uri);
      }
    }
    const byContent = this.#byContent.paths.filter((path) => !insideBackups(vscode.Uri.file(path)));
    // A file under two names counts under the first: the one that the settings know.
    const paths = [...new Set([...[...candidates.keys()].sort(), ...byContent])];
    const { databases, skipped } =
      paths.length === 0
        ? { databases: [], skipped: [] }
        : await this.#worker.call('inspect', { paths, searchPath: process.env['PATH'] });
    for (const { path, code, reason } of skipped) {
      if (code === 'source-missing') this.#byContent.forget(path);
      const text = `Not offered: ${path} [${code}]: ${reason}`;
      if (!this.#told.has(text)) this.#log.info(text);
      this.#told.add(text);
    }

    const catalogs = new Map<string, CatalogEntry[]>();
    for (const [key, path] of backupsFolders) catalogs.set(key, await this.#lists.list(path));
    this.#catalogs = catalogs;
    const places = [...new Set(backupsFolders.values())];
    this.#troubled = places.flatMap((folder) => {
      const why = this.#lists.problemOf(folder);
      return why === undefined ? [] : [{ folder, why }];
    });
    const usable = places.filter((place) => this.#lists.problemOf(place) === undefined);
    const trees = await Promise.all(usable.map(workTreeOf));
    this.#inWorkTree = usable.filter((_, index) => trees[index] !== undefined);
    this.#revision = [
      ...this.#troubled.map(({ folder, why }) => `${folder}\0${why}`),
      ...this.entries.map(({ path, stamp }) => `${path}\0${stamp}`),
    ].join('\n');
    this.#byDatabase = new Map(
      [...catalogs].flatMap(([key, entries]) =>
        [...Map.groupBy(entries, ({ database }) => database)].map(
          ([path, some]): [string, CatalogEntry[]] => [`${key}\0${path ?? ''}`, some],
        ),
      ),
    );
    this.#bundles = newestBundles(folders, catalogs);
    const located = databases.map(locate).sort((a, b) => (a.file.path < b.file.path ? -1 : 1));
    const isShown = ({ folder, path, file }: Located): boolean =>
      candidates.has(file.path) ||
      extname(file.path) === '' ||
      this.#byDatabase.has(databaseKey(folder, path)) ||
      this.#bundles.has(databaseKey(folder, path));
    this.#located = located.filter(isShown);
    this.#others = located.filter((one) => !isShown(one));
    this.#gone = await findGone(catalogs, located, {
      skipped: new Map(skipped.map(({ path, code }) => [path, code])),
      isExcluded: (path, folder) =>
        insideBackups(vscode.Uri.file(path)) || isLeftOutBy(this.#settings, path, folder),
    });
    this.#names = shortNamesOf(located, this.entries);
    this.#watch.follow(folders, new Set(backupsFolders.values()));
    this.#watch.followFiles(
      this.#located.flatMap(({ file: { path } }) => (candidates.has(path) ? [] : [path])),
    );
    this.#changed.fire();
    await this.#findPrevious(folders);
    this.#byContent.searchIfMoved().catch((error: unknown) => {
      this.#log.error('Looking for databases by content failed', error);
    });
  }

  /** After the rest is shown: it looks into the folder of each database. */
  async #findPrevious(folders: readonly vscode.WorkspaceFolder[]): Promise<void> {
    const before = JSON.stringify(this.previous);
    this.#previous = await previousIn(
      [
        ...folders.map(({ uri }) => uri.fsPath),
        ...[...(this.#located ?? []), ...this.#others].map(({ uri }) => dirname(uri.fsPath)),
        ...this.#gone.map(({ folder, path }) => dirname(join(folder.uri.fsPath, path))),
      ],
      this.#worker,
      (problem) => this.#log.warn(`Previous databases: ${String(problem)}`),
    );
    if (JSON.stringify(this.previous) !== before) this.#changed.fire();
  }

  /** Whether there may be a database or a backup in a folder that has just come. */
  async #holdsNews(created: vscode.Uri): Promise<boolean> {
    const folder = vscode.workspace.getWorkspaceFolder(created);
    if (folder === undefined) return false;
    const backupsFolder = await this.#folder.resolve(folder);
    const holdsBackups = backupsFolder !== undefined && isInside(backupsFolder, created.fsPath);
    return holdsBackups || (await mayHoldCandidates(this.#settings, folder, created));
  }
}
