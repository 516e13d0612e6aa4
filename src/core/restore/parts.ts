/** The files that a database consists of: what they are, whether two of them are the same, and how they get second names. */
import { existsSync, linkSync, lstatSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { copyWhole } from '../files/copying.ts';
import { sha256File } from '../files/digests.ts';
import { fileIdentity } from '../files/paths.ts';
import { createPrivateFile, lacksHardLinks, linkWithoutOverwriting } from '../files/publish.ts';
import { setAsideNames } from '../manifest/names.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';

/** The file itself, then its siblings. */
export const parts = ['', ...siblingSuffixes] as const;
export type Part = (typeof parts)[number];

/** One file as it was at some time. */
export interface FileState {
  part: Part;
  /** Device and inode. */
  identity: string;
  sizeBytes: number;
  /** Nanoseconds, which JSON has no number for. */
  mtimeNs: string;
  sha256?: string;
}

/** The files of a database as they are now; empty when there is none. */
export function statesOf(path: string): FileState[] {
  return parts.flatMap((part) => {
    const stats = lstatSync(path + part, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return [];
    if (!stats.isFile()) throw notAFile(path + part);
    const { dev, ino, size, mtimeNs } = stats;
    const identity = `${dev}:${ino}`;
    return [{ part, identity, sizeBytes: Number(size), mtimeNs: String(mtimeNs) }];
  });
}

function notAFile(path: string): BackupError {
  return new BackupError('access', `${path} is not a regular file, so nothing is moved.`, {
    path,
    hint: 'Check what it is: SQLite uses this name for one of its files.',
  });
}

export function mainOf(files: readonly FileState[]): FileState | undefined {
  return files.find(({ part }) => part === '');
}

/** Transactions may be in it: without it the database is another one. The -shm never has any. */
export function hasContent({ part, sizeBytes }: Pick<FileState, 'part' | 'sizeBytes'>): boolean {
  return (part === '-wal' || part === '-journal') && sizeBytes > 0;
}

/** True when the file is there, with the size and the time that it had. */
export function isUnchanged(path: string, was: FileState): boolean {
  const now = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return (
    now !== undefined && Number(now.size) === was.sizeBytes && String(now.mtimeNs) === was.mtimeNs
  );
}

/** True when both names lead to the same bytes: one file, or two that are equal. */
export function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => lstatSync(path, { throwIfNoEntry: false }));
  if (a === undefined || b === undefined || !a.isFile() || !b.isFile()) return false;
  if (fileIdentity(one) === fileIdentity(other)) return true;
  return a.size === b.size && sha256File(one) === sha256File(other);
}

/** True when both databases have the same files with the same bytes. The -shm holds nothing, so it does not count. */
export function areSame(one: string, other: string): boolean {
  return parts.every((part) => {
    if (part === '-shm') return true;
    const [a, b] = [sizeOf(one + part), sizeOf(other + part)];
    // What a look at the database leaves is an empty -wal.
    return part === '' || a > 0 || b > 0 ? isSame(one + part, other + part) : true;
  });
}

/** 0 for a file that is not there. */
export function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The first name for a set-aside of which all parts are free. */
export function freeSetAside(folder: string, name: string, at: Date): string {
  for (const candidate of setAsideNames(name, at)) {
    const taken = parts.some(
      (part) => lstatSync(join(folder, candidate + part), { throwIfNoEntry: false }) !== undefined,
    );
    if (!taken) return candidate;
  }
  throw new BackupError('name-taken', `${folder} has no free name left for the previous ${name}.`, {
    path: folder,
  });
}

/** Gives a file a second name that is free; a synced copy where there are no hard links. */
export function linkOrCopy(from: string, to: string, stage: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!lacksHardLinks(error)) throw error;
    const copy = join(stage, `copy-${process.pid}`);
    rmSync(copy, { force: true });
    copyWhole(from, copy);
    linkWithoutOverwriting(copy, to);
    rmSync(copy, { force: true });
  }
}

/** True where a file can have two names. Makes and removes files in the private folder `stage`. */
export function hasHardLinks(stage: string): boolean {
  const [one, two] = [join(stage, 'probe-1'), join(stage, 'probe-2')];
  const remove = (): void => {
    for (const path of [one, two]) rmSync(path, { force: true });
  };
  remove();
  try {
    createPrivateFile(one);
    linkSync(one, two);
    return true;
  } catch (error) {
    if (lacksHardLinks(error)) return false;
    throw explain(error, 'target', stage);
  } finally {
    remove();
  }
}

/**
 * An empty file where a file of content belongs: where there are no hard links, a name is taken with an empty file, and a
 * restore that is killed right then leaves it.
 */
export function isEmptyClaim(path: string, was: Pick<FileState, 'sizeBytes'>): boolean {
  return was.sizeBytes > 0 && existsSync(path) && statSync(path).size === 0;
}
