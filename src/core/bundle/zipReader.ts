/*
 * Reads zips without trusting them. What a library makes of the container is held against rules that leave no room for
 * two readings: plain relative names, each once; files only; a `-wal`, `-shm` or `-journal` only beside
 * its database; what stands before an entry agrees with the directory at the
 * end; no two entries share bytes; sizes and CRC-32 are those of the bytes that really come out. Anything else is
 * `backup-damaged`, and a zip beyond the limits is `too-large`, before anything of it is written.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw, inflateRawSync, type ZlibOptions } from 'node:zlib';
import type { Entry, ZipFile } from 'yauzl';
import yauzl from 'yauzl';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { ownerOf } from '../sqlite/siblings.ts';
import { formatBytes } from '../units.ts';
import { foldersOf, foldName, isOfFinder, problemOfEntryName } from './entryNames.ts';
import {
  requireAgreement,
  requireEmptyFolder,
  requirePlainFile,
  requireSoundName,
  shown,
  tooLarge,
  unsound,
} from './zipRules.ts';

export interface ZipMember {
  /** A path that is safe to append to a folder. */
  name: string;
  sizeBytes: number;
  compressedBytes: number;
}

export interface ZipLimits {
  entries: number;
  /** Of everything in it, unpacked. */
  totalBytes: number;
}

export const generousLimits: ZipLimits = { entries: 200_000, totalBytes: 2e12 };

/** Deflate cannot do better than 1032 to 1, so what promises more lies. Small files are let be. */
const mostRatio = 1040;
const quietBytes = 1024 * 1024;
const chunkBytes = 256 * 1024;
/** What is packed into so little is read in one piece. */
const smallBytes = 64 * 1024;
/** Zlib's own minimum. */
const fewestChunkBytes = 64;

interface Found extends ZipMember {
  entry: Entry;
}

/** An open zip whose directory has been read and found sound. Close it. */
export class Zip {
  /** In the order of the directory, without the siblings of databases. */
  readonly members: readonly ZipMember[];
  readonly #file: ZipFile;
  readonly #path: string;
  readonly #handle: number;
  readonly #found: ReadonlyMap<string, Found>;

  private constructor(path: string, handle: number, file: ZipFile, found: Map<string, Found>) {
    this.#path = path;
    this.#handle = handle;
    this.#file = file;
    this.#found = found;
    this.members = [...found.values()]
      .filter(({ name }) => ownerOf(name) === undefined)
      .map(({ name, sizeBytes, compressedBytes }) => ({ name, sizeBytes, compressedBytes }));
  }

  static async open(path: string, limits: ZipLimits = generousLimits): Promise<Zip> {
    const handle = openZip(path);
    try {
      const { size } = fstatSync(handle);
      const file = await yauzl.fromRandomAccessReaderPromise(new HandleReader(handle), size, {
        autoClose: false,
        strictFileNames: true,
      });
      return new Zip(path, handle, file, await readDirectory(file, size, limits));
    } catch (error) {
      closeSync(handle);
      throw explainZip(error, path);
    }
  }

