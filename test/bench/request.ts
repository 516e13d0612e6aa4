import type { SnapshotRequest } from '../../src/core/snapshot/snapshot.ts';

export type Way = Pick<SnapshotRequest, 'method' | 'verify'>;

/** A request as the command line makes it. */
export function snapshotRequest(database: string, folder: string, way: Way): SnapshotRequest {
  return {
    ...way,
    database,
    folder,
    recordAs: { path: 'app.db' },
    trigger: 'cli',
    busyTimeoutMs: 5000,
    largestBytes: 16e9,
    toolVersion: '0.0.0-bench',
  };
}
