/** Tells when rows, tables or a whole database are gone, with what ran, and keeps the last good state. */
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { isBackupError } from '../../core/errors.ts';
import { findLosses, findLostColumns, type Loss, lostRows } from '../../core/manifest/loss.ts';
import type { Counted } from '../../core/checkpoint/rows.ts';
import { defaultBusyTimeoutMs } from '../backupJobs.ts';
import { Disposables } from '../disposables.ts';
import { commands } from '../contributed.ts';
import { alarm, inertLine } from '../inert.ts';
import { databaseName } from '../messages.ts';
import { timeOfDay } from '../times.ts';
import type { CheckpointParts, Checkpoints } from './checkpoints.ts';
import type { Protection } from './protection.ts';
import { isLineOfTask } from './linesOfTasks.ts';
import { stateOf } from './liveState.ts';
import { Watched } from './watched.ts';

export interface DataLoss {
  /** The path of the database. */
  database: string;
  /** Empty when the file itself is gone, or is no database any more. */
  losses: Loss[];
  isGone: boolean;
  /** The file is there, and its content is no database. */
  isNoDatabase: boolean;
  /** The last state before, which is pinned. */
  backup: string | undefined;
  /** What ran meanwhile, as far as this window knows. */
  ran: string | undefined;
}

interface Known extends Omit<Counted, 'columns'> {
  /** Missing in what an older version has remembered. */
  columns?: Counted['columns'];
  /** ISO 8601. */
  at: string;
}

interface Parts extends Omit<CheckpointParts, 'toolVersion' | 'audit'> {
  checkpoints: Checkpoints;
  protection: Protection;
  memory: vscode.Memento;
}

const lookMs = 1000;
const largestBytes = 1e9;
/** In rollback mode a reader keeps writers waiting: only what is counted in a moment is counted. */
const largestRollbackBytes = 50e6;
const quietAfterAlarmMs = 10 * 60_000;
/** A file that came and went, as those of tests do, is no loss. */
const matureMs = 10 * 60_000;
/** A database that another program keeps locked is looked at again after this. */
const laterMs = 15_000;
const mostTried = 5;
/** What was counted before, and is something else now. */
const noDatabase: ReadonlySet<string> = new Set(['not-a-database', 'encrypted-or-not-sqlite']);
const knownKey = 'knownRows';
const learnedKey = 'lossesThatAreNone';

export class LossAlarm implements vscode.Disposable {
  readonly #parts: Parts;
  readonly #owned = new Disposables();
  readonly #lost = this.#owned.add(new vscode.EventEmitter<DataLoss>());
  readonly onDidLoseData = this.#lost.event;
  readonly #watched = new Map<string, Watched>();
  readonly #known: Map<string, Known>;
  readonly #firstSeen = new Map<string, number>();
  readonly #toldAt = new Map<string, number>();
  /** The newest command, task or session, with its start. */
  #ran: { text: string; at: number } | undefined;
  #isLooking = false;
  readonly #later = new Set<NodeJS.Timeout>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#known = new Map(Object.entries(parts.memory.get<Record<string, Known>>(knownKey) ?? {}));
    const timer = setInterval(() => void this.#lookSafely(), lookMs);
    this.#owned.add({ dispose: () => clearInterval(timer) });
    const ran = (text: string): void => void (this.#ran = { text, at: Date.now() });
    this.#owned.add(
      vscode.window.onDidStartTerminalShellExecution(({ execution: { commandLine } }) => {
        if (!isLineOfTask(commandLine.value)) ran(commandLine.value);
      }),
    );
    this.#owned.add(vscode.tasks.onDidStartTask(({ execution }) => ran(execution.task.name)));
    this.#owned.add(vscode.debug.onDidStartDebugSession(({ name }) => ran(name)));
  }

