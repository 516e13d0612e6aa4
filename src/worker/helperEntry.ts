import { basename, dirname, join } from 'node:path';

/** The entry of the processes beside a worker, by the worker's own: both lie in one folder. */
export function helperOf(workerEntry: string): string {
  const isSource = basename(workerEntry) === 'main.ts';
  return join(dirname(workerEntry), isSource ? 'helper.ts' : 'helper.cjs');
}
