/** The one owner of what is known: databases, their backups, running jobs, last failures. Views and status bar listen. */
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog.ts';
import type { FoundDatabase } from '../core/discovery.ts';
import { BackupError, fromPlainError, isBackupError, type PlainError } from '../core/errors.ts';
import { isInside } from '../core/folderSetting.ts';
import { groupOfDatabase } from '../core/retention.ts';
import type { CutLabel, Method, Trigger } from '../core/manifest.ts';
import type { Progress, Snapshot, SnapshotsRequest } from '../core/snapshot.ts';
import type { BundleMember } from '../core/unbundle.ts';
import type { CallOptions, WorkerClient } from '../worker/client.ts';
import { Jobs } from '../worker/jobs.ts';
import type { Audit } from './audit.ts';
import type { BackupsFolder } from './backupsFolder.ts';
import type { BundleOrder, BundleResult } from './bundleOrder.ts';
import { Catalogs } from './catalogs.ts';
import { Disposables } from './disposables.ts';
import type { Log } from './log.ts';
import { retainAfterBackup } from './retention.ts';
import type { Settings } from './settings.ts';

const busyTimeoutMs = 5000;
const changesSettleMs = 300;
const drawnEveryMs = 400;
/** How old the size of a database that is being written may be in the view. */
const sizesRefreshMs = 10_000;

export interface Database {
  readonly uri: vscode.Uri;
  readonly folder: vscode.WorkspaceFolder | undefined;
  /** Relative to the workspace folder, with `/`: how people and manifests name it. */
  readonly path: string;
  readonly file: FoundDatabase;
  /** Newest first. */
  readonly snapshots: readonly CatalogEntry[];
  /** The newest bundle that has it in and is not damaged. */
  readonly bundle: CatalogEntry | undefined;
  readonly job: Job | undefined;
  /** The last attempt, when it failed; `at` in ms since 1970. */
  readonly failure: { error: BackupError; at: number } | undefined;
  /** Why somebody should look at it. */
  readonly attention: Attention | undefined;
}

/** `never` and `stale` are about the newest backup that is not damaged. */
export type Attention = 'failed' | 'damaged' | 'never' | 'stale';

/** The newest backup of a database that is not damaged, be it a snapshot or a bundle. */
export function newestGood({
  snapshots,
  bundle,
}: Pick<Database, 'snapshots' | 'bundle'>): CatalogEntry | undefined {
  const snapshot = snapshots.find(({ verified }) => verified !== 'damaged');
  return bundle !== undefined && bundle.createdAt > (snapshot?.createdAt ?? '') ? bundle : snapshot;
}

/** A database whose file is not there any more, but whose backups are. */
export interface GoneDatabase {
  readonly folder: vscode.WorkspaceFolder;
  readonly path: string;
  /** Newest first. */
  readonly snapshots: readonly CatalogEntry[];
}

export interface Job {
  readonly startedAt: number;
  /** Undefined until the worker has said something. */
  readonly progress: Progress | undefined;
}

interface Outcome {
  uri: vscode.Uri;
  snapshot: Snapshot;
}

interface Failure {
  uri: vscode.Uri;
  error: BackupError;
}

export interface BackUpResult {
  done: Outcome[];
  failed: Failure[];
  /** Whether several snapshots share an instant; undefined when they went to different folders or were compacted. */
  cut: CutLabel | undefined;
}

/** A database on its way, with everything that decides how. */
interface Order {
  uri: vscode.Uri;
  /** The backups folder. */
  folder: string;
  method: Method;
}

/** How a backup came about, and where it is to differ from the settings. */
export interface BackUpOptions {
  trigger: Trigger;
  method?: Method;
}

type Located = Omit<Database, 'snapshots' | 'bundle' | 'job' | 'failure' | 'attention'>;