  async #lookSafely(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#look();
    } catch (error) {
      this.#parts.log.error('Looking for lost rows failed', error);
    } finally {
      this.#isLooking = false;
    }
  }

  async #look(): Promise<void> {
    const { backups, protection, settings } = this.#parts;
    if (!settings.protection().lossAlarm || protection.pausedUntil !== undefined) return;
    const folders = vscode.workspace.workspaceFolders ?? [];
    const found = new Set(backups.databases.map(({ uri }) => uri.fsPath));
    // One that is gone is in no list any more.
    for (const path of this.#known.keys())
      if (folders.some((folder) => path.startsWith(folder.uri.fsPath))) found.add(path);
    for (const path of found) {
      const watched = this.#watched.get(path) ?? new Watched();
      this.#watched.set(path, watched);
      const at = Date.now();
      if (!this.#firstSeen.has(path)) this.#firstSeen.set(path, at);
      const state = await stateOf(path);
      if (!watched.isDue({ state: state?.text, at })) continue;
      watched.settle(state?.text);
      if (state === undefined) await this.#noteGone(path);
      else if (state.sizeBytes <= this.#largestOf(path)) await this.#count(path);
    }
  }

  #largestOf(path: string): number {
    const file = this.#parts.backups.databaseAt(vscode.Uri.file(path))?.file;
    return file?.journalMode === 'wal' ? largestBytes : largestRollbackBytes;
  }

  async #count(path: string): Promise<void> {
    const { resident, log } = this.#parts;
    const at = new Date().toISOString();
    let counted: Counted;
    try {
      const params = { database: path, busyTimeoutMs: defaultBusyTimeoutMs };
      counted = await resident.call('countRows', params);
    } catch (error) {
      if (!isBackupError(error)) throw error;
      // Who could not look has not seen a loss. What is no database any more is one.
      if (noDatabase.has(error.code) && this.#known.has(path))
        await this.#noteGone(path, { isNoDatabase: true });
      else if (error.code === 'source-busy') this.#tryLater(path);
      else log.info(`The rows of ${path} were not counted: ${error.message}`);
      return;
    }
    const before = this.#known.get(path);
    this.#remember(path, { ...counted, at });
    if (before === undefined) return;
    const learned = new Set(this.#learned());
    const losses = [...findLosses(before, counted), ...findLostColumns(before, counted)]
      .filter(({ table }) => !learned.has(learnedName(path, table, this.#ranSince(before.at))))
      .sort((a, b) => lostRows(b) - lostRows(a));
    if (losses.length > 0) await this.#tell(path, before, losses);
  }

  async #noteGone(path: string, { isNoDatabase = false } = {}): Promise<void> {
    const before = this.#known.get(path);
    if (before === undefined) return;
    this.#remember(path, undefined);
    const isMature = Date.now() - (this.#firstSeen.get(path) ?? Infinity) >= matureMs;
    this.#firstSeen.delete(path);
    const hasCopies = this.#copiesOf(path).length > 0;
    if (isMature || hasCopies) await this.#tell(path, before, [], isNoDatabase);
  }

  #tryLater(path: string): void {
    const timer = setTimeout(() => {
      this.#later.delete(timer);
      this.#watched.get(path)?.settle('');
    }, laterMs);
    this.#later.add(timer);
  }

  #remember(path: string, known: Known | undefined): void {
    if (known === undefined) this.#known.delete(path);
    else this.#known.set(path, known);
    void this.#parts.memory.update(knownKey, Object.fromEntries(this.#known));
  }

  #learned(): string[] {
    return this.#parts.memory.get<string[]>(learnedKey) ?? [];
  }

  #ranSince(iso: string): string | undefined {
    return this.#ran !== undefined && this.#ran.at >= Date.parse(iso) - matureMs
      ? this.#ran.text
      : undefined;
  }

  async #tell(path: string, before: Known, losses: Loss[], isNoDatabase = false): Promise<void> {
    const backup = await this.#keepLastGood(path, before);
    const ran = this.#ranSince(before.at);
    const loss = {
      ...{ database: path, losses, isGone: losses.length === 0, isNoDatabase },
      ...{ backup: backup?.path, ran },
    };
    this.#parts.log.warn(words(loss, before.at));
    this.#lost.fire(loss);
    const now = Date.now();
    if (now - (this.#toldAt.get(path) ?? -Infinity) < quietAfterAlarmMs) return;
    this.#toldAt.set(path, now);
    void this.#ask(loss, before, backup).catch((error: unknown) =>
      this.#parts.log.error('The answer to a loss failed', error),
    );
  }

  async #ask(loss: DataLoss, before: Known, backup: CatalogEntry | undefined): Promise<void> {
    const { t } = vscode.l10n;
    const [changed, restore, fine] = [t('What Changed'), t('Restore…'), t('Not a Loss')];
    const answer = await alarm(
      words(loss, before.at),
      ...(backup === undefined ? [] : [...(loss.isGone ? [] : [changed]), restore]),
      fine,
    );
    const uri = vscode.Uri.file(loss.database);
    const row = backup && { kind: 'snapshot', entry: backup, uri };
    if (answer === changed) await vscode.commands.executeCommand(commands.compareWithLive, row);
    if (answer === restore) await vscode.commands.executeCommand(commands.restore, row);
    if (answer !== fine) return;
    this.#toldAt.delete(loss.database);
    const names = loss.losses.map(({ table }) => learnedName(loss.database, table, loss.ran));
    await this.#parts.memory.update(learnedKey, [...new Set([...this.#learned(), ...names])]);
  }

  #copiesOf(path: string): CatalogEntry[] {
    const { backups, checkpoints } = this.#parts;
    const isIt = ({ kept }: CatalogEntry): boolean => kept?.livePath === path;
    const uri = vscode.Uri.file(path);
    const own = [...checkpoints.of(uri), ...checkpoints.all.filter(isIt)];
    const all = [...own, ...(backups.databaseAt(uri)?.snapshots ?? [])];
    const unique = new Map(all.map((entry) => [entry.path, entry]));
    return [...unique.values()].sort((a, b) => b.createdAt.localeCompare(a.createdAt));
  }

  /** The newest copy with all the rows that were known is pinned: no rule removes it then. */
  async #keepLastGood(path: string, before: Known): Promise<CatalogEntry | undefined> {
    const { checkpoints, log, resident, worker } = this.#parts;
    for (const entry of this.#copiesOf(path).slice(0, mostTried)) {
      try {
        const params = { database: entry.path, busyTimeoutMs: defaultBusyTimeoutMs };
        const counted = await resident.call('countRows', params);
        if ([...findLosses(before, counted), ...findLostColumns(before, counted)].length > 0)
          continue;
        if (entry.kept?.pinned !== true)
          await worker.call('remark', { path: entry.path, remark: { pinned: true } });
        await checkpoints.refresh();
        return entry;
      } catch (error) {
        if (!isBackupError(error)) throw error;
        log.warn(`${entry.path} could not be looked at: ${error.message}`);
      }
    }
    return undefined;
  }

  dispose(): void {
    for (const timer of this.#later) clearTimeout(timer);
    this.#owned.dispose();
  }
}

