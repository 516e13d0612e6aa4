/** Why a database that has backups is not among the databases of the workspace. */
import { stat } from 'node:fs/promises';
import picomatch from 'picomatch';

/** `unlisted`: it is there, and no setting leaves it out. `unknown`: what is there cannot be looked at now. */
export type Absence = 'deleted' | 'excluded' | 'no-database' | 'unlisted' | 'unknown';

export interface Search {
  /** Why the file was passed over, when it was found. */
  skippedFor?: string | undefined;
  /** A setting leaves the file out. */
  isExcluded: boolean;
}

const noDatabase: ReadonlySet<string> = new Set(['not-a-database', 'encrypted-or-not-sqlite']);

/** One `stat`, which opens nothing, and what the search says. A file that could not be read has not been seen. */
export async function absenceOf(
  path: string,
  { skippedFor, isExcluded }: Search,
): Promise<Absence> {
  try {
    if (!(await stat(path)).isFile()) return 'no-database';
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'deleted' : 'unknown';
  }
  if (skippedFor !== undefined) return noDatabase.has(skippedFor) ? 'no-database' : 'unknown';
  return isExcluded ? 'excluded' : 'unlisted';
}

/** Whether globs leave out a file of a workspace folder, or a folder that it is in. `path` has slashes. */
export function isLeftOut(
  path: string,
  { include, exclude }: { include: readonly string[]; exclude: readonly string[] },
): boolean {
  const matches = (one: string, globs: readonly string[]): boolean =>
    picomatch.isMatch(one, [...globs], { dot: true });
  const parts = path.split('/');
  const above = parts.map((_part, index) => parts.slice(0, index + 1).join('/'));
  return !matches(path, include) || above.some((one) => matches(one, exclude));
}
