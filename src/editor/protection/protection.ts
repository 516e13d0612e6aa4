/** What takes checkpoints by itself: a schedule, and the start of a debugger. One switch pauses all of it until a time. */
import { createHash } from 'node:crypto';
import * as vscode from 'vscode';
import type { Checkpoints as Taken } from '../../core/checkpoint/checkpoint.ts';
import { fromPlainError } from '../../core/errors.ts';
import type { Backups } from '../backups.ts';
import { setContext } from '../contexts.ts';
import { Disposables } from '../disposables.ts';
import { errorMessage } from '../errorMessages.ts';
import { contextKeys } from '../ids.ts';
import { notice, notify } from '../inert.ts';
import type { Log } from '../log.ts';
import { databaseName } from '../messages.ts';
import type { Settings } from '../settings.ts';
import type { Checkpoints } from './checkpoints.ts';
import { parseSchedule, takesTurn } from './schedule.ts';

export interface ProtectionParts {
  backups: Backups;
  checkpoints: Checkpoints;
  log: Log;
  /** Of all windows. */
  memory: vscode.Memento;
  settings: Settings;
  /** Where windows agree whose turn it is. */
  turns: string;
}

const pausedUntilKey = 'protectionPausedUntil';
/** A timer stands still while the machine sleeps, so the clock is looked at again and again. */
const lookMs = 20_000;

export class Protection implements vscode.Disposable {
  readonly #parts: ProtectionParts;
  readonly #owned = new Disposables();
  readonly #changed = this.#owned.add(new vscode.EventEmitter<void>());
  readonly onDidChange = this.#changed.event;
  #wasPaused = false;
  #toldSchedule = '';

  constructor(parts: ProtectionParts) {
    this.#parts = parts;
    const timer = setInterval(() => this.look(), lookMs);
    this.#owned.add({ dispose: () => clearInterval(timer) });
    this.#owned.add(parts.settings.onDidChange(() => this.look()));
    this.#owned.add(
      vscode.debug.registerDebugConfigurationProvider('*', {
        resolveDebugConfigurationWithSubstitutedVariables: async (_folder, configuration) =>
          (await this.#mayDebug(configuration)) ? configuration : undefined,
      }),
    );
  }

  /** ISO 8601, as long as automatic checkpoints are paused. */
  get pausedUntil(): string | undefined {
    const until = this.#parts.memory.get<number>(pausedUntilKey) ?? 0;
    return until > Date.now() ? new Date(until).toISOString() : undefined;
  }

  async pause(until: Date): Promise<void> {
    await this.#parts.memory.update(pausedUntilKey, until.getTime());
    this.#tell();
  }

  async resume(): Promise<void> {
    await this.#parts.memory.update(pausedUntilKey, undefined);
    this.#tell();
    this.look();
  }

  /** Takes what the schedule says is due. */
  look(): void {
    this.#tell();
    const { backups, log, settings, turns } = this.#parts;
    const text = settings.protection().schedule;
    if (text === '' || this.pausedUntil !== undefined || backups.databases.length === 0) return;
    const schedule = parseSchedule(text);
    if (schedule === undefined) return this.#tellBadSchedule(text);
    const uris = backups.databases.map(({ uri }) => uri);
    const name = createHash('sha256')
      .update(`${text}\0${uris.join('\0')}`)
      .digest('hex');
    try {
      if (!takesTurn(turns, name.slice(0, 16), schedule, Date.now())) return;
    } catch (error) {
      log.error('Which window follows the schedule could not be settled, so this one does', error);
    }
    const cause = { kind: 'schedule', text };
    this.#parts.checkpoints
      .take(uris, cause, { trigger: 'schedule' })
      .catch((error: unknown) => log.error('The scheduled checkpoint failed', error));
  }

  /** Once for each text: it is told again only when it is another one. */
  #tellBadSchedule(text: string): void {
    if (text === this.#toldSchedule) return;
    this.#toldSchedule = text;
    const message = vscode.l10n.t(
      'The setting sqliteBackup.schedule cannot be read: "{0}". Write "every 15m", "daily 02:00" or a cron pattern. No checkpoints are scheduled.',
      text,
    );
    this.#parts.log.warn(message);
    void notice.warn(message);
  }

  /** Holds the launch back when there is no checkpoint and the person does not want it without. */
  async #mayDebug({ name, type }: vscode.DebugConfiguration): Promise<boolean> {
    const { backups, checkpoints, settings } = this.#parts;
    if (!settings.protection().beforeDebug || this.pausedUntil !== undefined) return true;
    if (!backups.isReady) await backups.refresh();
    const uris = backups.databases.map(({ uri }) => uri);
    if (uris.length === 0) return true;
    const cause = { kind: 'debug', text: name || type };
    const taken = await checkpoints.take(uris, cause, { trigger: 'task' });
    return taken.failures.length === 0 || (await agreesWithout(taken));
  }

  #tell(): void {
    const isPaused = this.pausedUntil !== undefined;
    if (isPaused || isPaused !== this.#wasPaused) this.#changed.fire();
    this.#wasPaused = isPaused;
    setContext(contextKeys.paused, isPaused);
  }

  dispose(): void {
    this.#owned.dispose();
  }
}

async function agreesWithout({ failures }: Taken): Promise<boolean> {
  const { t } = vscode.l10n;
  const yes = t('Start Without');
  const reasons = failures.map(({ database, error }) =>
    errorMessage(fromPlainError(error), databaseName(vscode.Uri.file(database))),
  );
  const question = t('There is no checkpoint. Start the debugger anyway?');
  return (await notify.confirm(question, reasons.join('\n'), yes)) === yes;
}
