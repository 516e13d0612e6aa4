import { homedir } from 'node:os';
import * as vscode from 'vscode';
import { isBackupError } from '../core/errors.ts';

/** The log channel for people. Home folders are shortened, so that a log can be shared. */
export class Log implements vscode.Disposable {
  readonly #channel = vscode.window.createOutputChannel('SQLite Backup', { log: true });

  info(text: string): void {
    this.#channel.info(shortenHome(text));
  }

  warn(text: string): void {
    this.#channel.warn(shortenHome(text));
  }

  /** Writes what failed, with the technical cause that notifications leave out. */
  error(text: string, error: unknown): void {
    const code = isBackupError(error) ? ` [${error.code}]` : '';
    this.#channel.error(shortenHome(`${text}${code}: ${describeCause(error)}`));
  }

  show(): void {
    this.#channel.show(true);
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
