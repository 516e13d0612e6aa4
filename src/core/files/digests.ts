/** SHA-256 and CRC-32 of files, read in pieces. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { readPastCache } from './directFile.ts';

/** As quick as larger ones. */
const hashChunkBytes = 256 * 1024;

export interface Digests {
  /** Lower-case hex. */
  sha256: string;
  crc32: number;
}

/** What a copy is for: one that will be packed needs what a zip says of it. */
export type Purpose = 'publish' | 'pack';

export type DigestsFor = Pick<Digests, 'sha256'> & Partial<Digests>;

export interface ToDigest {
  path: string;
  purpose: Purpose;
  /** A clone that was made just now: the system's cache has nothing of it. */
  isUnread: boolean;
}

/** What a copy of that purpose needs: half as much again of time goes into a CRC-32. `onProgress` as in `digestFile`. */
export async function digestCopy(
  { path, purpose, isUnread }: ToDigest,
  onProgress?: (doneBytes: number) => void,
): Promise<DigestsFor> {
  const digests = isUnread ? await digestUnread(path, purpose, onProgress) : undefined;
  if (digests !== undefined) return digests;
  return purpose === 'pack'
    ? digestFile(path, onProgress)
    : { sha256: sha256File(path, onProgress) };
}

/**
 * The cache would take as much memory as the file has bytes, for nothing: it is read past it, and each piece is hashed while
 * the next one comes. Undefined where that is not possible.
 */
async function digestUnread(
  path: string,
  purpose: Purpose,
  onProgress?: (doneBytes: number) => void,
): Promise<DigestsFor | undefined> {
  const hash = createHash('sha256');
  let crc = 0;
  let doneBytes = 0;
  const isRead = await readPastCache(path, (piece) => {
    hash.update(piece);
    if (purpose === 'pack') crc = crc32(piece, crc);
    onProgress?.((doneBytes += piece.length));
  });
  if (!isRead) return undefined;
  return { sha256: hash.digest('hex'), ...(purpose === 'pack' && { crc32: crc }) };
}

/** Both digests of a file in one reading. `onProgress` gets the bytes read so far; what it throws ends the reading. */
export function digestFile(path: string, onProgress?: (doneBytes: number) => void): Digests {
  let crc = 0;
  const sha256 = hashFile(path, onProgress, (chunk) => (crc = crc32(chunk, crc)));
  return { sha256, crc32: crc };
}

/** SHA-256 of a file as lower-case hex. `onProgress` gets the bytes read so far; what it throws ends the reading. */
export function sha256File(path: string, onProgress?: (doneBytes: number) => void): string {
  return hashFile(path, onProgress);
}

function hashFile(
  path: string,
  onProgress?: (doneBytes: number) => void,
  onChunk?: (chunk: Buffer) => void,
): string {
  const hash = createHash('sha256');
  let doneBytes = 0;
  for (const chunk of chunksOf(path)) {
    hash.update(chunk);
    onChunk?.(chunk);
    onProgress?.((doneBytes += chunk.length));
  }
  return hash.digest('hex');
}

/** What is in a file, in one buffer that is used again for the next piece. */
function* chunksOf(path: string): Generator<Buffer> {
  const whole = Buffer.allocUnsafe(hashChunkBytes);
  const handle = openSync(path, 'r');
  try {
    for (;;) {
      const read = readSync(handle, whole);
      if (read === 0) return;
      yield whole.subarray(0, read);
    }
  } finally {
    closeSync(handle);
  }
}
