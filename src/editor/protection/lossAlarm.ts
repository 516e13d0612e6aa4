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
import type { CheckpointParts, Checkpoints } from './checkpoints.ts';
import type { Protection } from './protection.ts';
import { isLineOfTask } from './linesOfTasks.ts';
import { stateOf } from './liveState.ts';
import { type DataLoss, lossesWords, lossWords, nameOf } from './lossWords.ts';
import { lookMs, Watched } from './watched.ts';

interface Known extends Omit<Counted, 'columns'> {
  /** Missing in what an older version has remembered. */
  columns?: Counted['columns'];
  /** ISO 8601. */
  at: string;
}

interface Told {
  loss: DataLoss;
  backup: CatalogEntry | undefined;
}

interface Parts extends Omit<CheckpointParts, 'toolVersion' | 'audit'> {
  checkpoints: Checkpoints;
  protection: Protection;
  memory: vscode.Memento;
}

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
  /** What takes one database away often takes several: they are told together. */
  #toTell: Told[] = [];
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
    const waiting = this.#toTell.length;
    try {
      await this.#look();
    } catch (error) {
      this.#parts.log.error('Looking for lost rows failed', error);
    } finally {
      this.#isLooking = false;
    }
    // As long as each look finds more, not all is known.
    if (this.#toTell.length > waiting) return;
    this.#ask(this.#toTell.splice(0)).catch((error: unknown) =>
      this.#parts.log.error('The answer to a loss failed', error),
    );
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
      ...{ backup: backup?.path, ran, since: before.at },
    };
    this.#parts.log.warn(lossWords(loss));
    this.#lost.fire(loss);
    const now = Date.now();
    if (now - (this.#toldAt.get(path) ?? -Infinity) < quietAfterAlarmMs) return;
    this.#toldAt.set(path, now);
    this.#toTell.push({ loss, backup });
  }

  async #ask(all: readonly Told[]): Promise<void> {
    const [first, ...others] = all;
    if (first === undefined) return;
    const answers = answersTo(first);
    if (others.length === 0) return this.#do(await alarm(lossWords(first.loss), ...answers), first);
    const { t } = vscode.l10n;
    const [review, fine] = [t('Review…'), t('Not a Loss')];
    const answer = await alarm(lossesWords(all.map(({ loss }) => loss)), review, fine);
    if (answer === fine) for (const one of all) await this.#do(fine, one);
    if (answer !== review) return;
    const done = await this.#review(all);
    // A database stays told until it is answered: also when the list is left.
    await this.#ask(all.filter((one) => one !== done));
  }

  /** Resolves with the one that was answered. */
  async #review(all: readonly Told[]): Promise<Told | undefined> {
    const { t } = vscode.l10n;
    const items = all.map((told) => ({
      label: inertLine(nameOf(told.loss)),
      detail: inertLine(lossWords(told.loss)),
      told,
    }));
    const picked = await vscode.window.showQuickPick(items, {
      title: t('Databases That Lost Data'),
      placeHolder: t('Choose a database to compare or to restore'),
    });
    if (picked === undefined) return undefined;
    const answer = await vscode.window.showQuickPick(answersTo(picked.told), {
      title: picked.label,
      placeHolder: picked.detail,
    });
    if (answer === undefined) return undefined;
    await this.#do(answer, picked.told);
    return picked.told;
  }

  async #do(answer: string | undefined, { loss, backup }: Told): Promise<void> {
    const { t } = vscode.l10n;
    const uri = vscode.Uri.file(loss.database);
    const row = backup && { kind: 'snapshot', entry: backup, uri };
    if (answer === t('What Changed'))
      await vscode.commands.executeCommand(commands.compareWithLive, row);
    if (answer === t('Restore…')) await vscode.commands.executeCommand(commands.restore, row);
    if (answer !== t('Not a Loss')) return;
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
        const params = {
          database: entry.path,
          busyTimeoutMs: defaultBusyTimeoutMs,
        };
        const counted = await resident.call('countRows', params);
        if ([...findLosses(before, counted), ...findLostColumns(before, counted)].length > 0)
          continue;
        if (entry.kept?.pinned !== true)
          await worker.call('remark', {
            path: entry.path,
            remark: { pinned: true },
          });
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

function answersTo({ loss, backup }: Told): string[] {
  const { t } = vscode.l10n;
  const compare = loss.isGone ? [] : [t('What Changed')];
  return [...(backup === undefined ? [] : [...compare, t('Restore…')]), t('Not a Loss')];
}
