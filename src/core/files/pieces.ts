/** Pieces of files. */
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';

/**
 * At most `length` bytes from `from` on; fewer where the file ends. Undefined where there is no such file, where it cannot
 * be read, or where it is no regular file, which might block. Closing a descriptor of a database or its `-shm` drops the
 * locks that this process has on it.
 */
export function readPiece(path: string, from: number, length: number): Buffer | undefined {
  try {
    if (!statSync(path).isFile()) return undefined;
    const handle = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(handle, bytes, 0, length, from));
    } finally {
      closeSync(handle);
    }
  } catch {
    return undefined;
  }
}

/** Writes all `bytes`, at `position` or where the file stands: the system may take less at once than it is given. */
export function writeWhole(handle: number, bytes: Uint8Array, position?: number): void {
  for (let done = 0; done < bytes.length;) {
    const at = position === undefined ? null : position + done;
    done += writeSync(handle, bytes, done, bytes.length - done, at);
  }
}
