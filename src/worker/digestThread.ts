/*
 * The digests of a file on a second thread, while this one is busy with SQLite. The thread runs this same entry, so that
 * no second bundle has to be found. It closes a file that SQLite has open in this process, which drops the locks on it:
 * that is why it is only for private copies, which nobody else knows of.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { digestFile, type Digests } from '../core/files/digests.ts';
import type { Expected, Follower } from '../core/job.ts';
import type { Pace } from '../core/pause.ts';
import { beginsAs, DigestBehind, endsAs, type Reading } from '../core/snapshot/digestBehind.ts';

interface Task {
  digest: string;
  /** When it is not there, the file is complete. */
  behind?: Expected;
}

/** To a thread that follows a file. */
type News = Pace & ({ wroteBytes: number } | { isComplete: true });
/** From it, one after the other. */
type Answer = { read: Reading } | { beginsAsRead: boolean };

export async function digestBeside(path: string): Promise<Digests> {
  const entry = process.argv[1];
  if (entry === undefined) return digestFile(path);
  const [digests] = await answersOf<Digests>(start(entry, { digest: path }), 1);
  if (digests === undefined) throw new Error('The second thread gave no answer.');
  return digests;
}

export function digestBehind(path: string, expected: Expected): Follower | undefined {
  const entry = process.argv[1];
  if (entry === undefined) return undefined;
  const thread = start(entry, { digest: path, behind: expected });
  const tell = (news: News): void => thread.postMessage(news);
  // What the thread could not do is done here, and fails here with its reason.
  const nothing = (): Answer[] => [];
  const first = answersOf<Answer>(thread, 1).catch(nothing);
  const all = answersOf<Answer>(thread, 2).catch(nothing);
  return {
    wrote: (wroteBytes, pace) => tell({ wroteBytes, ...pace }),
    complete: (pace) => tell({ isComplete: true, ...pace }),
    async digests(onRead) {
      const [found] = await first;
      const isProved =
        found !== undefined &&
        'read' in found &&
        endsAs(path, found.read, onRead) &&
        (await all).some((one) => 'beginsAsRead' in one && one.beginsAsRead);
      if (!isProved) return digestFile(path, onRead);
      const { sha256, crc32 } = found.read;
      return { sha256, crc32 };
    },
    abandon: async () => void (await thread.terminate()),
  };
}

function start(entry: string, task: Task): Worker {
  return new Worker(entry, { workerData: task });
}

function answersOf<T>(thread: Worker, count: number): Promise<T[]> {
  const answers: T[] = [];
  return new Promise((resolve, reject) => {
    thread.on('message', (answer: T) => {
      if (answers.push(answer) === count) resolve(answers);
    });
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`The second thread ended with code ${code}.`)));
  });
}

/** True when this is the second thread: then the work is done here and nothing else is to be started. */
export function isDigestThread(): boolean {
  return !isMainThread && typeof (workerData as Partial<Task> | undefined)?.digest === 'string';
}

export function serveDigests(): void {
  const { digest: path, behind } = workerData as Task;
  if (behind === undefined) return parentPort?.postMessage(digestFile(path));
  const follower = new DigestBehind(path, behind);
  const answer = (one: Answer): void => parentPort?.postMessage(one);
  parentPort?.on('message', (news: News) => {
    if ('wroteBytes' in news) return follower.follow(news.wroteBytes, news);
    const read = follower.end(news);
    answer({ read });
    answer({ beginsAsRead: beginsAs(path, read, () => follower.breatheIfGentle()) });
    parentPort?.close();
  });
}
