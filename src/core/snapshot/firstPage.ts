/*
 * The first page of a database, before SQLite opens it in this process, and what becomes of it in a copy. Both are only
 * expectations: a writer may be quicker, so their users look at the copy. Sources:
 * https://sqlite.org/fileformat2.html#the_database_header and https://sqlite.org/fileformat2.html#wal_file_format
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { checksumBytes, hasRightChecksum, pageChecksum } from '../sqlite/pageChecksums.ts';

/** As the newest transaction has left it: in the WAL, if it is there. Empty when it cannot be read. */
export function readFirstPage(path: string, pageSize: number): Buffer {
  try {
    return withFile(`${path}-wal`, (wal) => newestInWal(wal, pageSize)) ?? firstIn(path, pageSize);
  } catch {
    // Whether the database can be read at all is for others to find out, and to say.
    return Buffer.alloc(0);
  }
}

function firstIn(path: string, pageSize: number): Buffer {
  return withFile(path, (file) => piece(file, 0, pageSize)) ?? Buffer.alloc(0);
}

const walHeaderBytes = 32;
const frameHeaderBytes = 24;
/** Looking through a longer one would take longer than it saves. */
const mostFrames = 100_000;

function newestInWal(wal: number, pageSize: number): Buffer | undefined {
  const header = piece(wal, 0, walHeaderBytes);
  if (header.length < walHeaderBytes) return undefined;
  const salts = header.subarray(16, 24);
  let [seen, committed]: (number | undefined)[] = [undefined, undefined];
  for (let n = 0; n < mostFrames; n++) {
    const at = walHeaderBytes + n * (frameHeaderBytes + pageSize);
    const frame = piece(wal, at, frameHeaderBytes);
    // What follows was left by an earlier use of the file.
    if (frame.length < frameHeaderBytes || !frame.subarray(8, 16).equals(salts)) break;
    if (frame.readUInt32BE(0) === 1) seen = at + frameHeaderBytes;
    if (frame.readUInt32BE(4) > 0) committed = seen;
  }
  return committed === undefined ? undefined : piece(wal, committed, pageSize);
}

/** Undefined when there is no such file. Opening a FIFO or a device could block for ever. */
function withFile<T>(path: string, action: (handle: number) => T): T | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  const handle = openSync(path, 'r');
  try {
    return action(handle);
  } finally {
    closeSync(handle);
  }
}

function piece(handle: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(handle, bytes, 0, length, at));
}

/**
 * What the first page of a copy made by SQLite's backup is when that of the original is `original`: the copy is in
 * rollback mode, and its counters begin anew. `sqlite`: the version that makes the copy, such as `3.51.1`.
 */
export function foreseeFirstPage(original: Buffer, sqlite: string): Buffer {
  const page = Buffer.from(original);
  if (page.length < 100) return page;
  // To leave WAL mode is a change of its own.
  const changes = page.readUInt8(18) === 2 ? 2 : 1;
  page.writeUInt8(1, 18);
  page.writeUInt8(1, 19);
  page.writeUInt32BE(changes, 24);
  page.writeUInt32BE(1, 40);
  page.writeUInt32BE(changes, 92);
  page.writeUInt32BE(versionNumber(sqlite), 96);
  // Where the pages have checksums, the copy gets that of its own first page.
  if (page.readUInt8(20) === checksumBytes && hasRightChecksum(original))
    pageChecksum(page).copy(page, page.length - checksumBytes);
  return page;
}

function versionNumber(sqlite: string): number {
  const [major = 0, minor = 0, patch = 0] = sqlite.split('.').map(Number);
  return major * 1_000_000 + minor * 1000 + patch;
}
