import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { isBackupError } from '../core/errors.ts';
import type { Documents } from './documents.ts';

/** So many lines are kept for a window that cannot show its log channel. */
const mostKept = 2000;
const { Info, Warning, Error: ErrorLevel } = vscode.LogLevel;
const nameOfChannel = 'SQLite Backup';

/**
 * The log channel for people. Home folders are shortened, so that a log can be shared. Some servers write no files for
 * log channels, and show them empty: there the lines open as a document.
 */
export class Log implements vscode.Disposable {
  readonly #channel = vscode.window.createOutputChannel(nameOfChannel, { log: true });
  readonly #file: string;
  readonly #documents: Pick<Documents, 'show'>;
  readonly #lines: string[] = [];

  /** `folder` is where VS Code writes the logs of the extension. */
  constructor(folder: string, documents: Pick<Documents, 'show'>) {
    this.#file = join(folder, `${nameOfChannel}.log`);
    this.#documents = documents;
  }

  info(text: string): void {
    this.#channel.info(this.#keep(Info, 'info', text));
  }

  warn(text: string): void {
    this.#channel.warn(this.#keep(Warning, 'warning', text));
  }

  /** Writes what failed, with the technical cause that notifications leave out. */
  error(text: string, error: unknown): void {
    const code = isBackupError(error) ? ` [${error.code}]` : '';
    this.#channel.error(this.#keep(ErrorLevel, 'error', `${text}${code}: ${describeCause(error)}`));
  }

  show(): void {
    if (this.#lines.length === 0 || this.#isWritten()) this.#channel.show(true);
    else void this.#documents.show(`${nameOfChannel}.log`, `${this.#lines.join('\n')}\n`);
  }

  #isWritten(): boolean {
    return (statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0) > 0;
  }

  #keep(level: vscode.LogLevel, word: string, text: string): string {
    const shown = shortenHome(text);
    const { logLevel } = this.#channel;
    if (logLevel !== vscode.LogLevel.Off && logLevel <= level) {
      this.#lines.push(`${new Date().toISOString()} [${word}] ${shown}`);
      if (this.#lines.length > mostKept) this.#lines.shift();
    }
    return shown;
  }

  dispose(): void {
    this.#channel.dispose();
  }
}

function describeCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!isBackupError(error)) return error.stack ?? error.message;
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

/** `/home/me/app.db` becomes `~/app.db`. */
export function shortenHome(text: string, home: string = homedir()): string {
  return home.length > 1 ? text.replaceAll(home, '~') : text;
}