function learnedName(path: string, table: string, ran: string | undefined): string {
  return JSON.stringify([path, table, ran ?? '']);
}

/** `app.db: orders has 13 rows, 12,000 fewer than at 10:02 (npm test).` */
function words({ database, losses, isGone, isNoDatabase, ran }: DataLoss, since: string): string {
  const { t } = vscode.l10n;
  const name = databaseName(vscode.Uri.file(database));
  const number = (count: number): string =>
    new Intl.NumberFormat(vscode.env.language).format(count);
  const because = ran === undefined ? '' : ` (${inertLine(ran.slice(0, 100))})`;
  const time = timeOfDay(since);
  if (isNoDatabase)
    return t('{0} is not a SQLite database any more, since {1}{2}.', name, time, because);
  if (isGone) return t('{0} has been missing since {1}{2}.', name, time, because);
  const shown = losses.slice(0, 3).map(({ table, before, now, columns }) => {
    if (columns !== undefined) return t('{0}: without {1} now', table, columns.join(', '));
    return now === undefined
      ? t('{0}: the table with {1} rows was deleted or renamed', table, number(before))
      : t('{0}: {1} of {2} rows gone', table, number(before - now), number(before));
  });
  const more = losses.length - shown.length;
  const list = [...shown, ...(more > 0 ? [t('and {0} more tables', more)] : [])].join('; ');
  return losses.every(({ columns }) => columns !== undefined)
    ? t('{0} lost columns since {1}{2}. {3}.', name, time, because, list)
    : t('{0} lost rows since {1}{2}. {3}.', name, time, because, list);
}
