/** One JSON line for each thing that was done to backups, in the extension's log folder. No SQL, no rows, no home folders. */
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ErrorCode } from '../core/errors.ts';
import type { Trigger } from '../core/manifest/manifest.ts';
import { type Log, shortenHome } from './log.ts';

export interface AuditEntry {
  what: 'backup' | 'deletion' | 'prune' | 'restore' | 'undo' | 'clean-up';
  /** The database or the backup that it was done to. */
  path: string;
  /** The backup that came of it. */
  backup?: string;
  trigger: Trigger;
  /** `ok`, a verdict, or the code of the error. */
  result: 'ok' | 'partial' | 'unchecked' | 'damaged' | ErrorCode;
}

export class Audit {
  readonly #folder: string;
  readonly #log: Log;
  #writing: Promise<void> = Promise.resolve();

  /** `folder` is made when the first entry is written. */
  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  get path(): string {
    return join(this.#folder, 'audit.jsonl');
  }

  /** Appends an entry, after all earlier ones. Resolves when it is written; a failure is told in the log. */
  record(entry: AuditEntry): Promise<void> {
    const line = `${shortenHome(JSON.stringify({ at: new Date().toISOString(), ...entry }))}\n`;
    this.#writing = this.#writing
      .then(() => mkdir(this.#folder, { recursive: true }))
      .then(() => appendFile(this.path, line))
      .catch((error: unknown) => this.#log.error('The audit log could not be written', error));
    return this.#writing;
  }
}
