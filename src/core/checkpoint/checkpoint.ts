/**
 * Checkpoints: snapshots that are taken before something happens, and only of what has changed since the last one. In this
 * order: read stamps, without SQLite -> take one cut of what has changed -> keep no second copy of the same content -> thin
 * out.
 */
import { chmodSync } from 'node:fs';
import type { RecordAs, SnapshotHooks } from '../job.ts';
import type { Cause, Trigger } from '../manifest/manifest.ts';
import { editManifest } from '../manifest/manifestFile.ts';
import type { CopyFailure } from '../snapshot/copying.ts';
import { takeSnapshots } from '../snapshot/snapshot.ts';
import { readStamp, type StampOptions } from './stamp.ts';
import {
  idOf,
  makeCheckpointsFolder,
  realPathOf,
  type StoredCheckpoint,
  storedIn,
  thoseOfDatabase,
} from './store.ts';
import { thin } from './thinning.ts';

export interface CheckpointRequest {
  databases: { database: string; recordAs: RecordAs }[];
  /** The folder for checkpoints, where it is not the data folder's. */
  checkpoints?: string | undefined;
  cause: Cause;
  trigger: Trigger;
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
  const result: Checkpoints = { checkpoints: [], unchanged: [], failures: [] };
  const wanted: ((typeof request.databases)[number] & { stamp: string | undefined })[] = [];
  for (const one of request.databases) {
    const database = realPathOf(one.database);
    const { text, isSettled } = readStamp(database, options);
    const newest = newestOf(stored, database);
    if (!request.force && newest !== undefined && isEqual(newest, text))
      result.unchanged.push({ database, id: newest.id, path: newest.path });
    else wanted.push({ ...one, stamp: isSettled ? text : undefined });
  }
  if (wanted.length === 0) return result;
  const same: { database: string; of: StoredCheckpoint }[] = [];
  const stamps = new Map(wanted.map(({ database, stamp }) => [realPathOf(database), stamp]));
  const { snapshots, failures } = await takeSnapshots(
    { ...snapshotOptions(request), folder, databases: wanted },
    {
      ...hooks,
      isWanted(database, { sha256 }) {
        const newest = newestOf(stored, database);
        if (request.force || newest?.manifest.sha256 !== sha256) return true;
        same.push({ database, of: newest });
        return false;
      },
    },
  );
  for (const { path, database, manifest } of snapshots) {
    // Nothing changes it by accident; removing it needs only the folder.
    chmodSync(path, 0o400);
    const { createdAt, sha256 } = manifest;
    result.checkpoints.push({ id: idOf(manifest), path, database, createdAt, sha256 });
  }
  for (const { database, of } of same) {
    // The next stamp is compared with the one that was read just now.
    const stamp = stamps.get(database);
    editManifest(of.path, (before) => ({ ...before, stamp }));
    result.unchanged.push({ database, id: of.id, path: of.path });
  }
  result.failures = failures;
  thin(folder, { largestTotalBytes: request.largestTotalBytes, now: new Date() });
  return result;
}

function snapshotOptions({
  cause,
  trigger,
  busyTimeoutMs,
  largestBytes,
  toolVersion,
}: CheckpointRequest): Omit<Parameters<typeof takeSnapshots>[0], 'folder' | 'databases'> {
  return {
    ...{ cause, trigger, busyTimeoutMs, largestBytes, toolVersion },
    method: 'exact',
    // Facts, size and hash are compared at once; SQLite's check comes later.
    verify: false,
  };
}

function newestOf(
  stored: readonly StoredCheckpoint[],
  database: string,
): StoredCheckpoint | undefined {
  return thoseOfDatabase(stored, database).find(
    ({ manifest: { source, verdict } }) => source.id !== undefined && verdict.status !== 'damaged',
  );
}

function isEqual({ manifest }: StoredCheckpoint, stamp: string): boolean {
  return manifest.stamp !== undefined && manifest.stamp === stamp;
}
