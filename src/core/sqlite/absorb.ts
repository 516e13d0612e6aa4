/** Private copies of databases that came with siblings, made to stand alone. */
import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import { BackupError, explain } from '../errors.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { openLive, openPrivate, sideOf } from './driver.ts';
import { liveStateOf, siblingsOf } from './siblings.ts';

/**
 * Brings what the `-wal` says into the private file `path`, rolls back what the `-journal` says, and removes both.
 * `shown` names the database in messages.
 */
export function absorbSiblings(path: string, shown: string): void {
  refuseSuperJournal(`${path}-journal`, shown);
  try {
    const db = openPrivate(path);
    try {
      // All who ask for it sync the file once, when it is complete.
      db.pragma('synchronous = off');
      db.pragma('journal_mode = delete');
      // A journal is rolled back by the first that looks.
      db.exec('BEGIN IMMEDIATE; ROLLBACK');
    } finally {
      db.close();
    }
  } catch (error) {
    const side = sideOf(error);
    throw explain(error, side, side === 'source' ? shown : path);
  }
  for (const suffix of siblingSuffixes) rmSync(path + suffix, { force: true });
}

/**
 * Does with a live database what the next program that opens it does: brings its `-wal` into it, or rolls its `-journal`
 * back. The journal mode stays. `requireSame` is called when no other program can write any more. Returns what
 * `liveStateOf` says before another one can.
 */
export function absorbInPlace(path: string, requireSame: () => void): string {
  refuseSuperJournal(`${path}-journal`, path);
  const hasJournal = (siblingsOf(path).get('-journal')?.sizeBytes ?? 0) > 0;
  try {
    const db = openLive(path, { timeout: 0 });
    try {
      // Until it is closed: between two statements, too.
      db.pragma('locking_mode = exclusive');
      // The first that takes the lock rolls the journal back, and what is there is another state then.
      if (hasJournal) requireSame();
      db.exec('BEGIN IMMEDIATE; ROLLBACK');
      if (!hasJournal) requireSame();
      db.pragma('wal_checkpoint(TRUNCATE)');
      return liveStateOf(path);
    } finally {
      db.close();
    }
  } catch (error) {
    throw explain(error, 'source', path);
  }
}

const journalMagic = 'd9d505f920a163d7';

/**
 * A journal of a transaction over several databases ends in the path of another file, and whether that file is there
 * decides whether the transaction counts. Where a backup is read that says nothing; and older versions of SQLite delete
 * the file after the roll-back, wherever it is.
 */
function refuseSuperJournal(journal: string, shown: string): void {
  if (endOf(journal, journalMagic.length / 2) !== journalMagic) return;
  throw new BackupError(
    'hot-journal',
    `${shown} was interrupted in a transaction over several databases. The file that says whether it was committed is missing.`,
    {
      path: shown,
      hint: 'Open it with its program where it was written, then back up again.',
    },
  );
}

/** The last bytes of a file in hexadecimal digits, empty when there is none. */
function endOf(path: string, length: number): string {
  let handle: number;
  try {
    handle = openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return '';
    throw explain(error, 'source', path);
  }
  try {
    const end = Buffer.alloc(length);
    const from = Math.max(0, fstatSync(handle).size - length);
    return end.toString('hex', 0, readSync(handle, end, 0, length, from));
  } finally {
    closeSync(handle);
  }
}