export class Backups implements vscode.Disposable {
  readonly #worker: WorkerClient;
  readonly #settings: Settings;
  readonly #folder: BackupsFolder;
  readonly #log: Log;
  readonly #audit: Audit;
  readonly #toolVersion: string;
  readonly #owned = new Disposables();
  readonly #watchers: Disposables;
  readonly #changed: vscode.EventEmitter<void>;
  readonly #jobs = new Jobs(availableParallelism());
  readonly #running = new Map<string, { job: Job; abort: AbortController }>();
  readonly #failures = new Map<string, { error: BackupError; at: number }>();
  #located: Located[] | undefined;
  /** The backups of each workspace folder (by its Uri), newest first. */
  #catalogs = new Map<string, CatalogEntry[]>();
  readonly #lists: Catalogs;
  #revision = '';
  #watched = '';
  /** The same, by the path of the database they are of. */
  #byDatabase = new Map<string, CatalogEntry[]>();
  /** The newest bundle of each database that is not damaged. */
  #bundles = new Map<string, CatalogEntry>();
  #gone: GoneDatabase[] = [];
  /** What was told of files that are not offered, so that it is told once. */
  readonly #told = new Set<string>();
  #refreshing: Promise<void> | undefined;
  #refreshAgain = false;
  #settleTimer: NodeJS.Timeout | undefined;
  #sizesTimer: NodeJS.Timeout | undefined;
  readonly onDidChange: vscode.Event<void>;

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
    this.#audit = parts.audit;
    this.#toolVersion = parts.toolVersion;
    this.#lists = new Catalogs(parts.worker, parts.log);
    this.#changed = this.#owned.add(new vscode.EventEmitter<void>());
    this.onDidChange = this.#changed.event;
    this.#watchers = this.#owned.add(new Disposables());
    const refreshSoon = (): void => this.#refreshSoon();
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

  /** Changes with what is in the backups folders: for listeners whom nothing else concerns. */
  get revision(): string {
    return this.#revision;
  }

