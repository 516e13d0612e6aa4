import { availableParallelism } from 'node:os';
import type * as vscode from 'vscode';
import type { Progress } from '../core/job.ts';
import type { CallOptions } from '../worker/client.ts';
import { Jobs } from '../worker/jobs.ts';

/** A view that is told more often than it can draw draws nothing at all. */
const drawnEveryMs = 400;

export interface Job {
  readonly startedAt: number;
  /** Undefined until the worker has said something. */
  readonly progress: Progress | undefined;
}

/** The jobs of this window by the Uri of each database that they are about; those on one database wait for each other. */
export class RunningJobs {
  readonly #queue = new Jobs(availableParallelism());
  readonly #running = new Map<string, { job: Job; abort: AbortController }>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get isRunning(): boolean {
    return this.#running.size > 0;
  }

  of(key: string): Job | undefined {
    return this.#running.get(key)?.job;
  }

  /** Runs a job when its databases are free. */
  run<T>(
    keys: string[],
    job: (options: Pick<CallOptions, 'signal' | 'onProgress'>) => Promise<T>,
  ): Promise<T> {
    return this.#queue.run(keys, async () => {
      const abort = new AbortController();
      const startedAt = Date.now();
      let shownAt = 0;
      const show = (progress: Progress | undefined): void => {
        for (const key of keys) this.#running.set(key, { job: { startedAt, progress }, abort });
        if (Date.now() - shownAt < drawnEveryMs) return;
        shownAt = Date.now();
        this.#onChange();
      };
      show(undefined);
      try {
        return await job({ signal: abort.signal, onProgress: show });
      } finally {
        for (const key of keys) this.#running.delete(key);
        this.#onChange();
      }
    });
  }

  /** Stops the job of one database, or all of them. A job that is already publishing still ends well. */
  cancel(uri?: vscode.Uri): void {
    for (const [key, { abort }] of this.#running) {
      if (uri === undefined || key === uri.toString()) abort.abort();
    }
  }
}
