/** Copies of companions, each read twice: what is written to a file meanwhile shows, however it is written. */
import { createHash, type Hash, hash as hashOf } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { createPrivateFile } from '../files/publish.ts';
import type { Companion } from './companions.ts';
import { writeWhole } from '../files/pieces.ts';

export interface CompanionCopy {
  sizeBytes: number;
  sha256: string;
  crc32: number;
  content: { bytes: Buffer } | { path: string };
  changedWhileReading: boolean;
}

const copyTries = 3;
const mostChunkBytes = 1024 * 1024;
const smallBytes = 64 * 1024;

/** How much small companions may take up in memory; what is beyond goes into files. */
export class Memory {
  #leftBytes: number;

  constructor(mostBytes: number) {
    this.#leftBytes = mostBytes;
  }

  take(sizeBytes: number): boolean {
    if (sizeBytes > smallBytes || sizeBytes > this.#leftBytes) return false;
    this.#leftBytes -= sizeBytes;
    return true;
  }
}

interface CopyOptions {
  memory: Memory;
  /** Called after each piece that was read: a test writes to the file then. */
  onChunk?: () => void;
}

/**
 * Copies a file into memory or into the free private path `spare`, again if two readings differ or the file was written to
 * between them. Undefined when it is not there any more.
 */
export function copyCompanion(
  { path, recordAs }: Companion,
  spare: string,
  { memory, onChunk }: CopyOptions,
): CompanionCopy | undefined {
  const shown = typeof path === 'string' ? path : recordAs.path;
  const source = Source.open(path, shown, onChunk);
  if (source === undefined) return undefined;
  try {
    const isSmall = memory.take(source.sizeBytes);
    if (!isSmall) createPrivateFile(spare);
    for (let attempt = 1; ; attempt++) {
      const before = source.state();
      const { content, ...first } = isSmall ? toMemory(source) : toFile(source, spare);
      const again = source.read(() => undefined);
      const isSame = again.sha256 === first.sha256 && source.state() === before;
      if (isSame || attempt === copyTries)
        return { ...first, content, changedWhileReading: !isSame };
    }
  } finally {
    source.close();
  }
}

interface Reading {
  sizeBytes: number;
  sha256: string;
  crc32: number;
}

function toMemory(source: Source): Reading & Pick<CompanionCopy, 'content'> {
  const chunks: Buffer[] = [];
  const reading = source.read((chunk) => chunks.push(Buffer.concat([chunk])));
  const [first = Buffer.alloc(0)] = chunks;
  return { ...reading, content: { bytes: chunks.length < 2 ? first : Buffer.concat(chunks) } };
}

/** What goes wrong with writing is left for the caller to explain. */
function toFile(source: Source, path: string): Reading & Pick<CompanionCopy, 'content'> {
  const target = openSync(path, 'w');
  try {
    const reading = source.read((chunk) => {
      writeWhole(target, chunk);
    });
    return { ...reading, content: { path } };
  } finally {
    closeSync(target);
  }
}

/** A file that is open, so that a new one under its name makes no mixture. */
class Source {
  readonly sizeBytes: number;
  readonly #handle: number;
  readonly #shown: string;
  readonly #onChunk: (() => void) | undefined;
  readonly #chunk: Buffer;

  static open(
    path: string | Buffer,
    shown: string,
    onChunk: (() => void) | undefined,
  ): Source | undefined {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    try {
      const handle = ofSource(shown, () => openSync(path, flags));
      return new Source(handle, shown, onChunk);
    } catch (error) {
      if (isBackupError(error) && error.code === 'source-missing') return undefined;
      throw error;
    }
  }

  private constructor(handle: number, shown: string, onChunk: (() => void) | undefined) {
    this.#handle = handle;
    this.#shown = shown;
    this.#onChunk = onChunk;
    const stats = ofSource(shown, () => fstatSync(handle));
    if (!stats.isFile()) {
      closeSync(handle);
      throw new BackupError('source-missing', `${shown} is no longer a file.`);
    }
    this.sizeBytes = stats.size;
    // Thousands of small files are not to cost a megabyte each. What the system makes up has no size before it is read.
    this.#chunk = Buffer.allocUnsafe(Math.min(Math.max(stats.size + 1, 4096), mostChunkBytes));
  }

  close(): void {
    closeSync(this.#handle);
  }

  /** Changes when the file is written to, but for what goes through `mmap`. */
  state(): string {
    const { size, mtimeNs, ctimeNs } = ofSource(this.#shown, () =>
      fstatSync(this.#handle, { bigint: true }),
    );
    return [size, mtimeNs, ctimeNs].join();
  }

  read(onChunk: (chunk: Buffer) => void): Reading {
    // Without an end, a file that is always appended to would be read for ever.
    const mostBytes = Math.max(fstatSync(this.#handle).size, mostChunkBytes);
    let [sizeBytes, crc] = [0, 0];
    let hash: Hash | undefined;
    for (;;) {
      const bytes = this.#fill(sizeBytes, mostBytes);
      onChunk(bytes);
      crc = crc32(bytes, crc);
      sizeBytes += bytes.length;
      const isEnd = bytes.length < this.#chunk.length || sizeBytes >= mostBytes;
      // Most companions are of one piece, and a hash that is fed piece by piece costs more than such a file.
      if (isEnd && hash === undefined)
        return { sizeBytes, sha256: hashOf('sha256', bytes, 'hex'), crc32: crc };
      hash = (hash ?? createHash('sha256')).update(bytes);
      if (isEnd) return { sizeBytes, sha256: hash.digest('hex'), crc32: crc };
    }
  }

  /** What is at `position`, as much as the chunk takes; less only at the end of the file. */
  #fill(position: number, end: number): Buffer {
    const length = Math.min(this.#chunk.length, end - position);
    let done = 0;
    while (done < length) {
      const [at, from] = [done, position + done];
      const read = ofSource(this.#shown, () =>
        readSync(this.#handle, this.#chunk, at, length - at, from),
      );
      if (read === 0) break;
      done += read;
      this.#onChunk?.();
    }
    return this.#chunk.subarray(0, done);
  }
}

function ofSource<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explain(error, 'source', path);
  }
}