  /** Everything in the backups folders, newest first, each file once. */
  get entries(): CatalogEntry[] {
    const unique = new Map([...this.#catalogs.values()].flat().map((entry) => [entry.path, entry]));
    return [...unique.values()];
  }

  /** The databases that only backups tell of. */
  get gone(): readonly GoneDatabase[] {
    return this.#gone;
  }

  #findGone(): GoneDatabase[] {
    const present = new Set(this.#located?.map(({ folder, path }) => databaseKey(folder, path)));
    return (vscode.workspace.workspaceFolders ?? []).flatMap((folder) => {
      const own = (this.#catalogs.get(folderKey(folder)) ?? []).filter(
        ({ database, workspace }) =>
          database !== undefined && workspace === basename(folder.uri.fsPath),
      );
      const groups = Map.groupBy(own, ({ database }) => database ?? '');
      return [...groups]
        .filter(([path]) => !present.has(databaseKey(folder, path)))
        .map(([path, snapshots]) => ({ folder, path, snapshots }));
    });
  }

  get isRunning(): boolean {
    return this.#running.size > 0;
  }

  find(uri: vscode.Uri): Database | undefined {
    const located = this.#located?.find((one) => one.uri.toString() === uri.toString());
    return located && this.#describe(located);
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

  /**
   * Backs up databases into the backups folders of `folders` (by Uri), those of one folder at one instant where that can
   * be had. Never rejects for what can go wrong with a backup: that is in `failed`. A database that is already being
   * backed up waits its turn.
   */
  async backUp(
    uris: readonly vscode.Uri[],
    folders: ReadonlyMap<string, string>,
    { trigger, method }: BackUpOptions,
  ): Promise<BackUpResult> {
    const result: BackUpResult = { done: [], failed: [], cut: undefined };
    const accepted = this.#accept(uris, folders, method, result);
    // What is compacted cannot share an instant, so it need not share a process.
    const groups = Map.groupBy(accepted, (order) =>
      order.method === 'exact' ? order.folder : `${order.folder}\0${order.uri.toString()}`,
    );
    const results = await Promise.all(
      [...groups.values()].map((orders) => this.#backUpGroup(orders, trigger)),
    );
    for (const { done, failed } of results) {
      result.done.push(...done);
      result.failed.push(...failed);
    }
    if (results.length === 1) result.cut = results[0]?.cut;
    await retainAfterBackup(
      { worker: this.#worker, settings: this.#settings, log: this.#log, audit: this.#audit },
      result.done.map(({ uri, snapshot }) => ({
        uri,
        folder: folders.get(uri.toString()) ?? '',
        group: groupOfDatabase(snapshot.manifest.source),
      })),
      trigger,
    );
    await this.refresh();
    return result;
  }

  /** Stops the job of one database, or all of them. A job that is already publishing still ends well. */
  cancel(uri?: vscode.Uri): void {
    for (const [key, { abort }] of this.#running) {
      if (uri === undefined || key === uri.toString()) abort.abort();
    }
  }

  dispose(): void {
    clearTimeout(this.#settleTimer);
    clearTimeout(this.#sizesTimer);
    this.cancel();
    this.#owned.dispose();
  }

  /** Makes one bundle, with its progress in the rows of its databases. Throws what is wrong with the target. */
  async bundle(order: BundleOrder, trigger: Trigger): Promise<BundleResult> {
    const keys = order.databases.map(({ path }) => vscode.Uri.file(path).toString());
    const uri = vscode.Uri.file(order.databases[0]?.path ?? order.folder);
    const request = {
      databases: order.databases.map(({ path: database, recordAs: as }) => ({
        database,
        recordAs: as,
      })),
      ...{ companions: [...order.companions], folder: order.folder, method: order.method, trigger },
      ...(order.name !== undefined && { name: order.name }),
      ...(order.workspace !== undefined && { workspace: order.workspace }),
      ...{ allowIncomplete: order.allowIncomplete, busyTimeoutMs, toolVersion: this.#toolVersion },
      verify: this.#settings.verifyAfterBackup(uri),
      largestBytes: this.#settings.largestBytes(uri),
      compression: this.#settings.compression(uri),
    };
    const deadlineMs = this.#settings.deadlineMs(uri);
    const { bundle, failures } = await this.#runJob(keys, (options) =>
      this.#worker.call('bundle', request, { ...options, deadlineMs }),
    );
    for (const { path, error } of failures) {
      this.#log.error(`Bundling ${path} failed`, fromPlainError(error));
      void this.#audit.record({ what: 'backup', path, trigger, result: error.code });
    }
    if (bundle !== undefined) {
      const { path, manifest } = bundle;
      this.#log.info(`Bundled ${manifest.cut.members} databases to ${path}.`);
      for (const { message } of manifest.warnings ?? []) this.#log.warn(`${path}: ${message}`);
      const failed = new Set(failures.map((failure) => failure.path));
      for (const database of order.databases) {
        if (failed.has(database.path)) continue;
        this.#failures.delete(vscode.Uri.file(database.path).toString());
      }
      const result = manifest.verdict.status;
      void this.#audit.record({ what: 'backup', path, backup: path, trigger, result });
    }
    await this.refresh();
    return {
      bundle,
      failures: failures.map(({ path, error }) => ({ path, error: fromPlainError(error) })),
    };
  }

  /** What is in a bundle. */
  membersOf({ path }: CatalogEntry): Promise<BundleMember[]> {
    return this.#worker.call('members', { path });
  }

  #accept(
    uris: readonly vscode.Uri[],
    folders: ReadonlyMap<string, string>,
    method: Method | undefined,
    { failed }: BackUpResult,
  ): Order[] {
    return uris.flatMap((uri) => {
      const folder = folders.get(uri.toString());
      if (uri.scheme === 'file' && folder !== undefined) {
        return [{ uri, folder, method: method ?? this.#settings.method(uri) }];
      }
      const message = `${uri.toString()} is not a file on this machine.`;
      failed.push({ uri, error: new BackupError('access', message, { path: uri.path }) });
      return [];
    });
  }

  /** One job in one process: databases of one backups folder. */
  async #backUpGroup(orders: Order[], trigger: Trigger): Promise<BackUpResult> {
    const keys = orders.map(({ uri }) => uri.toString());
    const deadlineMs = this.#settings.deadlineMs(orders[0]?.uri);
    try {
      const answer = await this.#runJob(keys, (options) =>
        this.#worker.call('backUpTogether', this.#request(orders, trigger), {
          ...{ ...options, deadlineMs },
        }),
      );
      return this.#settle(orders, answer, trigger);
    } catch (error) {
      if (!isBackupError(error)) throw error;
      const failures = orders.map(({ uri }) => ({ database: uri.fsPath, error }));
      return this.#settle(orders, { snapshots: [], failures }, trigger);
    }
  }

  /** Runs a job when its databases are free, and shows its progress in their rows. */
  #runJob<T>(
    keys: string[],
    job: (options: Pick<CallOptions, 'signal' | 'onProgress'>) => Promise<T>,
  ): Promise<T> {
    return this.#jobs.run(keys, async () => {
      const abort = new AbortController();
      const startedAt = Date.now();
      let shownAt = 0;
      const show = (progress: Progress | undefined): void => {
        for (const key of keys) this.#running.set(key, { job: { startedAt, progress }, abort });
        // A view that is told more often than it can draw draws nothing at all.
        if (Date.now() - shownAt < drawnEveryMs) return;
        shownAt = Date.now();
        this.#changed.fire();
      };
      show(undefined);
      try {
        return await job({ signal: abort.signal, onProgress: show });
      } finally {
        for (const key of keys) this.#running.delete(key);
        this.#changed.fire();
      }
    });
  }

  #request(orders: Order[], trigger: Trigger): SnapshotsRequest {
    const [first] = orders;
    const uri = first?.uri;
    return {
      databases: orders.map((order) => ({
        database: order.uri.fsPath,
        recordAs: recordAs(order.uri),
      })),
      folder: first?.folder ?? '',
      method: first?.method ?? this.#settings.method(uri),
      trigger,
      verify: this.#settings.verifyAfterBackup(uri),
      busyTimeoutMs,
      largestBytes: this.#settings.largestBytes(uri),
      toolVersion: this.#toolVersion,
    };
  }

