import type { CheckpointRequest } from '../../src/core/checkpoint/checkpoint.ts';
import { digestCopy } from '../../src/core/files/digests.ts';
import type { RestoreHooks } from '../../src/core/job.ts';

/** Those of a test that needs no process: digests are made here, and no program has to be kept out. */
export const inProcess: RestoreHooks = {
  onProgress: () => undefined,
  beforePublish: () => Promise.resolve(),
  digestBeside: digestCopy,
  keepOut: (paths) =>
    Promise.resolve({
      outcomes: paths.map(() => 'held' as const),
      letGo: () => Promise.resolve(),
    }),
};

/** How checkpoints are taken by hand into the folder. */
export function takingInto(checkpoints: string): Omit<CheckpointRequest, 'databases' | 'force'> {
  return {
    ...{ checkpoints, cause: { kind: 'manual' }, trigger: 'manual' },
    ...{ busyTimeoutMs: 1000, largestBytes: 1e9, largestTotalBytes: 1e9, toolVersion: '0' },
  };
}