  close(): void {
    closeSync(this.#handle);
  }

  /** What lies beside a member as SQLite's `-wal`, `-shm` or `-journal` of it. Never a member, nor ever a file by itself. */
  siblingsOf(
    name: string,
  ): { name: string; suffix: (typeof siblingSuffixes)[number]; sizeBytes: number }[] {
    return siblingSuffixes.flatMap((suffix) => {
      const found = this.#found.get(name + suffix);
      return found === undefined ? [] : [{ name: found.name, suffix, sizeBytes: found.sizeBytes }];
    });
  }

  /** What stands before each entry agrees with the directory, and no two entries share bytes. */
  async requireSoundEntries(): Promise<void> {
    try {
      const extents: { name: string; from: number; to: number }[] = [];
      for (const { name, entry } of this.#found.values()) {
        const local = await this.#file.readLocalFileHeaderPromise(entry);
        requireAgreement(name, entry, local);
        const from = entry.relativeOffsetOfLocalHeader;
        extents.push({ name, from, to: local.fileDataStart + entry.compressedSize });
      }
      extents.sort((a, b) => a.from - b.from);
      for (const [index, { name, from }] of extents.entries()) {
        const before = extents[index - 1];
        if (before !== undefined && before.to > from)
          throw unsound(`${shown(before.name)} and ${shown(name)} share bytes`);
      }
    } catch (error) {
      throw explainZip(error, this.#path);
    }
  }

  /** Hands the content of a member to `onChunk`, piece by piece, and insists on its size and CRC-32. */
  async read(name: string, onChunk: (chunk: Buffer) => void): Promise<void> {
    const found = this.#require(name);
    try {
      await this.#inflate(found, onChunk);
    } catch (error) {
      throw explainZip(error, this.#path, name);
    }
  }

  /** The first bytes of a member, as far as it has them. Nothing proves them: the rest is not read. */
  async readBegin(name: string, mostBytes: number): Promise<Buffer> {
    const found = this.#require(name);
    const enough = new Error('enough');
    let begin = Buffer.alloc(0);
    try {
      await this.#inflate(found, (chunk) => {
        begin = Buffer.concat([begin, chunk.subarray(0, mostBytes - begin.length)]);
        if (begin.length === mostBytes) throw enough;
      });
    } catch (error) {
      if (error !== enough) throw explainZip(error, this.#path);
    }
    return begin;
  }

  #require(name: string): Found {
    const found = this.#found.get(name);
    if (found === undefined) throw noSuchMember(this.#path, name);
    return found;
  }

  async #inflate(found: Found, onChunk: (chunk: Buffer) => void): Promise<void> {
    const { name, entry, sizeBytes, compressedBytes } = found;
    if (compressedBytes <= smallBytes && sizeBytes <= quietBytes) {
      const bytes = await this.#readSmall(found);
      onChunk(bytes);
      requireContent(found, bytes.length, crc32(bytes));
      return;
    }
    const raw = await this.#file.openReadStreamPromise(entry, { decodeFileData: false });
    let [doneBytes, crc] = [0, 0];
    const take = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) {
        doneBytes += chunk.length;
        // A few kilobytes can become gigabytes: counted as they come, not afterwards.
        if (doneBytes > sizeBytes) throw unsound(`${shown(name)} is longer than its header says`);
        crc = crc32(chunk, crc);
        onChunk(chunk);
      }
    };
    if (entry.compressionMethod === 0) {
      await pipeline(raw, take);
    } else {
      // A buffer of that size is made for each member, and there may be thousands of small ones.
      const chunkSize = Math.min(chunkBytes, Math.max(sizeBytes, fewestChunkBytes));
      const inflate = createInflateRaw({ chunkSize });
      await pipeline(raw, inflate, take);
      if (inflate.bytesWritten !== compressedBytes)
        throw unsound(`${shown(name)} has more data than belongs to it`);
    }
    requireContent(found, doneBytes, crc);
  }

  /** In one piece: streams cost more than what they carry where there are thousands of small files. */
  async #readSmall({ name, entry, sizeBytes, compressedBytes }: Found): Promise<Buffer> {
    const { fileDataStart } = await this.#file.readLocalFileHeaderPromise(entry, { minimal: true });
    const raw = Buffer.allocUnsafe(compressedBytes);
    if (readSync(this.#handle, raw, 0, compressedBytes, fileDataStart) < compressedBytes)
      throw unsound('it ends too early');
    if (entry.compressionMethod === 0) return raw;
    const chunkSize = Math.max(sizeBytes, fewestChunkBytes);
    const inflated = inflateAtMost(raw, { chunkSize, maxOutputLength: chunkSize + 1 });
    if (inflated === undefined) throw unsound(`${shown(name)} is longer than its header says`);
    const { buffer, engine } = inflated;
    if (engine.bytesWritten !== compressedBytes)
      throw unsound(`${shown(name)} has more data than belongs to it`);
    return buffer;
  }

  /** The whole content of a small member. */
  async readSmall(name: string, mostBytes: number): Promise<Buffer> {
    if (this.#require(name).sizeBytes > mostBytes)
      throw explainZip(unsound(`${shown(name)} is too large to be what it claims`), this.#path);
    const chunks: Buffer[] = [];
    await this.read(name, (chunk) => chunks.push(Buffer.from(chunk)));
    return Buffer.concat(chunks);
  }
}

function requireContent({ name, sizeBytes, entry }: Found, bytes: number, crc: number): void {
  if (bytes > sizeBytes) throw unsound(`${shown(name)} is longer than its header says`);
  if (bytes < sizeBytes) throw unsound(`${shown(name)} is shorter than its header says`);
  if (crc !== entry.crc32) throw unsound(`the CRC of ${shown(name)} is wrong`);
}

/** Undefined for more than `maxOutputLength`. */
function inflateAtMost(
  raw: Buffer,
  options: ZlibOptions,
): { buffer: Buffer; engine: { bytesWritten: number } } | undefined {
  try {
    // The types do not know of `info`, which also gives what the bytes were read with.
    const inflated: unknown = inflateRawSync(raw, { ...options, info: true });
    return inflated as ReturnType<typeof inflateAtMost>;
  } catch (error) {
    const isLonger =
      error instanceof Error && Reflect.get(error, 'code') === 'ERR_BUFFER_TOO_LARGE';
    if (isLonger) return undefined;
    throw error;
  }
}

function openZip(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw explain(error, 'source', path);
  }
}

async function readDirectory(
  file: ZipFile,
  fileBytes: number,
  limits: ZipLimits,
): Promise<Map<string, Found>> {
  if (file.entryCount > limits.entries)
    throw tooLarge(`it has ${file.entryCount} entries, more than ${limits.entries}`);
  const found = new Map<string, Found>();
  const files = new Set<string>();
  const folders = new Set<string>();
  let totalBytes = 0;
  for await (const entry of file.eachEntry()) {
    const name = requireSoundName(entry);
    if (name.endsWith('/')) {
      requireEmptyFolder(entry, name);
      folders.add(foldName(name.slice(0, -1)));
      continue;
    }
    requirePlainFile(entry, name);
    const folded = foldName(name);
    if (files.has(folded)) throw unsound(`${shown(name)} is in it twice`);
    files.add(folded);
    for (const folder of foldersOf(folded)) folders.add(folder);
    const { uncompressedSize: sizeBytes, compressedSize: compressedBytes } = entry;
    totalBytes += sizeBytes;
    if (totalBytes > limits.totalBytes)
      throw tooLarge(`unpacked it has more than ${formatBytes(limits.totalBytes)}`);
    if (sizeBytes > quietBytes && sizeBytes > mostRatio * compressedBytes)
      throw unsound(`${shown(name)} has an impossible packed size`);
    found.set(name, { name, sizeBytes, compressedBytes, entry });
  }
  if (totalBytes > quietBytes && totalBytes > mostRatio * fileBytes)
    throw unsound('its headers promise more than it can hold');
  for (const name of files) {
    if (folders.has(name)) throw unsound(`${shown(name)} is a file and a folder`);
  }
  for (const name of found.keys()) {
    const owner = ownerOf(name);
    if (owner === undefined || found.has(owner) || isOfFinder(name)) continue;
    throw unsound(`the name ${shown(name)} ${problemOfEntryName(name) ?? 'cannot be used'}`);
  }
  return found;
}

/** Reads for the library from an open file: the directory through a window, the content in larger pieces. */
class HandleReader extends yauzl.RandomAccessReader {
  readonly #handle: number;
  #window = Buffer.alloc(0);
  #windowStart = 0;

  constructor(handle: number) {
    super();
    this.#handle = handle;
  }

  override _readStreamForRange(start: number, end: number): Readable {
    const handle = this.#handle;
    let at = start;
    return new Readable({
      highWaterMark: chunkBytes,
      // Not the system's own stream, which closes the file when it is given up.
      read() {
        try {
          const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, end - at));
          const read = readSync(handle, chunk, 0, chunk.length, at);
          at += read;
          this.push(read === 0 ? null : chunk.subarray(0, read));
        } catch (error) {
          this.destroy(error instanceof Error ? error : new Error(String(error)));
        }
      },
    });
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    try {
      const copied = this.#readNow(buffer.subarray(offset, offset + length), position);
      const error = copied === length ? null : new Error('unexpected end of the file');
      setImmediate(callback, error);
    } catch (error) {
      setImmediate(callback, error instanceof Error ? error : new Error(String(error)));
    }
  }

  #readNow(target: Buffer, position: number): number {
    const at = position - this.#windowStart;
    if (at < 0 || at + target.length > this.#window.length) {
      const window = Buffer.allocUnsafe(Math.max(windowBytes, target.length));
      this.#window = window.subarray(0, readSync(this.#handle, window, 0, window.length, position));
      this.#windowStart = position;
    }
    return this.#window.copy(target, 0, position - this.#windowStart);
  }
}

