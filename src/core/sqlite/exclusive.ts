/** Keeping every SQLite program out of a database, in a process that does nothing else and is killed in the end. */
import { accessSync, constants, statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { open } from './driver.ts';
import { siblingsOf } from './siblings.ts';

/** `unlockable`: SQLite cannot lock it, because it is no database or empty, may not be written, or has a journal to roll back. */
export type LockOutcome = 'held' | 'busy' | 'unlockable';

const patienceMs = 500;
/** Also keeps them from being collected as garbage, which would close them. */
const held = new Map<string, Database.Database>();

/**
 * Takes SQLite's exclusive lock on a file for as long as this process lives. Changes nothing in the file and its WAL. End
 * the process with a kill: a connection that is closed moves the WAL into the database and removes whatever bears the
 * name of the WAL by then.
 */
export function lockForLife(path: string): LockOutcome {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    // SQLite would begin to write a first page, and delete a -wal.
    if (statSync(path).size === 0) return 'unlockable';
    // Opening it would roll the journal back.
    if ((siblingsOf(path).get('-journal')?.sizeBytes ?? 0) > 0) return 'unlockable';
    const db = open(path, { fileMustExist: true, timeout: patienceMs });
    held.set(path, db);
    db.pragma('locking_mode = exclusive'); // In WAL mode without a -shm, and against readers as well.
    db.exec('BEGIN EXCLUSIVE');
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    return 'held';
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    return typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code) ? 'busy' : 'unlockable';
  }
}

/** Lets a file go by closing it. Only for one without changes that had its path in a private folder: SQLite removes the -wal beside that path. */
export function unlock(path: string): void {
  held.get(path)?.close();
  held.delete(path);
}
