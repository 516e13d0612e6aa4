/** Looking at, and briefly taking, the locks of a live database. */
import { accessSync, constants } from 'node:fs';
import { explain } from '../errors.ts';
import { explained, open } from './driver.ts';
import { requireDatabase } from './header.ts';
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
    const db = open(path, { readonly: true, fileMustExist: true, timeout: 0 });
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
    const db = open(path, { fileMustExist: true, timeout: timeoutMs });
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
 * True when another program is in the middle of a transaction on the database, whoever runs it. Takes and drops a lock
 * for a moment, writes nothing and never checkpoints. An idle connection in rollback mode holds no lock at all.
 */
export function probeLock(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    const { journalMode } = requireDatabase(path);
    const siblings = siblingsOf(path);
    // Opening it for writing would roll a hot journal back.
    if ((siblings.get('-journal')?.sizeBytes ?? 0) > 0) return false;
    // Whoever has a WAL database open has a -shm, and nothing must appear beside one that nobody has.
    if (journalMode === 'wal' && !siblings.has('-shm')) return false;
    const held = journalMode === 'wal' ? pin(path, 0) : undefined;
    try {
      holdWriteLock(path, 0, journalMode === 'wal' ? 'IMMEDIATE' : 'EXCLUSIVE').release();
    } finally {
      held?.release();
    }
    return false;
  } catch (error) {
    // What cannot be opened for other reasons is held by nobody that a lock would tell of.
    return explain(error, 'source', path).code === 'source-busy';
  }
}
