import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { clone } from '../files/copying.ts';

/** Clones the file of a live database. False where the disk cannot: then nothing is left of the attempt. */
export function cloneLive(from: string, to: string): boolean {
  if (process.platform !== 'darwin') return clone(from, to);
  // Node has no clones on macOS, https://github.com/nodejs/node/issues/44747; cp -c fails where it would have to copy.
  const { status } = spawnSync('/bin/cp', ['-c', from, to], { stdio: 'ignore' });
  if (status === 0) chmodSync(to, 0o600);
  else rmSync(to, { force: true });
  return status === 0;
}
