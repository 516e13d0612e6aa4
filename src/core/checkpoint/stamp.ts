/*
 * Whether a database has changed since a checkpoint, told without SQLite: in a process that has no connection to the
 * database, because closing a descriptor of it drops this process's locks. Sources: https://sqlite.org/fileformat2.html
 * (the file change counter at 24), https://sqlite.org/walformat.html (the salts of a WAL at 16, the index in the `-shm`).
 */
import { randomUUID } from 'node:crypto';
import { type BigIntStats, statSync } from 'node:fs';
import { readPiece } from '../files/pieces.ts';

export interface Stamp {
  /** The same for the same state of the database. */
  text: string;
  /**
   * False when a later write may leave the same text: the times are so young that a coarse clock may not tick between two
   * writes, and no `-shm` tells of commits.
   */
  isSettled: boolean;
}

export interface StampOptions {
  /** ms since 1970. */
  now?: () => number;
  stat?: (path: string) => BigIntStats | undefined;
}

/** Some file systems, and older kernels, count in steps of up to two seconds. */
const coarsestTimeMs = 2000n;

/** The stamp of a database, also of one that does not exist. One that cannot be looked at equals no other. */
export function readStamp(path: string, options: StampOptions = {}): Stamp {
  try {
    return stampOf(path, options);
  } catch {
    return { text: `? ${randomUUID()}`, isSettled: false };
  }
}

function stampOf(path: string, { now = Date.now, stat = statIfThere }: StampOptions): Stamp {
  const file = stat(path);
  const wal = stat(`${path}-wal`);
  const journal = stat(`${path}-journal`);
  const index = bytesOf(`${path}-shm`, 0, 48);
  const parts = [
    file === undefined ? '-' : [file.dev, file.ino, timesOf(file), bytesOf(path, 24, 4)].join(),
    // An empty WAL is as good as none: a reader leaves one.
    wal === undefined || wal.size === 0n
      ? '-'
      : [timesOf(wal), bytesOf(`${path}-wal`, 16, 8)].join(),
    index === undefined || wal === undefined ? '-' : index,
    journal === undefined || journal.size === 0n ? '-' : 'journal',
  ];
  const newest = [file, wal].reduce(
    (time, one) => (one === undefined ? time : bigMax(time, bigMax(one.mtimeMs, one.ctimeMs))),
    0n,
  );
  const isOld = newest + coarsestTimeMs <= BigInt(Math.floor(now()));
  const hasIndex = index !== undefined && wal !== undefined;
  // A file that appears a moment later may be copied under the stamp of none.
  return { text: parts.join(' '), isSettled: file !== undefined && (isOld || hasIndex) };
}

function timesOf({ size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs].join();
}

function bigMax(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function statIfThere(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

/** In hexadecimal digits. */
function bytesOf(path: string, from: number, length: number): string | undefined {
  return readPiece(path, from, length)?.toString('hex');
}
