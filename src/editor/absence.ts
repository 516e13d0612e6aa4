/** Why a database that has backups is not among the databases of the workspace. */
import { stat } from 'node:fs/promises';

/** `unknown`: what is there cannot be looked at now. */
export type Absence = 'deleted' | 'excluded' | 'no-database' | 'unknown';

/** `isSkipped`: the file was found, and its content is not that of a database. One `stat`, which opens nothing. */
export async function absenceOf(path: string, isSkipped: boolean): Promise<Absence> {
  try {
    const isFile = (await stat(path)).isFile();
    return isSkipped || !isFile ? 'no-database' : 'excluded';
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'deleted' : 'unknown';
  }
}
