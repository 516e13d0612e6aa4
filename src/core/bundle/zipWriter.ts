/** Writes zips: the container is a library's, the compressed streams are made here, on all cores. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { configure, ZipWriter } from '@zip.js/zip.js/lib/zip-core-custom.js';
import type { Compression } from '../manifest/manifest.ts';
import { deflateBlocks, type ReadInto } from './deflate.ts';

/** A file to be packed. Size and CRC-32 are of its content, known beforehand. */
export interface Packable {
  name: string;
  sizeBytes: number;
  crc32: number;
  content: { path: string } | { bytes: Buffer };
}

const levels: Readonly<Record<Compression, number>> = { store: 0, fast: 1, balanced: 6, small: 9 };
const methods = { store: 0, deflate: 8 } as const;
const chunkBytes = 256 * 1024;
/** A regular file that its owner may read and write. */
const unixMode = 0o100600;

configure({ useWebWorkers: false, chunkSize: chunkBytes });

interface ZipOptions {
  compression: Compression;
  /** The time of all entries; nothing else in a zip depends on when it is written. */
  at: Date;
  /** Gets the bytes packed so far; what it throws ends the writing. */
  onProgress: (doneBytes: number) => void;
  /** Called when a file is in the zip and not needed any more. */
  onPacked: (packed: Packable) => void;
}

/** Writes a zip into the existing empty file `to`, in the order of `files`. Returns its size and SHA-256. */
export async function writeZip(
  to: string,
  files: readonly Packable[],
  { compression, at, onProgress, onPacked }: ZipOptions,
): Promise<{ sizeBytes: number; sha256: string }> {
  const handle = openSync(to, 'w');
  try {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const target = new WritableStream<Uint8Array>({
      write(chunk) {
        writeFully(handle, chunk);
        hash.update(chunk);
        sizeBytes += chunk.length;
      },
    });
    const zip = new ZipWriter(target, { lastModDate: at, rawLastModDate: dosTime(at), unixMode });
    let doneBytes = 0;
    for (const file of files) {
      const onRead = (bytes: number): void => onProgress((doneBytes += bytes));
      await addFile(zip, file, levels[compression], onRead);
      onPacked(file);
    }
    await zip.close();
    return { sizeBytes, sha256: hash.digest('hex') };
  } finally {
    closeSync(handle);
  }
}

async function addFile(
  zip: ZipWriter<unknown>,
  file: Packable,
  level: number,
  onRead: (bytes: number) => void,
): Promise<void> {
  const source = openContent(file.content, onRead);
  const isStored = level === 0 || file.sizeBytes === 0;
  const pieces = isStored
    ? storeBlocks(source.readInto, file.sizeBytes)
    : deflateBlocks(source.readInto, file.sizeBytes, level);
  try {
    const readable = ReadableStream.from(pieces);
    // What is stored has a known size, which then stands before it and not after it.
    await zip.add(file.name, isStored ? { readable, size: file.sizeBytes } : { readable }, {
      passThrough: true,
      compressionMethod: isStored ? methods.store : methods.deflate,
      uncompressedSize: file.sizeBytes,
      crc32: file.crc32,
    });
  } finally {
    source.close();
  }
}

function openContent(
  content: Packable['content'],
  onRead: (bytes: number) => void,
): { readInto: ReadInto; close: () => void } {
  if ('bytes' in content) {
    let offset = 0;
    return {
      readInto: (buffer) => {
        const copied = content.bytes.copy(buffer, 0, offset);
        offset += copied;
        return copied;
      },
      close: () => undefined,
    };
  }
  const handle = openSync(content.path, 'r');
  return {
    readInto: (buffer) => {
      const read = readSync(handle, buffer);
      onRead(read);
      return read;
    },
    close: () => closeSync(handle),
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- a stream is made of it
async function* storeBlocks(readInto: ReadInto, sizeBytes: number): AsyncGenerator<Buffer> {
  for (let left = sizeBytes; left > 0;) {
    const block = Buffer.allocUnsafe(Math.min(chunkBytes, left));
    if (readInto(block) < block.length) throw new Error('The file has become shorter.');
    left -= block.length;
    yield block;
  }
}

function writeFully(handle: number, chunk: Uint8Array): void {
  for (let done = 0; done < chunk.length;) done += writeSync(handle, chunk, done);
}

/** The date and time of a zip entry, in UTC: the local time would make the bytes depend on the time zone. */
function dosTime(at: Date): number {
  const year = Math.min(Math.max(at.getUTCFullYear(), 1980), 2107);
  const date = ((year - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate();
  const time =
    (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | Math.floor(at.getUTCSeconds() / 2);
  return ((date << 16) | time) >>> 0;
}
