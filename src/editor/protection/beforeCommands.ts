/**
 * A checkpoint when a terminal or a task begins a command that changes databases. VS Code tells of a command and does not wait:
 * the databases are held at once and copied then, and the checkpoint says whether it is proved to be older than the command.
 */
import * as vscode from 'vscode';
import { CommandTurns, matchesCommand, momentOfNow } from '../../core/checkpoint/commands.ts';
import { fromPlainError } from '../../core/errors.ts';
import type { Backups } from '../backups.ts';
import { Disposables } from '../disposables.ts';
import { errorMessage } from '../errorMessages.ts';
import { inertLine, notice } from '../inert.ts';
import type { Log } from '../log.ts';
import { databaseName } from '../messages.ts';
import type { Settings } from '../settings.ts';
import { isLineOfTask } from './linesOfTasks.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Protection } from './protection.ts';

export interface BeforeCommandsParts {
  backups: Backups;
  checkpoints: Checkpoints;
  log: Log;
  protection: Protection;
  settings: Settings;
}

/** A label, and a line of the log. */
const longestText = 120;
/** Between two notifications of failures. */
const quietMs = 600_000;

export class BeforeCommands implements vscode.Disposable {
  readonly #parts: BeforeCommandsParts;
  readonly #owned = new Disposables();
  readonly #turns = new CommandTurns();
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(parts: BeforeCommandsParts) {
    this.#parts = parts;
    this.#owned.add(
      vscode.window.onDidStartTerminalShellExecution(({ execution: { commandLine } }) => {
        if (!isLineOfTask(commandLine.value)) this.#onBegin('terminal', commandLine.value);
      }),
    );
    this.#owned.add(
      vscode.tasks.onDidStartTask(({ execution }) =>
        this.#onBegin('task', lineOf(execution.task.execution)),
      ),
    );
  }

  #onBegin(kind: 'terminal' | 'task', whole: string): void {
    const { log, protection, settings } = this.#parts;
    const began = momentOfNow();
    const line = whole.trim();
    if (line === '' || !vscode.workspace.isTrusted || protection.pausedUntil !== undefined) return;
    if (!matchesCommand(line, settings.protection().beforeCommands)) return;
    const text = line.length > longestText ? `${line.slice(0, longestText)}…` : line;
    const turn = this.#turns.begin(line, began.steadyMs);
    if (turn === 'busy')
      log.info(`No checkpoint before ${text}: the one before another command is not finished.`);
    if (turn === 'often')
      log.info(
        `No checkpoint before ${text}: too many commands match sqliteBackup.before.commands.`,
      );
    if (turn !== 'go') return;
    this.#take({ kind, text: text.replace(/\s+/g, ' ') }, began)
      .catch((error: unknown) => log.error(`The checkpoint before ${text} failed`, error))
      .finally(() => this.#turns.ended());
  }

  async #take(cause: { kind: string; text: string }, began: ReturnType<typeof momentOfNow>) {
    const { backups, checkpoints } = this.#parts;
    if (!backups.isReady) await backups.refresh();
    const uris = backups.databases.map(({ uri }) => uri);
    if (uris.length === 0) return;
    const { failures } = await checkpoints.take(uris, cause, { trigger: 'task', began });
    const [first] = failures;
    // The log has all of them.
    if (first === undefined || performance.now() - this.#toldAt < quietMs) return;
    this.#toldAt = performance.now();
    const { t } = vscode.l10n;
    const database = databaseName(vscode.Uri.file(first.database));
    void notice.warn(
      t(
        'There is no checkpoint of {0} before "{1}". {2}',
        ...[database, inertLine(cause.text), errorMessage(fromPlainError(first.error), database)],
      ),
    );
  }

  dispose(): void {
    this.#owned.dispose();
  }
}

/** Empty for what runs no command. */
function lineOf(execution: vscode.Task['execution']): string {
  if (execution instanceof vscode.ProcessExecution)
    return [execution.process, ...execution.args].map(quoted).join(' ');
  if (!(execution instanceof vscode.ShellExecution)) return '';
  if (execution.commandLine !== undefined) return execution.commandLine;
  const valueOf = (one: string | vscode.ShellQuotedString): string =>
    typeof one === 'string' ? one : quoted(one.value);
  return [execution.command ?? '', ...(execution.args ?? [])].map(valueOf).join(' ');
}

function quoted(word: string): string {
  return /[\s;&|]/.test(word) ? `"${word.replaceAll('"', '')}"` : word;
}
