import { closeSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { basename } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import type { Facts, Finding } from '../manifest/manifest.ts';
import type { ByHand, LostNames } from '../sqlite/opening.ts';
import { formatBytes } from '../units.ts';
import { isReplaced, type Source, type WalState, walStateOf } from './source.ts';

const largestQuietWalBytes = 256 * 1024 * 1024;
const smallestNotedWalBytes = 4 * 1024 * 1024;

const lostFilesCode = 'lost-files';
const hiddenWalCode = 'hidden-wal';

/** True for a warning that rows may be missing. A backup with one is never simply "verified". */
export function isOfMissingRows({ code }: Finding): boolean {
  return code === lostFilesCode || code === hiddenWalCode;
}

/** So long after a commit its program may be about to commit again. */
const writtenForMs = 1000;
/** Each look asks the file system, and small steps are many. */
const lookEveryMs = 10;

/**
 * Notices what holding a database still does to the programs that write to it, and whether they respect it. Opens only the
 * `-wal`, which no program locks, and never the database.
 */
export class PinWatch {
  readonly #source: Source;
  readonly #walBytesBefore: number;
  readonly #quietWalBytes: number;
  readonly #since = Date.now();
  #walBytes = 0;
  #wal: WalState;
  #lookedAt = -Infinity;
  #writtenAt = -Infinity;
  #hasWaitingWriter = false;
  readonly #byHand: ByHand | undefined;
  readonly #held: { database: string; wal: string };

  /** To be made while the database is held. `byHand` says why a private copy of it is held instead. */
  constructor(
    source: Source,
    { facts, byHand }: { facts: Facts | undefined; byHand: ByHand | undefined },
  ) {
    this.#source = source;
    this.#byHand = byHand;
    this.#held = { database: databaseState(source), wal: walSalts(source) };
    this.#wal = walStateOf(source.path);
    this.#walBytesBefore = this.#wal.sizeBytes;
    // A WAL that has changed since the first look was written by another program: connections of this process leave no frames.
    const hasChanged = this.#wal.sizeBytes > 0 && differs(source.wal ?? this.#wal, this.#wal);
    if (source.journalMode === 'wal' && hasChanged) this.#writtenAt = performance.now();
    const twice = 2 * (facts === undefined ? source.sizeBytes : facts.pageCount * facts.pageSize);
    this.#quietWalBytes = Math.min(largestQuietWalBytes, Math.max(twice, smallestNotedWalBytes));
  }

  /** Whether a program has written to the WAL just now, as far as the last looks have seen. Never in rollback mode. */
  get isWritten(): boolean {
    return performance.now() - this.#writtenAt < writtenForMs;
  }

  /** What cannot be seen now is of no weight: `findings` looks again, and says why it cannot. */
  look(): void {
    const now = performance.now();
    if (now - this.#lookedAt < lookEveryMs) return;
    this.#lookedAt = now;
    try {
      this.#look();
    } catch {
      // The copy of another database must not fail because of this one.
    }
  }

  #look(): void {
    if (this.#source.journalMode === 'wal') {
      const wal = walStateOf(this.#source.path);
      this.#walBytes = Math.max(this.#walBytes, wal.sizeBytes);
      if (differs(wal, this.#wal)) this.#writtenAt = performance.now();
      this.#wal = wal;
      return;
    }
    const journal = statSync(`${this.#source.path}-journal`, { throwIfNoEntry: false });
    if (journal !== undefined && journal.mtimeMs >= this.#since) this.#hasWaitingWriter = true;
  }

  /**
   * Fails the copy when the database was written to although it is held: then its program does not see the lock, and the
   * copy may be a mixture. To be called before the hold ends.
   */
  requireHeld(): void {
    if (this.#byHand !== undefined || canBeLate) return;
    if (databaseState(this.#source) === this.#held.database || isReplaced(this.#source)) return;
    // In WAL mode a checkpoint may write what is held already, but then the WAL cannot begin anew; and while the WAL was
    // empty, nothing of the database may be written.
    const isObeyed =
      this.#source.journalMode === 'wal' &&
      this.#held.wal !== '' &&
      walSalts(this.#source) === this.#held.wal;
    if (isObeyed) return;
    const { path } = this.#source;
    throw new BackupError(
      'incomplete',
      `${path} was written to while it was locked for the backup: its program does not see the lock.`,
      {
        path,
        hint: 'Back it up on the machine or in the container where its program runs, or stop the program first.',
        facts: { reason: 'lock-ignored' },
      },
    );
  }

  findings(): Finding[] {
    try {
      this.#look();
    } catch (error) {
      throw explain(error, 'source', this.#source.path);
    }
    const grownBytes = this.#walBytes - this.#walBytesBefore;
    const findings: Finding[] = [];
    if (this.#byHand?.reason === 'lost-names') {
      findings.push(lostFinding(this.#source.path, this.#byHand));
      return findings;
    }
    if (this.#source.isWalHidden) {
      const name = basename(this.#source.path);
      findings.push({
        code: hiddenWalCode,
        message: `${name} is mounted as a single file, so a ${name}-wal beside the original cannot be seen here. If a program on the other side of the mount uses the database, this backup may lack its newest transactions. Mount the folder instead, or run the backup where the program runs.`,
      });
    }
    if (this.#byHand?.reason === 'other-side') {
      findings.push({
        code: 'copied-by-hand',
        message: `The database lies on a shared file system (${this.#byHand.fileSystem}), and no program on this side had it open. It was copied file by file, and nothing changed meanwhile.`,
      });
    }
    if (grownBytes > this.#quietWalBytes) {
      findings.push({
        code: 'wal-grew',
        message: `The WAL grew by ${formatBytes(grownBytes)} during the backup, because it cannot be reset while it is read.`,
      });
    }
    if (this.#hasWaitingWriter) {
      findings.push({
        code: 'rollback-writer',
        message:
          'The database was written to during the backup. In rollback mode its writers wait meanwhile; WAL mode avoids that.',
      });
    }
    if (this.#source.links > 1) {
      findings.push({
        code: 'hard-linked',
        message: `The database file has ${this.#source.links} names (hard links). Only the -wal beside this one was read.`,
      });
    }
    if (isReplaced(this.#source)) {
      findings.push({
        code: 'source-replaced',
        message:
          'The database file was replaced during the backup. The backup holds the previous file.',
      });
    }
    return findings;
  }
}

const mostCompactings = 3;

/**
 * Runs what holds the database, and fails when that was written to meanwhile. SQLite takes the lock a moment after the
 * watch begins and ends it a moment before, and a program may write in between: only one that does not see the lock is
 * met again and again.
 */
export function requireHeldDuring(run: () => void, copy: string, newWatch: () => PinWatch): void {
  for (let left = mostCompactings - 1; ; left--) {
    const watch = newWatch();
    run();
    try {
      watch.requireHeld();
      return;
    } catch (error) {
      if (left === 0) throw error;
      truncateSync(copy);
    }
  }
}

/** What the person must know above all, so it names the program and what to do. */
function lostFinding(
  path: string,
  { lost: { lost, pid, program }, isComplete }: LostNames,
): Finding {
  const names = lost.map((suffix) => basename(path) + suffix).join(', ');
  const who = `${program} (pid ${pid})`;
  return {
    code: lostFilesCode,
    message: isComplete
      ? `${names}: deleted or replaced while ${who} has it open. This backup was read from that program and has all its transactions; the files in the folder do not. Stop the program, then restore this backup if data is missing.`
      : `${names}: deleted or replaced while ${who} has it open, and other programs have begun a new one. This backup does NOT have the transactions of ${who}. Save them before that program ends: sqlite-backup save-open ${basename(path)} --to DIR`,
  };
}

/** On Windows the time of a file may change only when its writer closes it, long after the writing. */
const canBeLate = process.platform === 'win32';

function databaseState({ path }: Source): string {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? '' : [stats.dev, stats.ino, stats.size, stats.mtimeNs].join();
}

/** The numbers that a WAL gets each time it begins anew; empty while there is no WAL. */
function walSalts({ path }: Source): string {
  const header = Buffer.alloc(24);
  let handle: number;
  try {
    handle = openSync(`${path}-wal`, 'r');
  } catch {
    return '';
  }
  try {
    return readSync(handle, header) < header.length ? '' : header.toString('hex', 16);
  } finally {
    closeSync(handle);
  }
}

function differs(one: WalState, other: WalState): boolean {
  return one.sizeBytes !== other.sizeBytes || one.mtimeMs !== other.mtimeMs;
}
