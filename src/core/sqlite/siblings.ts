/** `-wal`, `-shm` and `-journal`: the files that SQLite keeps beside a database. */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { BackupError } from '../errors.ts';
import { lstatIfAny, statIfAny } from '../files/paths.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';

/** Sizes of the siblings that exist beside `path`. */
export function siblingsOf(
  path: string,
): Map<(typeof siblingSuffixes)[number], { sizeBytes: number }> {
  const found = new Map<(typeof siblingSuffixes)[number], { sizeBytes: number }>();
  for (const suffix of siblingSuffixes) {
    const stats = statIfAny(path + suffix);
    if (stats?.isFile()) found.set(suffix, { sizeBytes: stats.size });
  }
  return found;
}

/**
 * Refuses a database beside which a pipe, a device, a folder or a link to nothing has the name of a sibling: SQLite, or a
 * copy, would wait for it for ever, or write where it leads. Looks without opening anything.
 */
export function requirePlainSiblings(path: string): void {
  for (const suffix of siblingSuffixes) {
    const sibling = path + suffix;
    // One look for a plain file: SQLite deletes its journal at any moment, also between two looks.
    const own = lstatIfAny(sibling);
    if (own === undefined || own.isFile()) continue;
    if (own.isSymbolicLink() && statIfAny(sibling)?.isFile() === true) continue;
    throw new BackupError(
      'not-a-database',
      `${sibling} is not a regular file, so ${basename(path)} is not opened.`,
      {
        path: sibling,
        hint: `Remove it if it does not belong there: SQLite keeps its own ${suffix} file under that name.`,
        facts: { reason: 'not-a-file' },
      },
    );
  }
}

/**
 * The database that a file of this name belongs to, if it is a sibling: the name alone does not tell, see `isSibling`.
 * Undefined for all other names.
 */
export function ownerOf(path: string): string | undefined {
  const suffix = siblingSuffixes.find((one) => path.endsWith(one));
  if (suffix === undefined || basename(path) === suffix) return undefined;
  return path.slice(0, -suffix.length);
}

/**
 * A word that changes whenever the database is written, replaced, made or removed. Opening it to read changes nothing of
 * it: an empty `-wal` and the `-shm` do not count.
 */
export function liveStateOf(path: string): string {
  return ['', '-wal', '-journal']
    .map((suffix) => statSync(path + suffix, { bigint: true, throwIfNoEntry: false }))
    .map((stats, index) =>
      stats === undefined || (index > 0 && stats.size === 0n)
        ? '-'
        : [stats.dev, stats.ino, stats.size, stats.mtimeNs].join('.'),
    )
    .join(' ');
}
