/** Writes zips: the compressed streams are made on all cores, those of small files at once. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Compression } from '../manifest/manifest.ts';
import { deflateBlocks, deflateSmall, type ReadInto } from './deflate.ts';
import { ZipContainer } from './zipContainer.ts';

/** A file to be packed. Size and CRC-32 are of its content, known beforehand. */
export interface Packable {
  name: string;
  sizeBytes: number;
  crc32: number;
  content: { path: string } | { bytes: Buffer };
}

const levels: Readonly<Record<Compression, number>> = { store: 0, fast: 1, balanced: 6, small: 9 };
const chunkBytes = 256 * 1024;
/** What deflate saves of less than this is less than the entry's own header, and each stream costs a buffer. */
const fewestDeflatedBytes = 100;
/** Below this, another thread costs more than it gains. */
const smallBytes = 64 * 1024;

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
    const zip = new ZipContainer(handle, at);
    let doneBytes = 0;
    for (const file of files) {
      const onRead = (bytes: number): void => onProgress((doneBytes += bytes));
      await addFile(zip, file, levels[compression], onRead);
      onPacked(file);
    }
    return zip.end();
  } finally {
    closeSync(handle);
  }
}

async function addFile(
  zip: ZipContainer,
  { name, sizeBytes, crc32, content }: Packable,
  level: number,
  onRead: (bytes: number) => void,
): Promise<void> {
  const isDeflated = level > 0 && sizeBytes >= fewestDeflatedBytes;
  const head = { name, sizeBytes, crc32, isDeflated };
  const source = openContent(content, onRead);
  try {
    if (sizeBytes <= smallBytes) {
      const bytes = Buffer.allocUnsafe(sizeBytes);
      if (source.readInto(bytes) < sizeBytes)
        throw new Error('The file became shorter while it was read.');
      zip.add(head, isDeflated ? deflateSmall(bytes, level) : bytes);
    } else {
      const pieces = isDeflated
        ? deflateBlocks(source.readInto, sizeBytes, level)
        : storeBlocks(source.readInto, sizeBytes);
      await zip.addPieces(head, pieces);
    }
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

// oxlint-disable-next-line typescript/require-await -- a stream is made of it
async function* storeBlocks(readInto: ReadInto, sizeBytes: number): AsyncGenerator<Buffer> {
  for (let left = sizeBytes; left > 0;) {
    const block = Buffer.allocUnsafe(Math.min(chunkBytes, left));
    if (readInto(block) < block.length)
      throw new Error('The file became shorter while it was read.');
    left -= block.length;
    yield block;
  }
}
