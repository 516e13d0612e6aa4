/** How many names a database file has, for the warnings about hard links. */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isPrivateFolderName } from '../files/workplace.ts';
import { parseSetAsideName } from './names.ts';

/**
 * Does not count the names that a restore gives to a file while it is at work or waits for its next step: no program
 * opens the database under those.
 */
export function namesOf(path: string): number {
  for (let look = 1; ; look++) {
    const { nlink, dev, ino } = statSync(path);
    if (nlink < 2) return nlink;
    const names = namesNow(path, { nlink, dev, ino });
    // A name may go while the folder is listed.
    if (statSync(path).nlink === nlink || look === mostLooks) return names;
  }
}

const mostLooks = 5;

function namesNow(
  path: string,
  { nlink, dev, ino }: { nlink: number; dev: number; ino: number },
): number {
  const isSame = (other: string): boolean => {
    const stats = lstatSync(other, { throwIfNoEntry: false });
    return stats?.ino === ino && stats.dev === dev;
  };
  try {
    return nlink - ownNamesBeside(path).filter(isSame).length;
  } catch {
    return nlink; // The folder cannot be listed, so all names count.
  }
}

function ownNamesBeside(path: string): string[] {
  const [folder, name] = [dirname(path), basename(path)];
  return readdirSync(folder).flatMap((other) => {
    if (parseSetAsideName(other)?.target === name) return [join(folder, other)];
    return isPrivateFolderName(other) ? pathsIn(join(folder, other)) : [];
  });
}

/** None where its process has removed it meanwhile. */
function pathsIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((file) => join(folder, file));
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return [];
    throw error;
  }
}
