/** Bringing files, and the names in a folder, to the disk itself. */
import { closeSync, constants, fsync, fsyncSync, openSync } from 'node:fs';

/** Writes the file to the disk itself; a failure here is a failure of the backup, never to be ignored. */
export function syncFile(path: string): void {
  // Windows flushes only through a handle that may write.
  const handle = openSync(path, process.platform === 'win32' ? 'r+' : 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The same on the pool of the system's threads, while this thread works on. Only for private files. */
export function syncFileBeside(path: string): Promise<void> {
  // Opened here and now: a promise would not begin before this thread has nothing else to do.
  const handle = openSync(path, 'r+');
  return new Promise((resolve, reject) => {
    fsync(handle, (error) => {
      closeSync(handle);
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** Makes names in the folder durable. Windows has no such call: its file systems journal names by themselves. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
