/*
 * The digests of a file on a second thread, while this one is busy with SQLite. It closes a file that SQLite has open in
 * this process, which drops the locks on it: that is why it is only for private copies, which no other process opens.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { statSync } from 'node:fs';
import { digestCopy, type DigestsFor, type ToDigest } from '../core/files/digests.ts';
import { helperOf } from './helperEntry.ts';

interface Task {
  digest: ToDigest;
}

/** Below it, the digests take less time than the start of a thread. */
const THREAD_PAYS_BYTES = 16 * 1024 * 1024;

export async function digestBeside(digest: ToDigest): Promise<DigestsFor> {
  const entry = process.argv[1];
  if (entry === undefined || statSync(digest.path).size < THREAD_PAYS_BYTES)
    return digestCopy(digest);
  const thread = new Worker(helperOf(entry), { workerData: { digest } satisfies Task });
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`The second thread ended with code ${code}.`)));
  });
}

export function isDigestThread(): boolean {
  return !isMainThread && (workerData as Partial<Task> | undefined)?.digest !== undefined;
}

export function serveDigests(): void {
  const { digest } = workerData as Task;
  digestCopy(digest).then(
    (digests) => parentPort?.postMessage(digests),
    // The first thread gets it as the error of this one, however unhandled rejections are treated.
    (error: unknown) =>
      setImmediate(() => {
        throw error;
      }),
  );
}
