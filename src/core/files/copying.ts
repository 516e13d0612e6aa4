/** Copying a file as a whole. */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  openSync,
  readSync,
  rmSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { BackupError } from '../errors.ts';
import type { Pace } from '../pause.ts';
import { alignedMemory, DirectFile } from './directFile.ts';
import { EarlySync, gentleStepBytes } from './earlySync.ts';
import { requireSpace } from './space.ts';
import { syncFile } from './sync.ts';
import { writeWhole } from './pieces.ts';

const chunkBytes = 1024 * 1024;

export interface CopyOptions {
  onBytes?: (bytes: number) => void;
  /** False for what need not outlive the process. */
  isSynced?: boolean;
  /** The folder that an error about space names: by default that of the copy. */
  place?: string;
}

/**
 * Copies a file to the free path `to`, private and, unless told otherwise, on the disk itself: by clone, which needs next
 * to no space, else byte by byte. Throws when the file is not as long at the end as it was at the beginning; Node's own
 * copy would go on for ever with a file that gets shorter.
 */
export function copyWhole(
  from: string,
  to: string,
  { onBytes = () => undefined, isSynced = true, place = dirname(to) }: CopyOptions = {},
): void {
  const source = openSync(from, 'r');
  try {
    const { size } = fstatSync(source);
    if (clone(from, to)) onBytes(size);
    else {
      requireSpace(place, size);
      copyBytes({ source, from }, to, size, onBytes);
    }
    if (fstatSync(source).size !== size) throw changedMeanwhile(from);
    if (isSynced) syncFile(to);
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  } finally {
    closeSync(source);
  }
}

/**
 * The same for a large file, which is brought to the disk while it is copied: what is left for the sync, which the caller
 * makes, is little then.
 */
export async function copyWholeInSteps(from: string, to: string, place: string): Promise<void> {
  const source = openSync(from, 'r');
  try {
    const { size } = fstatSync(source);
    if (clone(from, to)) return;
    requireSpace(place, size);
    const done = await copyInSteps(source, to, () => ({ gently: false }));
    if (done !== size || fstatSync(source).size !== size) throw changedMeanwhile(from);
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  } finally {
    closeSync(source);
  }
}

/**
 * Copies an open file to the free path `to`, private, and returns how many bytes it had. Most of them are on the disk
 * already. `onStep` gets the bytes done after each step, and says how to go on.
 */
export async function copyInSteps(
  from: number,
  to: string,
  onStep: (doneBytes: number) => Pace,
  bytesAtOnce = chunkBytes,
): Promise<number> {
  closeSync(openSync(to, 'wx', 0o600));
  const copy = new CopyInSteps(to);
  let failure: Error | undefined;
  let done = 0;
  try {
    const chunk = alignedMemory(bytesAtOnce);
    let dueBytes = 0;
    for (;;) {
      if (done >= dueBytes) {
        dueBytes = done + copy.nextStep(done, onStep(done));
        await turn(); // For messages, and for a sync that has ended.
      }
      const read = readSync(from, chunk, 0, Math.min(bytesAtOnce, dueBytes - done), done);
      if (read === 0) break;
      copy.write(chunk, read, done);
      done += read;
    }
    onStep(done);
  } finally {
    failure = await copy.end();
  }
  if (failure !== undefined) throw failure;
  return done;
}

/** A private file that is written from its beginning to its end, at the pace that other programs leave. */
class CopyInSteps {
  readonly #path: string;
  readonly #handle: number;
  readonly #syncing: EarlySync;
  /** While other programs commit. */
  #direct: DirectFile | undefined;
  #isDirectRefused = false;

  constructor(path: string) {
    this.#path = path;
    this.#syncing = new EarlySync(path);
    this.#handle = openSync(path, 'r+');
  }

  /** Takes how many bytes have been written, and returns how many may be until the next call. */
  nextStep(doneBytes: number, pace: Pace): number {
    const wasDirect = this.#direct !== undefined;
    if (wasDirect) this.#syncing.isOnDisk(doneBytes);
    if (wasDirect && pace.gently) return gentleStepBytes;
    this.#leaveDirect();
    // What the cache has still got comes first: it must not keep commits waiting later.
    const bytes = this.#syncing.wrote(doneBytes, pace);
    if (!pace.gently || this.#isDirectRefused) return bytes;
    this.#direct = DirectFile.open(this.#path);
    this.#isDirectRefused = this.#direct === undefined;
    return this.#isDirectRefused ? bytes : gentleStepBytes;
  }

  write(memory: Buffer, length: number, position: number): void {
    let written = this.#direct?.write(memory, length, position);
    if (written === undefined && this.#direct !== undefined) {
      this.#isDirectRefused = true;
      this.#leaveDirect();
    }
    written ??= 0;
    // Into the cache, where the check finds it: what a disk reads ahead keeps commits waiting as well.
    if (written > 0) readSync(this.#handle, memory, 0, written, position);
    writeWhole(this.#handle, memory.subarray(written, length), position + written);
  }

  #leaveDirect(): void {
    this.#direct?.close();
    this.#direct = undefined;
  }

  /** Returns what has failed: then the file is not to be trusted. */
  async end(): Promise<Error | undefined> {
    this.#leaveDirect();
    closeSync(this.#handle);
    return this.#syncing.end();
  }
}

/** At once, where the file system shares the blocks. False where it does not: then nothing is left of the attempt. */
export function clone(from: string, to: string): boolean {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'EEXIST') throw error;
    rmSync(to, { force: true });
    return false;
  }
  chmodSync(to, 0o600);
  return true;
}

function copyBytes(
  { source, from }: { source: number; from: string },
  to: string,
  size: number,
  onBytes: (bytes: number) => void,
): void {
  const copy = openSync(to, 'wx', 0o600);
  try {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size));
    for (let at = 0; at < size;) {
      const read = readSync(source, chunk, 0, Math.min(chunk.length, size - at), at);
      if (read === 0) throw changedMeanwhile(from);
      writeWhole(copy, chunk.subarray(0, read), at);
      at += read;
      onBytes(read);
    }
  } finally {
    closeSync(copy);
  }
}

function changedMeanwhile(path: string): BackupError {
  return new BackupError('source-busy', `${path} changed while it was copied.`, {
    path,
    hint: 'Stop the program that writes to it, then try again.',
    facts: { reason: 'changed' },
  });
}
