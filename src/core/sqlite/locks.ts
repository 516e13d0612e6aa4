/** Looking at, and briefly taking, the locks of a live database. */
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs';
import { explain } from '../errors.ts';
import { explained, openLive } from './driver.ts';
import { requireDatabase } from './header.ts';
import { hasBothSiblings, whyByHand } from './opening.ts';
import { pin } from './pin.ts';
import { siblingsOf } from './siblings.ts';

/** Sees whether others commit to a database, without holding anything of it between two looks. */
export interface Watcher {
  /** Changes whenever another connection has committed. Throws `source-busy` when it cannot look. */
  version(): number;
  close(): void;
}

export function watch(path: string): Watcher {
  return explained(path, () => {
    const db = openLive(path, { readonly: true, timeout: 0 });
    return {
      version: () => explained(path, () => Number(db.pragma('data_version', { simple: true }))),
      close: () => db.close(),
    };
  });
}

/**
 * Holds the write lock of a database for a moment, without writing. Release it while a pin on the same database is
 * open: then it is not the last connection, and closing it checkpoints nothing.
 */
export function holdWriteLock(
  path: string,
  timeoutMs: number,
  kind: 'IMMEDIATE' | 'EXCLUSIVE' = 'IMMEDIATE',
): { release: () => void } {
  return explained(path, () => {
    // On a file that may only be read, BEGIN IMMEDIATE says nothing and locks nothing.
    accessSync(path, constants.W_OK);
    const db = openLive(path, { timeout: timeoutMs });
    try {
      db.pragma('trusted_schema = off');
      db.exec(`BEGIN ${kind}`);
    } catch (error) {
      db.close();
      throw error;
    }
    return {
      release: () => {
        db.exec('ROLLBACK');
        db.close();
      },
    };
  });
}

/**
 * True when another program is in the middle of a transaction on the database. Takes and drops a lock for a moment, writes
 * nothing and never checkpoints. An idle connection in rollback mode holds no lock at all, and on a shared file system the
 * locks of the other side are not seen.
 */
export function probeLock(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    const { journalMode } = requireDatabase(path);
    // A program that has a WAL database open has a -shm, and nothing must appear beside one that none has open.
    if (journalMode === 'wal' && !hasBothSiblings(path)) return false;
    if (whyByHand(path, journalMode) !== undefined) return false;
    if (hasJournal(path)) return isWritingBehindJournal(path);
    const held = journalMode === 'wal' ? pin(path, 0) : undefined;
    try {
      holdWriteLock(path, 0, journalMode === 'wal' ? 'IMMEDIATE' : 'EXCLUSIVE').release();
    } finally {
      held?.release();
    }
    return false;
  } catch (error) {
    // What cannot be opened for another reason is not held by a program that a lock would tell of.
    return explain(error, 'source', path).code === 'source-busy';
  }
}

/**
 * A journal that begins with a zero belongs to no transaction: `journal_mode = persist` leaves it after each, `truncate`
 * leaves an empty one. No program locks the journal itself, so opening it here drops no lock.
 */
function hasJournal(path: string): boolean {
  const journal = `${path}-journal`;
  if (!siblingsOf(path).has('-journal')) return false;
  const first = Buffer.alloc(1);
  const handle = openSync(journal, 'r');
  try {
    return readSync(handle, first) === 1 && first[0] !== 0;
  } finally {
    closeSync(handle);
  }
}

/**
 * To a reader, the journal of a dead program has to be rolled back first; behind that of a living one, which has its lock,
 * the database can be read, or is busy. A connection for writing would roll back what the dead program left.
 */
function isWritingBehindJournal(path: string): boolean {
  try {
    pin(path, 0).release();
    return hasJournal(path);
  } catch (error) {
    if (explain(error, 'source', path).code === 'hot-journal') return false;
    throw error;
  }
}