  /** Tells the log, remembers failures, and finds the Uri that each answer is about. */
  #settle(
    orders: Order[],
    answer: {
      snapshots: Snapshot[];
      failures: { database: string; error: PlainError | BackupError }[];
      cut?: { label: CutLabel };
    },
    trigger: Trigger,
  ): BackUpResult {
    const failed = answer.failures.flatMap(({ database, error }) => {
      const uri = orders.find((order) => order.uri.fsPath === database)?.uri;
      return uri === undefined
        ? []
        : [{ uri, error: isBackupError(error) ? error : fromPlainError(error) }];
    });
    const done = answer.snapshots.flatMap((snapshot) => {
      const uri = orders.find((order) => order.uri.fsPath === snapshot.requested)?.uri;
      return uri === undefined ? [] : [{ uri, snapshot }];
    });
    for (const { uri, snapshot } of done) this.#noteDone(uri, snapshot, trigger);
    for (const { uri, error } of failed) {
      this.#log.error(`Backing up ${uri.fsPath} failed`, error);
      void this.#audit.record({ what: 'backup', path: uri.fsPath, trigger, result: error.code });
      if (error.code !== 'cancelled') this.#failures.set(uri.toString(), { error, at: Date.now() });
    }
    return { done, failed, cut: done.length > 1 ? answer.cut?.label : undefined };
  }

  #noteDone(uri: vscode.Uri, { path, manifest, durationMs }: Snapshot, trigger: Trigger): void {
    this.#failures.delete(uri.toString());
    const { sizeBytes, verdict, warnings = [] } = manifest;
    const facts = `${sizeBytes} bytes in ${Math.round(durationMs)} ms, ${verdict.status}`;
    this.#log.info(`Backed up ${uri.fsPath} to ${path}: ${facts}.`);
    const result = verdict.status;
    void this.#audit.record({ what: 'backup', path: uri.fsPath, backup: path, trigger, result });
    for (const { message } of [...verdict.findings, ...warnings]) {
      this.#log.warn(`${uri.fsPath}: ${message}`);
    }
  }

  #describe(located: Located): Database {
    const key = located.uri.toString();
    const failure = this.#failures.get(key);
    const snapshots = (
      this.#byDatabase.get(databaseKey(located.folder, located.path)) ?? []
    ).filter((entry) => isOfWorkspace(entry, located.folder));
    const bundle = this.#bundles.get(databaseKey(located.folder, located.path));
    const staleAfterMs = this.#settings.staleAfterMs(located.uri);
    return {
      ...located,
      snapshots,
      bundle,
      job: this.#running.get(key)?.job,
      failure,
      attention:
        failure === undefined
          ? attentionFor(located.file, { snapshots, bundle }, staleAfterMs)
          : 'failed',
    };
  }

  #refreshSoon(): void {
    clearTimeout(this.#sizesTimer);
    this.#sizesTimer = undefined;
    clearTimeout(this.#settleTimer);
    this.#settleTimer = setTimeout(() => {
      this.refresh().catch((error: unknown) =>
        this.#log.error('Looking for databases failed', error),
      );
    }, changesSettleMs);
  }

  async #refreshUntilSettled(): Promise<void> {
    do {
      this.#refreshAgain = false;
      await this.#search();
    } while (this.#refreshAgain);
  }

  async #search(): Promise<void> {
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
    const insideBackups = (uri: vscode.Uri): boolean =>
      leftOut.some((path) => isInside(uri.fsPath, path));
    const candidates = new Map<string, vscode.Uri>();
    for (const folder of folders) {
      for (const uri of await this.#candidatesIn(folder)) {
        if (!insideBackups(uri)) candidates.set(uri.fsPath, uri);
      }
    }
    const { databases, skipped } =
      candidates.size === 0
        ? { databases: [], skipped: [] }
        : await this.#worker.call('inspect', { paths: [...candidates.keys()].sort() });
    for (const { path, code, reason } of skipped) {
      const text = `Not offered: ${path} [${code}]: ${reason}`;
      if (!this.#told.has(text)) this.#log.info(text);
      this.#told.add(text);
    }

    const catalogs = new Map<string, CatalogEntry[]>();
    for (const [key, path] of backupsFolders) catalogs.set(key, await this.#lists.list(path));
    this.#catalogs = catalogs;
    this.#revision = this.entries.map(({ path, stamp }) => `${path}\0${stamp}`).join('\n');
    this.#byDatabase = new Map(
      [...catalogs].flatMap(([key, entries]) =>
        [...Map.groupBy(entries, ({ database }) => database)].map(
          ([path, some]): [string, CatalogEntry[]] => [`${key}\0${path ?? ''}`, some],
        ),
      ),
    );
    this.#bundles = newestBundles(folders, catalogs);
    this.#located = databases.map((file) => locate(file));
    this.#gone = this.#findGone();
    this.#watch(folders, new Set(backupsFolders.values()));
    this.#changed.fire();
  }

  async #candidatesIn(folder: vscode.WorkspaceFolder): Promise<vscode.Uri[]> {
    const exclude = this.#settings.exclude(folder);
    const excluded =
      exclude.length === 0
        ? undefined
        : new vscode.RelativePattern(folder, `{${exclude.join(',')}}`);
    const found = await Promise.all(
      this.#settings
        .include(folder)
        .map((pattern) =>
          vscode.workspace.findFiles(new vscode.RelativePattern(folder, pattern), excluded),
        ),
    );
    return found.flat();
  }

  /** Watches what the last search was about. Watchers that fit already stay: one that is made anew misses events. */
  #watch(folders: readonly vscode.WorkspaceFolder[], backupsFolders: ReadonlySet<string>): void {
    const patterns = !this.#settings.autoRefresh()
      ? []
      : [
          ...folders.flatMap((folder) =>
            [...this.#settings.include(folder), '.env'].map(
              (pattern) => new vscode.RelativePattern(folder, pattern),
            ),
          ),
          ...[...backupsFolders].map(
            (path) => new vscode.RelativePattern(vscode.Uri.file(path), '*'),
          ),
        ];
    const watched = JSON.stringify(
      patterns.map(({ baseUri, pattern }) => [baseUri.toString(), pattern]),
    );
    if (watched === this.#watched) return;
    this.#watched = watched;
    this.#watchers.clear();
    for (const pattern of patterns) this.#watchPattern(pattern);
  }

  #watchPattern(pattern: vscode.RelativePattern): void {
    const watcher = this.#watchers.add(vscode.workspace.createFileSystemWatcher(pattern));
    const refreshSoon = (): void => this.#refreshSoon();
    this.#watchers.add(watcher.onDidCreate(refreshSoon));
    this.#watchers.add(watcher.onDidDelete(refreshSoon));
    this.#watchers.add(watcher.onDidChange((uri) => this.#noteChange(uri)));
  }

  /** A database that is written changes all the time, and only its size is news. Anything else may be a new one. */
  #noteChange(uri: vscode.Uri): void {
    if (this.find(uri) === undefined) this.#refreshSoon();
    else this.#sizesTimer ??= setTimeout(() => this.#refreshSoon(), sizesRefreshMs);
  }
}

