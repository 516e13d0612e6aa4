/** The states of a database that checkpoints have, by name. */
import { existsSync } from 'node:fs';
import { type CheckpointRequest, takeCheckpoints } from '../checkpoint/checkpoint.ts';
import { readStamp } from '../checkpoint/stamp.ts';
import { type StoredCheckpoint, storedIn, thoseOfDatabase } from '../checkpoint/store.ts';
import { BackupError, fromPlainError } from '../errors.ts';
import type { RecordAs, SnapshotHooks } from '../job.ts';
import { editManifest } from '../manifest/manifestFile.ts';
import type { Manifest } from '../manifest/manifest.ts';

/** How checkpoints are taken; of which databases is said apart. */
export type Taking = Omit<CheckpointRequest, 'databases' | 'force'>;

/** The usable checkpoints of a database, newest first. */
export function keptOf(folder: string, database: string): StoredCheckpoint[] {
  return thoseOfDatabase(storedIn(folder), database).filter(({ isUsable }) => isUsable);
}

/** The checkpoint that has the state that lies there, told without SQLite. */
export function keeperOf(
  kept: readonly StoredCheckpoint[],
  database: string,
): StoredCheckpoint | undefined {
  const { text } = readStamp(database);
  return kept.find(({ manifest }) => manifest.stamp === text);
}

export interface StateOfBranch {
  state: StoredCheckpoint;
  /** The stamp of its file when its content was hashed. */
  copy: string;
}

/** The state of a branch. Where a killed run has left the name to two, the one that got it last. */
export function stateOfBranch(
  kept: readonly StoredCheckpoint[],
  branch: string,
): StateOfBranch | undefined {
  let last: (StateOfBranch & { at: string }) | undefined;
  for (const state of kept)
    for (const { name, copy, at } of state.manifest.branches ?? [])
      if (name === branch && (last === undefined || Date.parse(at) > Date.parse(last.at)))
        last = { state, copy, at };
  return last;
}

/** Takes a checkpoint of one database, and throws when there is none. Undefined where there is no file. */
export async function keepFirst(
  database: string,
  recordAs: RecordAs,
  taking: Taking,
  hooks: SnapshotHooks,
): Promise<{ id: string; path: string } | undefined> {
  if (!existsSync(database)) return undefined;
  const { checkpoints, unchanged, failures } = await takeCheckpoints(
    { ...taking, databases: [{ database, recordAs }], force: false },
    // The point of no return comes later.
    { ...hooks, beforePublish: () => Promise.resolve() },
  );
  const [failure] = failures;
  if (failure !== undefined) throw fromPlainError(failure.error);
  const [one] = [...checkpoints, ...unchanged];
  return one === undefined ? undefined : { id: one.id, path: one.path };
}

/** For one that was in the list, or was taken, and is gone a moment later. */
export function notKept(database: string): BackupError {
  return new BackupError('incomplete', `The checkpoint of ${database} no longer exists.`, {
    path: database,
    hint: 'Try again.',
  });
}

/**
 * Writes what spares the next look from reading a database. When that cannot be written, it reads: what was put back is
 * there all the same, so nothing has failed.
 */
export function noteFor(
  checkpoint: Pick<StoredCheckpoint, 'path'>,
  note: (before: Manifest) => Partial<Manifest>,
): void {
  try {
    label(checkpoint, note);
  } catch {
    return;
  }
}

/** Writes names into the manifest of a checkpoint. `edit` gets what is there now: another process may have changed it. */
export function label(
  { path }: Pick<StoredCheckpoint, 'path'>,
  edit: (before: Manifest) => Partial<Manifest>,
): void {
  editManifest(path, (before) => ({ ...before, ...edit(before as Manifest) }));
}
