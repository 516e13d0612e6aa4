/** A lock that ends with its process: SQLite's own, on an empty file that exists only for it. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  realpathSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { explain } from '../errors.ts';
import { open } from './driver.ts';

/**
 * The locks of this process, with the connections that hold them: a collected connection is closed, and its lock is gone.
 * Closing a second descriptor of such a file would drop the lock as well.
 */
const ownLocks = new Map<string, ReturnType<typeof open>>();
const mostTries = 50;
const everyone = 0o666;

/**
 * Takes the lock, and makes the file. Undefined while it is taken, by another process or by this one. A process that is
 * killed lets go of it, whatever its number is used for next.
 */
export function lockFile(given: string): { release: () => void } | undefined {
  try {
    const path = join(realpathSync(dirname(given)), basename(given));
    if (ownLocks.has(path)) return undefined;
    for (let attempt = 0; attempt < mostTries; attempt++) {
      const taken = tryToLock(path);
      if (taken !== 'replaced') return taken;
    }
    return undefined;
  } catch (error) {
    throw explain(error, 'target', given);
  }
}

function tryToLock(path: string): { release: () => void } | undefined | 'replaced' {
  const handle = openOrCreate(path);
  if (handle === undefined) return 'replaced';
  let db: ReturnType<typeof open> | undefined;
  const close = (): void => {
    db?.close();
    closeSync(handle);
  };
  try {
    db = open(path, { fileMustExist: true, timeout: 0 });
    db.pragma('journal_mode = memory'); // Nothing is written, and nothing appears beside the file.
    db.exec('BEGIN EXCLUSIVE');
    // The process before may have removed the file while this one was opening it.
    const now = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (now === undefined || now.ino !== fstatSync(handle, { bigint: true }).ino) {
      close();
      return 'replaced';
    }
  } catch (error) {
    close();
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'SQLITE_CANTOPEN' && statSync(path, { throwIfNoEntry: false }) === undefined)
      return 'replaced';
    if (typeof code === 'string' && code.startsWith('SQLITE_BUSY')) return undefined;
    throw error;
  }
  ownLocks.set(path, db);
  return {
    release() {
      // While it is locked, so that no process takes a file that is about to go. Windows removes closed files only.
      if (process.platform !== 'win32') removeQuietly(path);
      close();
      if (process.platform === 'win32') removeQuietly(path);
      ownLocks.delete(path);
    },
  };
}

/** Undefined when the file went away between two looks. */
function openOrCreate(path: string): number | undefined {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) {
    try {
      return openSync(path, constants.O_RDWR);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
  try {
    const handle = openSync(path, 'wx+', everyone);
    // Each user who may restore here must be able to take the lock of a killed process of another user.
    if (process.platform !== 'win32') fchmodSync(handle, everyone);
    return handle;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return undefined;
    throw error;
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // An empty file is left, which the next one that takes this lock removes.
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : undefined;
}
