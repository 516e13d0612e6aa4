/** The one owner of what is known of checkpoints, and the way to take them. Views and status bar listen. */
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import type { Checkpoints as Taken } from '../../core/checkpoint/checkpoint.ts';
import type { Moment } from '../../core/checkpoint/commands.ts';
import type { RowChange } from '../../core/checkpoint/rows.ts';
import { type Turn, turnsIn } from '../../core/checkpoint/turns.ts';
import { fromPlainError, isBackupError, toPlainError } from '../../core/errors.ts';
import type { Cause, Trigger } from '../../core/manifest/manifest.ts';
import type { WorkerClient } from '../../worker/client.ts';
import type { ResidentClient } from '../../worker/residentClient.ts';
import type { Audit } from '../audit.ts';
import type { Backups } from '../backups.ts';
import { Disposables } from '../disposables.ts';
import { recordAs } from '../located.ts';
import type { CheckpointsRow } from '../rows.ts';
import type { Log } from '../log.ts';
import type { Settings } from '../settings.ts';
import { takingFor } from './taking.ts';

export interface CheckpointParts {
  audit: Audit;
  backups: Backups;
  log: Log;
  resident: ResidentClient;
  settings: Settings;
  toolVersion: string;
  worker: WorkerClient;
}

const settleMs = 500;

export class Checkpoints implements vscode.Disposable {
  readonly #parts: CheckpointParts;
  readonly #owned = new Disposables();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<void>());
  /** Fires when a list has changed. */
  readonly onDidChange = this.#changed.event;
  readonly #taken = this.#owned.add(new vscode.EventEmitter<Taken>());
  /** Fires for what was taken in this window. */
  readonly onDidTake = this.#taken.event;
  #entries: readonly CatalogEntry[] = [];
  /** By the two checkpoints that a turn lies between; null where they could not be counted. */
  readonly #changes = new Map<string, RowChange[] | null | 'asked'>();
  /** By path of a database that is there. */
  #ids: Readonly<Record<string, readonly string[]>> = {};
  #folder = '';
  #watched = '';
  readonly #watch = this.#owned.add(new Disposables());
  #timer: NodeJS.Timeout | undefined;
  #asked = '';

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
    const { backups } = parts;
    this.#owned.add(
      backups.onDidChange(() => {
        const paths = backups.databases.map(({ uri }) => uri.fsPath).join('\0');
        if (!backups.isReady || paths === this.#asked) return;
        this.#asked = paths;
        this.#refreshSoon();
      }),
    );
    this.#owned.add(parts.settings.onDidChange(() => this.#refreshSoon()));
  }

  /** All of this user, newest first, those of other workspaces included. */
  get all(): readonly CatalogEntry[] {
    return this.#entries;
  }

  /** Those of one database, newest first. */
  of(uri: vscode.Uri): CatalogEntry[] {
    const ids = new Set(this.#ids[uri.fsPath]);
    return this.#entries.filter(({ group }) => group !== undefined && ids.has(group));
  }

  /** What agents have changed in one database, newest first. */
  turnsOf(uri: vscode.Uri): Turn[] {
    return turnsIn(this.of(uri));
  }

  /** Of the row of a turn. Undefined until it is known: then a change is told. */
  changesOf({ uri, session, turn }: CheckpointsRow): RowChange[] | null | undefined {
    if (turn === undefined) return undefined;
    const found = this.turnsOf(uri).find((one) => one.session === session && one.turn === turn);
    return found === undefined ? null : this.changesIn(found);
  }

  changesIn({ before, last }: Turn): RowChange[] | null | undefined {
    if (before === undefined || before === last) return null;
    const key = `${before}\0${last}`;
    const known = this.#changes.get(key);
    if (known === undefined) {
      this.#changes.set(key, 'asked');
      void this.#count(before, last).then((changes) => {
        this.#changes.set(key, changes);
        this.#changed.fire();
      });
    }
    return known === 'asked' ? undefined : known;
  }

  async #count(checkpoint: string, database: string): Promise<RowChange[] | null> {
    try {
      const params = { checkpoint, database, busyTimeoutMs: 1000 };
      return await this.#parts.resident.call('changesAfter', params);
    } catch (error) {
      this.#parts.log.error('What a turn has changed could not be counted', error);
      return null;
    }
  }

  /** The newest one of any database of this workspace. */
  get last(): CatalogEntry | undefined {
    const ids = new Set(Object.values(this.#ids).flat());
    return this.#entries.find(({ group }) => group !== undefined && ids.has(group));
  }

  /** One cut of those that have changed. Never rejects for what can go wrong with a checkpoint: that is in `failures`. */
  async take(
    uris: readonly vscode.Uri[],
    cause: Cause,
    {
      trigger,
      force = false,
      began,
    }: { trigger: Trigger; force?: boolean; began?: Moment | undefined },
  ): Promise<Taken> {
    const { settings, toolVersion, resident } = this.#parts;
    const databases = uris.map((uri) => ({ database: uri.fsPath, recordAs: recordAs(uri) }));
    const request = {
      ...takingFor(settings, toolVersion),
      ...{ databases, cause, trigger, force, began },
    };
    let taken: Taken;
    try {
      taken = await resident.call('checkpoint', request);
    } catch (error) {
      if (!isBackupError(error)) throw error;
      const failures = databases.map(({ database }) => ({ database, error: toPlainError(error) }));
      taken = { checkpoints: [], unchanged: [], failures };
    }
    this.#note(taken, cause, trigger);
    await this.refresh();
    this.#taken.fire(taken);
    return taken;
  }

  #note({ checkpoints, failures }: Taken, { kind, text }: Cause, trigger: Trigger): void {
    const { audit, log } = this.#parts;
    const why = text === undefined ? kind : `${kind}: ${text}`;
    for (const { database, path, id } of checkpoints) {
      log.info(`Checkpoint ${id} of ${database} (${why}).`);
      const entry = { what: 'backup', path: database, backup: path, trigger } as const;
      void audit.record({ ...entry, result: 'unchecked' });
    }
    for (const { database, error } of failures) {
      log.error(`A checkpoint of ${database} failed (${why})`, fromPlainError(error));
      void audit.record({ what: 'backup', path: database, trigger, result: error.code });
    }
  }

  /** Looks again. A failure is told in the log, and what was known stays. */
  async refresh(): Promise<void> {
    const { backups, log, settings, worker } = this.#parts;
    const { folder } = settings.protection();
    const databases = [...backups.databases, ...backups.others].map(({ uri }) => uri.fsPath);
    const params = { ...(folder !== undefined && { checkpoints: folder }), databases };
    try {
      const found = await worker.call('catalogCheckpoints', params);
      this.#entries = found.entries;
      this.#ids = found.ids;
      this.#folder = found.folder;
      this.#follow();
      this.#changed.fire();
    } catch (error) {
      log.error('The checkpoints could not be listed', error);
    }
  }

  get folder(): string {
    return this.#folder;
  }

  /** The command line, agents and other windows take some, too. */
  #follow(): void {
    if (this.#folder === this.#watched) return;
    this.#watched = this.#folder;
    this.#watch.clear();
    const pattern = new vscode.RelativePattern(vscode.Uri.file(this.#folder), '*.json');
    const watcher = this.#watch.add(vscode.workspace.createFileSystemWatcher(pattern));
    const soon = (): void => this.#refreshSoon();
    for (const event of [watcher.onDidCreate, watcher.onDidChange, watcher.onDidDelete])
      this.#watch.add(event(soon));
  }

  #refreshSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), settleMs);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#owned.dispose();
  }
}
