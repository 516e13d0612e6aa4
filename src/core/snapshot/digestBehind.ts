/*
 * The digests of a copy that SQLite is still writing. A SHA-256 begins with the first page, which SQLite writes last: that
 * one is foreseen, and the others are read some way behind the writing. None of it is trusted. In the end the whole file
 * must have the CRC-32 of what was digested; otherwise it is digested again.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { crcOfRange, type Digests } from '../files/digests.ts';
import type { Expected } from '../job.ts';
import { breathe, type Pace } from '../pause.ts';
import { cachedBytes, stepBytes } from './earlySync.ts';

/** What was read, which is not proved yet. */
export interface Reading extends Digests {
  middleBytes: number;
  /** Of the bytes before the middle. */
  middleCrc32: number;
}

/** The next step is on its way already. */
const behindBytes = cachedBytes + stepBytes;
const chunkBytes = 256 * 1024;
const gentleChunkBytes = chunkBytes / 4;

export class DigestBehind {
  readonly #handle: number;
  readonly #hash = createHash('sha256');
  readonly #chunk = Buffer.allocUnsafe(chunkBytes);
  readonly #middleBytes: number;
  #middleCrc32 = 0;
  #crc32: number;
  #doneBytes: number;
  #isGentle = false;

  constructor(path: string, { begin, sizeBytes }: Expected) {
    this.#handle = openSync(path, 'r');
    this.#middleBytes = Math.max(begin.length, Math.floor(sizeBytes / 2));
    this.#hash.update(begin);
    this.#crc32 = crc32(begin);
    this.#doneBytes = begin.length;
  }

  /** Reads on, as far behind the writing as is likely to be in the file. */
  follow(wroteBytes: number, { gently }: Pace): void {
    this.#isGentle = gently;
    this.#readTo(wroteBytes - behindBytes);
  }

  /** Reads the rest of the file, which is complete now, and closes it. */
  end({ gently }: Pace): Reading {
    this.#isGentle = gently;
    try {
      this.#readTo(Infinity);
    } finally {
      closeSync(this.#handle);
    }
    return {
      sha256: this.#hash.digest('hex'),
      crc32: this.#crc32,
      middleBytes: this.#middleBytes,
      middleCrc32: this.#middleCrc32,
    };
  }

  /** To be called between two pieces of work. */
  breatheIfGentle(): void {
    if (this.#isGentle) breathe();
  }

  #readTo(endBytes: number): void {
    this.#read(Math.min(endBytes, this.#middleBytes));
    if (this.#doneBytes === this.#middleBytes) this.#middleCrc32 = this.#crc32;
    if (this.#doneBytes >= this.#middleBytes) this.#read(endBytes);
  }

  #read(endBytes: number): void {
    while (this.#doneBytes < endBytes) {
      this.breatheIfGentle();
      const wanted = this.#isGentle ? gentleChunkBytes : chunkBytes;
      const most = Math.min(wanted, endBytes - this.#doneBytes);
      const read = readSync(this.#handle, this.#chunk, 0, most, this.#doneBytes);
      if (read === 0) return;
      const chunk = this.#chunk.subarray(0, read);
      this.#hash.update(chunk);
      this.#crc32 = crc32(chunk, this.#crc32);
      this.#doneBytes += read;
    }
  }
}

/** Whether the file has these bytes before the middle. */
export function beginsAs(
  path: string,
  { middleBytes, middleCrc32 }: Reading,
  onRead: () => void,
): boolean {
  return crcOfRange(path, { from: 0, to: middleBytes }, onRead) === middleCrc32;
}

/** Whether it has these bytes after the middle. */
export function endsAs(
  path: string,
  { middleBytes, middleCrc32, crc32: whole }: Reading,
  onRead: (doneBytes: number) => void,
): boolean {
  return crcOfRange(path, { from: middleBytes, seed: middleCrc32 }, onRead) === whole;
}
