import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';
import type { Pace } from '../pause.ts';

const megabyte = 1024 * 1024;
/** Big steps keep the pin of the source short. */
export const stepBytes = 8 * megabyte;
/** Less at once takes longer in all. */
const earlySyncBytes = 16 * megabyte;
/** With more, the commits of others wait longer: with a megabyte, twice as long. */
export const gentleStepBytes = megabyte / 8;
/** Where a sync takes so long whatever its size, small ones gain nothing. */
const slowSyncMs = 2;
const largestGentleStepBytes = 4 * megabyte;
/** A larger step may take so many times as long as the smallest: commits of others wait for it. */
const mostGrowth = 2;

/**
 * Brings a private file to the disk bit by bit while it is being written: then its end is quick, and a program that
 * syncs its own files never waits for all of this one.
 */
export class EarlySync {
  readonly #handle: number;
  #running: Promise<void> | undefined;
  #syncedBytes = 0;
  #gentleStepBytes = gentleStepBytes;
  /** What the smallest step takes at most: the shortest sync so far. Others have waited for commits of programs as well. */
  #shortestMs = Infinity;
  /** The system tells of each failed write only once. */
  #failure: Error | undefined;

  constructor(path: string) {
    this.#handle = openSync(path, 'r+');
  }

  /**
   * Takes how many bytes have been written, and returns how many may be written until the next call. Brings them to the
   * disk beside this thread; while other programs commit (`gently`) here and now and little by little, since a commit of
   * theirs waits for what the file system is bringing already. Throws what has failed so far.
   */
  wrote(doneBytes: number, { gently }: Pace): number {
    if (this.#failure !== undefined) throw this.#failure;
    if (gently) return this.#syncGently(doneBytes);
    if (this.#running === undefined && doneBytes - this.#syncedBytes >= earlySyncBytes) {
      this.#syncedBytes = doneBytes;
      this.#running = new Promise((resolve) => {
        fdatasync(this.#handle, (error) => {
          this.#failure ??= error ?? undefined;
          this.#running = undefined;
          resolve();
        });
      });
    }
    return stepBytes;
  }

  /** What has been written until now is on the disk by other means. */
  isOnDisk(doneBytes: number): void {
    this.#syncedBytes = doneBytes;
  }

  #syncGently(doneBytes: number): number {
    const bytes = doneBytes - this.#syncedBytes;
    // A sync of nothing is quick on any disk, and says nothing of small steps.
    if (bytes === 0) return this.#gentleStepBytes;
    this.#syncedBytes = doneBytes;
    const startedAt = performance.now();
    try {
      fdatasyncSync(this.#handle);
    } catch (error) {
      throw (this.#failure ??= error as Error);
    }
    // What was written before any program committed says nothing of small steps.
    if (bytes <= this.#gentleStepBytes)
      this.#gentleStepBytes = this.#nextStep(performance.now() - startedAt);
    return this.#gentleStepBytes;
  }

  /** Larger steps only where each sync is slow, and a larger one takes about as long as the shortest. */
  #nextStep(tookMs: number): number {
    const step = this.#gentleStepBytes;
    this.#shortestMs = Math.min(this.#shortestMs, tookMs);
    if (this.#shortestMs <= slowSyncMs) return gentleStepBytes;
    return tookMs > mostGrowth * this.#shortestMs
      ? Math.max(step / 2, gentleStepBytes)
      : Math.min(2 * step, largestGentleStepBytes);
  }

  /** Waits for what is running and closes the file. Returns what has failed: then the file is not to be trusted. */
  async end(): Promise<Error | undefined> {
    await this.#running;
    closeSync(this.#handle);
    return this.#failure;
  }
}
