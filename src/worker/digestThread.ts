/*
 * The digests of a file on a second thread, while this one is busy with SQLite. The thread runs this same entry, so that
 * no second bundle has to be found. It closes a file that SQLite has open in this process, which drops the locks on it:
 * that is why it is only for private copies, which no other process opens.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { statSync } from 'node:fs';
import { type DigestsFor, digestsFor, type Purpose } from '../core/files/digests.ts';

interface Task {
  digest: string;
  purpose: Purpose;
}

/** Below it, the digests take less time than the start of a thread. */
const THREAD_PAYS_BYTES = 16 * 1024 * 1024;

export async function digestBeside(path: string, purpose: Purpose): Promise<DigestsFor> {
  const entry = process.argv[1];
  if (entry === undefined || statSync(path).size < THREAD_PAYS_BYTES)
    return digestsFor(purpose, path);
  const thread = new Worker(entry, { workerData: { digest: path, purpose } satisfies Task });
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`The second thread ended with code ${code}.`)));
  });
}

/** True when this is the second thread: then the work is done here and nothing else is to be started. */
export function isDigestThread(): boolean {
  return !isMainThread && typeof (workerData as Partial<Task> | undefined)?.digest === 'string';
}

export function serveDigests(): void {
  const { digest, purpose } = workerData as Task;
  parentPort?.postMessage(digestsFor(purpose, digest));
}
