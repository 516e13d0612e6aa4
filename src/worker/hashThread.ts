/*
 * SHA-256 of a file on a second thread, while this one is busy checking it. The thread runs this same entry, so that no
 * second bundle has to be found. It closes a file that SQLite has open in this process, which drops the locks on it: that
 * is why it is only for private copies, which nobody else knows of.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { sha256File } from '../core/files.ts';

interface Task {
  hash: string;
}

export function hashBeside(path: string): Promise<string> {
  const entry = process.argv[1];
  if (entry === undefined) return Promise.resolve().then(() => sha256File(path));
  return new Promise((resolve, reject) => {
    const thread = new Worker(entry, { workerData: { hash: path } satisfies Task });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`The hashing thread ended with code ${code}.`)));
  });
}

/** True when this is the second thread: then the work is done here and nothing else is to be started. */
export function isHashThread(): boolean {
  return !isMainThread && typeof (workerData as Partial<Task> | undefined)?.hash === 'string';
}

export function serveHash(): void {
  parentPort?.postMessage(sha256File((workerData as Task).hash));
}
