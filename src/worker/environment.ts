import { availableParallelism } from 'node:os';

const defaults = {
  // Bundles are compressed on all cores; by default there are only four threads for that.
  UV_THREADPOOL_SIZE: String(Math.max(4, availableParallelism())),
  // The check looks rows up all over SQLite's cache. In large pages of memory the processor finds them in two thirds of the
  // time. Where the C library is another one or an older one, this says nothing.
  ...(process.platform === 'linux' && { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' }),
};

/** Of a process that runs the core. What the person has set comes first. */
export function workerEnvironment(): NodeJS.ProcessEnv {
  return { ...defaults, ...process.env, ELECTRON_RUN_AS_NODE: '1' };
}