function newestBundles(
  folders: readonly vscode.WorkspaceFolder[],
  catalogs: ReadonlyMap<string, CatalogEntry[]>,
): Map<string, CatalogEntry> {
  const newest = new Map<string, CatalogEntry>();
  const byName = Map.groupBy(folders, ({ uri }) => basename(uri.fsPath));
  for (const [key, entries] of catalogs) {
    const own = folders.find((folder) => folderKey(folder) === key);
    for (const entry of entries) {
      if (entry.verified === 'damaged') continue;
      for (const { path, workspace } of entry.bundle?.databases ?? []) {
        // A bundle may hold databases of several folders, and is in the backups folder of one of them.
        const named = workspace === undefined ? [own] : (byName.get(workspace) ?? []);
        const folder = named.includes(own) ? own : named.length === 1 ? named[0] : undefined;
        if (path === undefined || folder === undefined) continue;
        const database = databaseKey(folder, path);
        const known = newest.get(database);
        if (known === undefined || known.createdAt < entry.createdAt) newest.set(database, entry);
      }
    }
  }
  return newest;
}

function attentionFor(
  { modifiedAt }: FoundDatabase,
  backups: Pick<Database, 'snapshots' | 'bundle'>,
  staleAfterMs: number | undefined,
): Attention | undefined {
  const newestAt = newestGood(backups)?.createdAt ?? '';
  const [newest] = backups.snapshots;
  if (newest?.verified === 'damaged' && newest.createdAt > newestAt) return 'damaged';
  if (staleAfterMs === undefined) return undefined;
  if (newestAt === '') return 'never';
  const isOld = Date.now() - Date.parse(newestAt) > staleAfterMs;
  // What was not written since is as good as backed up just now.
  return isOld && modifiedAt > newestAt ? 'stale' : undefined;
}

function locate(file: FoundDatabase): Located {
  const uri = vscode.Uri.file(file.path);
  return { uri, file, folder: vscode.workspace.getWorkspaceFolder(uri), path: recordAs(uri).path };
}

/** How manifests name a file: relative to its workspace folder. */
export function recordAs(uri: vscode.Uri): { path: string; workspace?: string } {
  const folder = vscode.workspace.getWorkspaceFolder(uri);
  if (folder === undefined) return { path: basename(uri.fsPath) };
  return {
    path: vscode.workspace.asRelativePath(uri, false),
    workspace: basename(folder.uri.fsPath),
  };
}

/** Two workspaces may share one backups folder, so the name of the workspace folder counts where it is known. */
function isOfWorkspace(
  { workspace }: { workspace?: string },
  folder: vscode.WorkspaceFolder | undefined,
): boolean {
  return (
    workspace === undefined || folder === undefined || workspace === basename(folder.uri.fsPath)
  );
}

function databaseKey(folder: vscode.WorkspaceFolder | undefined, path: string): string {
  return `${folderKey(folder)}\0${path}`;
}

function folderKey(folder: vscode.WorkspaceFolder | undefined): string {
  return folder?.uri.toString() ?? '';
}
