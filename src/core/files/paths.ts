/** What a path leads to, looked at without opening anything. */
import { existsSync, lstatSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { BackupError, explain } from '../errors.ts';

/** Folders full of what others keep in order. */
export const neverEntered: ReadonlySet<string> = new Set(['node_modules', '.git']);

/** What `stat` says, undefined for a name that leads nowhere, however long it is. */
export function statIfAny(path: string): Stats | undefined {
  return unlessTooLong(() => statSync(path, { throwIfNoEntry: false }));
}

/** What `lstat` says, undefined for a name that does not exist, however long it is. */
export function lstatIfAny(path: string): Stats | undefined {
  return unlessTooLong(() => lstatSync(path, { throwIfNoEntry: false }));
}

function unlessTooLong(look: () => Stats | undefined): Stats | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}

/** The real path of a file that may be missing: then of its folder, as far as that is there. Never throws for a missing one. */
export function realPathOf(file: string): string {
  const path = resolve(file);
  if (existsSync(path)) return realpathSync(path);
  const folder = dirname(path);
  return existsSync(folder) ? join(realpathSync(folder), basename(path)) : path;
}

/** What identifies a file under all its names. */
export function fileIdentity(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

/**
 * The real path of an existing regular file, following symbolic links. Never blocks: a FIFO or a device is refused by
 * its kind, without being opened.
 */
export function resolveRegularFile(path: string): string {
  if (path === '' || path.includes('\0')) {
    throw new BackupError('bad-name', `${JSON.stringify(path)} is not a path.`, { path });
  }
  const wanted = resolve(path);
  try {
    const real = realpathSync(wanted);
    const kind = lstatSync(real);
    if (kind.isFile()) return real;
    const word = kind.isDirectory() ? 'a folder' : kind.isFIFO() ? 'a pipe' : 'a special file';
    throw new BackupError('not-a-database', `${wanted} is ${word}, not a database file.`, {
      path: wanted,
      hint: 'Name the database file itself. If the database was there, rename the folder first.',
      facts: { reason: 'not-a-file' },
    });
  } catch (error) {
    throw explain(error, 'source', wanted);
  }
}

/** The file name without its folder and extension, as people call a database. */
export function stemOf(path: string): string {
  return parse(path).name;
}
