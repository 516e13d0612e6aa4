/** The jobs of this window: backups and bundles on their way, and the last failure of each database. */
import * as vscode from 'vscode';
import { BackupError, fromPlainError, isBackupError, type PlainError } from '../core/errors.ts';
import { lossText, ownLosses } from '../core/manifest/loss.ts';
import type { CutLabel, Method, Trigger } from '../core/manifest/manifest.ts';
import type { Snapshot, SnapshotsRequest } from '../core/snapshot/snapshot.ts';
import type { WorkerClient } from '../worker/client.ts';
import type { Audit } from './audit.ts';
import type { BundleOrder, BundleResult } from './bundleOrder.ts';
import { recordAs } from './located.ts';
import type { Log } from './log.ts';
import { retainAfterBackup, type Retained } from './retention.ts';
import { type Job, RunningJobs } from './runningJobs.ts';
import type { Settings } from './settings.ts';

export const defaultBusyTimeoutMs = 5000;

/** The last attempt, when it failed; `at` in ms since 1970. */
export interface LastFailure {
  error: BackupError;
  at: number;
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
  /** What retention did afterwards; undefined when it did not run. */
  retained: Retained | undefined;
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

export class BackupJobs {
  readonly #worker: WorkerClient;
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #audit: Audit;
  readonly #toolVersion: string;
  readonly #jobs: RunningJobs;
  readonly #failures = new Map<string, LastFailure>();

  constructor(
    parts: {
      worker: WorkerClient;
      settings: Settings;
      log: Log;
      audit: Audit;
      toolVersion: string;
    },
    onChange: () => void,
  ) {
    this.#worker = parts.worker;
    this.#settings = parts.settings;
    this.#log = parts.log;
    this.#audit = parts.audit;
    this.#toolVersion = parts.toolVersion;
    this.#jobs = new RunningJobs(onChange);
  }

  get isRunning(): boolean {
    return this.#jobs.isRunning;
  }

  /** The job that works on a database now. */
  of(uri: vscode.Uri): Job | undefined {
    return this.#jobs.of(uri.toString());
  }

  failureOf(uri: vscode.Uri): LastFailure | undefined {
    return this.#failures.get(uri.toString());
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
    const result: BackUpResult = { done: [], failed: [], cut: undefined, retained: undefined };
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
    result.retained = await retainAfterBackup(
      { worker: this.#worker, settings: this.#settings, log: this.#log, audit: this.#audit },
      result.done.map(({ uri, snapshot }) => ({
        uri,
        folder: folders.get(uri.toString()) ?? '',
        group: snapshot.manifest.source.id,
      })),
      trigger,
    );
    return result;
  }

  /** Stops the job of one database, or all of them. A job that is already publishing still ends well. */
  cancel(uri?: vscode.Uri): void {
    this.#jobs.cancel(uri);
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
      ...{
        allowIncomplete: order.allowIncomplete,
        busyTimeoutMs: defaultBusyTimeoutMs,
        toolVersion: this.#toolVersion,
      },
      verify: this.#settings.verifyAfterBackup(uri),
      largestBytes: this.#settings.largestBytes(uri),
      compression: this.#settings.compression(uri),
    };
    const deadlineMs = this.#settings.deadlineMs(uri);
    const { bundle, failures } = await this.#jobs.run(keys, (options) =>
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
    return {
      bundle,
      failures: failures.map(({ path, error }) => ({ path, error: fromPlainError(error) })),
    };
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
      const answer = await this.#jobs.run(keys, (options) =>
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
      busyTimeoutMs: defaultBusyTimeoutMs,
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
    const cut = done.length > 1 ? answer.cut?.label : undefined;
    return { done, failed, cut, retained: undefined };
  }

  #noteDone(uri: vscode.Uri, { path, manifest, durationMs }: Snapshot, trigger: Trigger): void {
    this.#failures.delete(uri.toString());
    const { sizeBytes, verdict, warnings = [] } = manifest;
    const facts = `${sizeBytes} bytes in ${Math.round(durationMs)} ms, ${verdict.status}`;
    this.#log.info(`Backed up ${uri.fsPath} to ${path}: ${facts}.`);
    const result = verdict.status;
    void this.#audit.record({ what: 'backup', path: uri.fsPath, backup: path, trigger, result });
    const remarks = [...verdict.findings, ...warnings].map(({ message }) => message);
    for (const remark of [...ownLosses(manifest).map((loss) => lossText(loss)), ...remarks])
      this.#log.warn(`${uri.fsPath}: ${remark}`);
  }
}