const windowBytes = 16 * 1024;

export function noSuchMember(path: string, name: string): BackupError {
  return new BackupError('source-missing', `${path} does not contain ${shown(name)}.`, {
    path,
    hint: 'Its details, or `verify`, list what it contains.',
  });
}

/** Of zlib, about the data. Its other errors are about memory and buffers. */
const dataErrors: readonly unknown[] = ['Z_DATA_ERROR', 'Z_BUF_ERROR', 'Z_NEED_DICT'];

/** The library's errors are sentences about the format. Every error with a code is trouble, but for those of the data. */
function explainZip(error: unknown, path: string, member?: string): BackupError {
  if (isBackupError(error)) {
    if (error.path !== undefined) return error;
    return new BackupError(error.code, `${path} cannot be trusted: ${error.message}.`, {
      path,
      hint: 'Use another backup.',
      facts: { reason: error.message.slice(0, 300) },
    });
  }
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const isSentence = error instanceof Error && error.name === 'Error' && code === undefined;
  const isOfFormat = isSentence || dataErrors.includes(code);
  if (!isOfFormat) return explain(error, 'source', path);
  const reason = error instanceof Error ? error.message : String(error);
  const of = member === undefined ? '' : `${shown(member)}: `;
  return new BackupError('backup-damaged', `${path} is not a valid zip: ${of}${reason}.`, {
    path,
    hint: 'Use another backup.',
    facts: { reason: reason.slice(0, 300) },
    cause: error,
  });
}
