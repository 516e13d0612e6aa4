/** How a file of ours gets its final name: in one step, and never over another file. */
import {
  chmodSync,
  closeSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';

export function writePrivateFile(path: string, content: string | Buffer): void {
  writeFileSync(path, content, { flag: 'wx', mode: 0o600, flush: true });
}

/** Gives a small file of ours another content, whole or not at all, also when several processes do it at once. */
export function replacePrivateFile(path: string, text: string): void {
  replaceFile(path, text, 0o600);
}

/** The same for a file that others read, with `mode` as it is, whatever the umask. */
export function replaceFile(path: string, content: string | Buffer, mode: number): void {
  const scratch = `${path}.${process.pid}`;
  try {
    // A process of the same number may have been killed here.
    rmSync(scratch, { force: true });
    writePrivateFile(scratch, content);
    chmodSync(scratch, mode & 0o7777);
    renameSync(scratch, path);
  } finally {
    rmSync(scratch, { force: true });
  }
}

/** Creates the empty file that SQLite will fill: 0600 from its first moment, whatever the umask or the source's mode. */
export function createPrivateFile(path: string): void {
  closeSync(openSync(path, 'wx', 0o600));
}

/**
 * Gives the synced file `from` the name `to`, in one step that fails with EEXIST when the name exists in any form.
 * `from`, in a private folder of the same file system, may stay as a second name. Returns `claimed` where there are no hard
 * links: a process that is killed there leaves an empty file under the name, and so may an earlier one.
 */
export function linkWithoutOverwriting(from: string, to: string): 'linked' | 'claimed' {
  try {
    linkSync(from, to);
    return 'linked';
  } catch (error) {
    if (!lacksHardLinks(error)) throw error;
    // FAT, exFAT and some network shares have no hard links: claim the name first, then replace our own claim.
    closeSync(openSync(to, 'wx', 0o600));
    try {
      renameSync(from, to);
    } catch (failure) {
      unlinkSync(to);
      throw failure;
    }
    return 'claimed';
  }
}

/** True for the failure of a link where there can be none, so that only a copy helps. */
export function lacksHardLinks(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const missing = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EMLINK', 'EISDIR'];
  return typeof code === 'string' && missing.includes(code);
}
