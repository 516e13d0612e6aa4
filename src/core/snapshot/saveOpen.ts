/** Saving what a program still has open of a database whose files have lost their names: when it ends, they are gone. */
import { BackupError } from '../errors.ts';
import { realPathOf } from '../files/paths.ts';
import { findHolders } from '../holders/holders.ts';
import { findLost, type LostFiles } from '../holders/lost.ts';
import type { RecordAs, SnapshotHooks } from '../job.ts';
import { type SnapshotOptions, type Snapshots, takeSnapshots } from './snapshot.ts';

export interface SaveOpenRequest extends Omit<SnapshotOptions, 'method'> {
  /** The path that the database has, or had. */
  database: string;
  recordAs: RecordAs;
}

/** The programs that have files of a database open that lost their names. Opens nothing. */
export function lostFilesOf(database: string): LostFiles[] {
  return findLost(realPathOf(database));
}

/**
 * Takes a snapshot of each state that a program has open of `database` and that is not in the files beside its name, read
 * under guard from the program itself. Throws `source-missing` when there is none, with what can be known.
 */
export async function saveOpen(
  { database, recordAs, ...options }: SaveOpenRequest,
  hooks: SnapshotHooks,
): Promise<Snapshots> {
  const path = realPathOf(database);
  const found = findLost(path);
  if (found.length === 0) throw nothingLost(path);
  const databases = found.map((lost) => ({ database: path, recordAs, lost }));
  return takeSnapshots({ ...options, method: 'exact', databases }, hooks);
}

function nothingLost(path: string): BackupError {
  const { known } = findHolders([path]);
  const why =
    process.platform !== 'linux'
      ? 'Only Linux lets other programs read such files.'
      : known === 'all'
        ? ''
        : 'Programs of other users cannot be seen: try again as root.';
  return new BackupError(
    'source-missing',
    `No program holds deleted or replaced files of ${path} open, so there is nothing to save. ${why}`.trim(),
    { path, hint: 'If the database itself exists, back it up as usual.' },
  );
}
