/**
 * Checkpoints: snapshots that are taken before something happens, and only of what has changed since the last one. In this
 * order: read stamps, without SQLite -> take one cut of what has changed -> keep no second copy of the same content -> thin
 * out.
 */
import { existsSync } from 'node:fs';
import { BackupError, explain, toPlainError } from '../errors.ts';
import { realPathOf } from '../files/paths.ts';
import { restrict } from '../files/workplace.ts';
import type { RecordAs, SnapshotHooks } from '../job.ts';
import { knownIdentityOf } from '../manifest/identity.ts';
import type { Cause, Trigger } from '../manifest/manifest.ts';
import { editManifest } from '../manifest/manifestFile.ts';
import type { CopyFailure } from '../snapshot/copying.ts';
import { takeSnapshots } from '../snapshot/snapshot.ts';
import { isUnwrittenSince } from './began.ts';
import type { Moment } from './commands.ts';
import type { StampOptions } from './stamp.ts';
import { idOf, makeCheckpointsFolder, type StoredCheckpoint, storedIn } from './store.ts';
import { thin } from './thinning.ts';
import { newestOf, stateOf } from './unchanged.ts';

export interface CheckpointRequest {
  databases: { database: string; recordAs: RecordAs }[];
  /** The folder for checkpoints, where it is not the data folder's. */
  checkpoints?: string | undefined;
  cause: Cause;
  trigger: Trigger;
  /** When the command of the cause was seen to begin. Then the cause says whether the state is proved to be older. */
  began?: Moment | undefined;
  /** Takes one also of what has not changed. */
  force: boolean;
  busyTimeoutMs: number;
  largestBytes: number;
  toolVersion: string;
  /** Bytes that all checkpoints together may take. */
  largestTotalBytes: number;
}

export interface Checkpoint {
  id: string;
  path: string;
  /** The real path. */
  database: string;
  createdAt: string;
  sha256: string;
}

export interface Checkpoints {
  checkpoints: Checkpoint[];
  /** The databases that are as a checkpoint already has them. */
  unchanged: Pick<Checkpoint, 'database' | 'id' | 'path'>[];
  failures: CopyFailure[];
}

export async function takeCheckpoints(
  request: CheckpointRequest,
  hooks: SnapshotHooks,
  options: StampOptions = {},
): Promise<Checkpoints> {
  const folder = makeCheckpointsFolder(request.checkpoints);
  const stored = storedIn(folder);
  const now = options.now ?? Date.now;
  const result: Checkpoints = { checkpoints: [], unchanged: [], failures: [] };
  const wanted: ((typeof request.databases)[number] & { stamp: string | undefined })[] = [];
  for (const one of request.databases) {
    const { database, stamp, newest, isUnchanged } = stateOf(one.database, stored, options);
    if (!request.force && newest !== undefined && isUnchanged)
      result.unchanged.push({ database, id: newest.id, path: newest.path });
    else wanted.push({ ...one, stamp: stamp.isSettled ? stamp.text : undefined });
  }
  if (wanted.length === 0) return result;
  const same: { database: string; of: StoredCheckpoint }[] = [];
  const stamps = new Map(wanted.map(({ database, stamp }) => [realPathOf(database), stamp]));
  const { began, cause } = request;
  const older = new Set<string>();
  const causeOf = (database: string): Cause =>
    began === undefined
      ? cause
      : { ...cause, moment: older.has(database) ? 'before' : 'may-include' };
  const { snapshots, failures } = await takeSnapshots(
    { ...snapshotOptions(request), cause: causeOf, folder, databases: wanted },
    {
      ...hooks,
      onHeld(databases) {
        // After they are held: what is written later is not in the copies.
        for (const one of databases)
          if (began !== undefined && isUnwrittenSince(one, began)) older.add(one);
        hooks.onHeld?.(databases);
      },
      isWanted(database, { sha256 }) {
        if (request.force) return true;
        let newest: StoredCheckpoint | undefined;
        try {
          // As they are now: another process may have taken one meanwhile, or removed some.
          newest = newestOf(knownToBeOf(storedIn(folder), database), now());
        } catch {
          // One too many is better than none.
        }
        if (newest?.manifest.sha256 !== sha256) return true;
        same.push({ database, of: newest });
        return false;
      },
    },
  );
  for (const { path, database, manifest } of snapshots) {
    // Nothing changes it by accident; removing it needs only the folder.
    restrict(path, 0o400);
    const { createdAt, sha256 } = manifest;
    result.checkpoints.push({ id: idOf(manifest), path, database, createdAt, sha256 });
  }
  for (const { database, of } of same) {
    // The next stamp is compared with the one that was read just now.
    const stamp = stamps.get(database);
    try {
      editManifest(of.path, (before) => ({ ...before, stamp }));
    } catch {
      // Then the content is compared the next time, too.
    }
    if (existsSync(of.path)) result.unchanged.push({ database, id: of.id, path: of.path });
    else failures.push({ database, error: toPlainError(removedMeanwhile(of.path)) });
  }
  result.failures = failures;
  try {
    thin(folder, { largestTotalBytes: request.largestTotalBytes, now: new Date(now()) });
  } catch (error) {
    // The checkpoints are there.
    hooks.onNote?.(`Old checkpoints stay for now: ${explain(error, 'target', folder).message}`);
  }
  return result;
}

function removedMeanwhile(path: string): BackupError {
  return new BackupError('incomplete', `${path} was removed while a checkpoint was taken.`, {
    path,
    hint: 'Try again.',
  });
}

function snapshotOptions({
  trigger,
  busyTimeoutMs,
  largestBytes,
  toolVersion,
}: CheckpointRequest): Omit<Parameters<typeof takeSnapshots>[0], 'folder' | 'databases'> {
  return {
    ...{ trigger, busyTimeoutMs, largestBytes, toolVersion },
    method: 'exact',
    // Facts, size and hash are compared at once; SQLite's check comes later.
    verify: false,
  };
}

/** The same content is often that of another database, as of a copied project: the name does not tell them apart. */
function knownToBeOf(stored: readonly StoredCheckpoint[], database: string): StoredCheckpoint[] {
  const id = knownIdentityOf(database);
  return stored.filter(({ manifest: { source } }) => id !== undefined && source.id === id);
}
