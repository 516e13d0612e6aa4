/** `-wal`, `-shm` and `-journal`: the files that SQLite keeps beside a database. */
import { statSync } from 'node:fs';
import { statIfAny } from '../files/paths.ts';

/** What SQLite keeps beside a database. */
export const siblingSuffixes = ['-wal', '-shm', '-journal'] as const;

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

/** True for the names that SQLite gives to the siblings of a database: never databases of their own. */
export function isSiblingName(name: string): boolean {
  return siblingSuffixes.some((suffix) => name.endsWith(suffix));
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
