/** Room for several copies: the smallest come first, so that one that is too large keeps out no other. */
import { rmSync } from 'node:fs';
import { BackupError } from '../errors.ts';
import { requireSpace } from '../files/space.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';

/** In a new list. Those of one size stay in their order. */
export function smallestFirst<T>(all: readonly T[], bytesOf: (one: T) => number): T[] {
  return all.toSorted((a, b) => bytesOf(a) - bytesOf(b));
}

/** Those that `folder` has no room for beside the smaller ones, each with the error that says so. */
export function withoutRoom<T>(
  folder: string,
  all: readonly T[],
  bytesOf: (one: T) => number,
): Map<T, BackupError> {
  const refused = new Map<T, BackupError>();
  let needed = 0;
  for (const one of smallestFirst(all, bytesOf)) {
    try {
      requireSpace(folder, needed + bytesOf(one));
      needed += bytesOf(one);
    } catch (error) {
      if (!isFull(error)) throw error;
      refused.set(one, error);
    }
  }
  return refused;
}

export function isFull(error: unknown): error is BackupError {
  return error instanceof BackupError && error.code === 'target-full';
}

/** The same error, which says of which of several databases it is. */
export function fullFor(database: string, error: BackupError): BackupError {
  return new BackupError('target-full', `${database} was not copied. ${error.message}`, {
    ...(error.path !== undefined && { path: error.path }),
    ...(error.hint !== undefined && { hint: error.hint }),
    facts: { ...error.facts, database },
    cause: error,
  });
}

/** Makes room for the others. */
export function removeUnfinished(copy: string): void {
  for (const suffix of ['', ...siblingSuffixes]) rmSync(copy + suffix, { force: true });
}
