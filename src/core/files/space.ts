/** Free space on a file system. */
import { statfsSync } from 'node:fs';
import { BackupError } from '../errors.ts';
import { formatBytes } from '../units.ts';

/** Bytes that this user can still write on the file system of `path`. */
export function freeBytes(path: string): number {
  const { bavail, blocks, bsize } = statfsSync(path);
  // Some network and user-space file systems do not know: then the writing itself has to tell.
  return blocks === 0 ? Infinity : bavail * bsize;
}

/** The space that a copy needs on the file system of `folder`, or the error that says what is missing. */
export function requireSpace(folder: string, neededBytes: number): void {
  const availableBytes = freeBytes(folder);
  if (availableBytes < neededBytes) throw notEnough(folder, neededBytes, availableBytes);
}

/** The same said of `folder`, which people know, where `error` is about a private folder in it. */
export function aboutSpaceIn(folder: string, error: BackupError): BackupError {
  const { neededBytes, availableBytes } = error.facts ?? {};
  return notEnough(folder, Number(neededBytes), Number(availableBytes));
}

function notEnough(folder: string, neededBytes: number, availableBytes: number): BackupError {
  return new BackupError(
    'target-full',
    `Not enough space in ${folder}: ${formatBytes(neededBytes)} needed, ${formatBytes(availableBytes)} free.`,
    {
      path: folder,
      hint: 'Free some space or choose another folder.',
      facts: { neededBytes, availableBytes },
    },
  );
}
