/*
 * What the `-shm` of a database says of its WAL: how many frames are committed, and of which generation of the WAL. Source:
 * https://sqlite.org/walformat.html (the WAL-index header, two copies with a checksum). To be read in a process that has no
 * SQLite connection to the database: closing a descriptor of the `-shm` drops this process's locks on it.
 */
import { readSync } from 'node:fs';
import { endianness } from 'node:os';
import { pause } from '../pause.ts';
import { readPiece } from './pieces.ts';

export interface WalIndex {
  /** The random numbers of the generation, in hexadecimal digits, as the header of the WAL has them. */
  salts: string;
  /** Valid frames; the last one ends a transaction. */
  frames: number;
  /** Size of the database at that moment, in pages. */
  pages: number;
  pageSize: number;
}

const headerBytes = 48;
const version = 3_007_000;
/** On a busy machine a writer may lose the processor between the two copies. */
const tries = 300;

/** Undefined when there is none that can be understood, or when it does not stand still. */
export function readWalIndex(database: string): WalIndex | undefined {
  for (let attempt = 0; attempt < tries; attempt++) {
    if (attempt > 0) pause(1);
    const bytes = readPiece(`${database}-shm`, 0, 2 * headerBytes);
    if (bytes === undefined) return undefined;
    const index = parseWalIndex(bytes);
    if (index !== undefined) return index;
  }
  return undefined;
}

/** The salts of the WAL itself, as it begins; undefined where there is none. */
export function readWalSalts(wal: number): string | undefined {
  const header = Buffer.alloc(walHeaderBytes);
  return readSync(wal, header, 0, walHeaderBytes, 0) < walHeaderBytes
    ? undefined
    : header.toString('hex', 16, 24);
}

export const walHeaderBytes = 32;
const frameHeaderBytes = 24;

/** Bytes of a WAL up to the end of its frame `frames`. */
export function walBytesOf({ frames, pageSize }: Pick<WalIndex, 'frames' | 'pageSize'>): number {
  return walHeaderBytes + frames * (frameHeaderBytes + pageSize);
}

/** A writer changes one copy after the other: while they differ, or the checksum is wrong, nothing is known. */
export function parseWalIndex(bytes: Buffer): WalIndex | undefined {
  if (bytes.length < 2 * headerBytes) return undefined;
  const one = bytes.subarray(0, headerBytes);
  if (!one.equals(bytes.subarray(headerBytes, 2 * headerBytes))) return undefined;
  const word = (offset: number): number =>
    endianness() === 'LE' ? one.readUInt32LE(offset) : one.readUInt32BE(offset);
  const half = endianness() === 'LE' ? one.readUInt16LE(14) : one.readUInt16BE(14);
  if (word(0) !== version || one[12] !== 1) return undefined;
  const [first, second] = checksumOf(word);
  if (word(40) !== first || word(44) !== second) return undefined;
  return {
    salts: one.toString('hex', 32, 40),
    frames: word(16),
    pages: word(20),
    // 65536 does not fit: it is written as 1.
    pageSize: (half & 0xfe00) + ((half & 1) << 16),
  };
}

/** SQLite's checksum over the fields before it. */
function checksumOf(word: (offset: number) => number): [number, number] {
  let [a, b] = [0, 0];
  for (let at = 0; at < headerBytes - 8; at += 8) {
    a = (a + word(at) + b) >>> 0;
    b = (b + word(at + 4) + a) >>> 0;
  }
  return [a, b];
}
