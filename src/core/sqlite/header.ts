/*
 * What the first bytes of a file say, read without SQLite. Source: https://sqlite.org/fileformat2.html#the_database_header
 * Opening and closing a file drops every POSIX lock that this process holds on it, so this must run before the process
 * opens the same file with SQLite, and never in the extension host.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { statIfAny } from '../files/paths.ts';
import { pause } from '../pause.ts';
import { ownerOf, siblingsOf } from './siblings.ts';

/**
 * By which people name databases; the content decides. The last ones are those of GeoPackage, map tiles, Anki, VS Code,
 * phones and Fossil.
 */
export const databaseExtensions = [
  ...['.db', '.db3', '.sqlite', '.sqlite3', '.sqlitedb', '.s3db', '.sdb', '.sl3'],
  ...['.gpkg', '.mbtiles', '.anki2', '.vscdb', '.fossil'],
];

const headerBytes = 100;
/** How much of the beginning of a file `classify` looks at. */
export const sampleBytes = 4096;
const magic = Buffer.from('SQLite format 3\0', 'latin1');

export type Header =
  | {
      kind: 'sqlite';
      /** `wal`, or `rollback` for all other modes: which of them it is only the connections know. */
      journalMode: 'wal' | 'rollback';
      pageSize: number;
      /** Undefined when the header does not vouch for it (written by SQLite before 3.7.0). */
      pageCount: number | undefined;
      /** At the end of each page, for an extension of SQLite. */
      reservedBytes: number;
      sizeBytes: number;
    }
  | { kind: 'empty' }
  | { kind: 'other'; encrypted: boolean }
  | { kind: 'newer'; readVersion: number }
  | { kind: 'invalid' };

/** Classifies the regular file `path` by its header. Throws only for system errors, explained. */
export function readHeader(path: string | Buffer): Header {
  const { sample, sizeBytes } = readSample(path);
  return classify(sample, sizeBytes);
}

function readSample(path: string | Buffer): { sample: Buffer; sizeBytes: number } {
  try {
    const sizeBytes = statSync(path).size;
    const sample = Buffer.alloc(Math.min(sampleBytes, sizeBytes));
    const handle = openSync(path, 'r');
    try {
      return { sample: sample.subarray(0, readSync(handle, sample)), sizeBytes };
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw explain(error, 'source', path.toString());
  }
}

/**
 * Whether `path` is, or would be, what SQLite keeps beside a database. A name does not decide: `travel-journal` can be a
 * database, or a text. A file is a sibling when a file that may be its database is there, or has the name of one, or when
 * it has the content of a sibling.
 */
export function isSibling(path: string): boolean {
  const owner = ownerOf(path);
  if (owner === undefined || hasHeader(path)) return false;
  return mayBeDatabase(owner) || hasDatabaseExtension(owner) || hasContentOfSibling(path);
}

/** By content. False for what is missing, cannot be read, or is not a regular file. */
export function hasHeader(path: string): boolean {
  const sample = sampleIfAny(path);
  return sample !== undefined && sample.subarray(0, magic.length).equals(magic);
}

export function hasDatabaseExtension(path: string): boolean {
  return databaseExtensions.includes(extname(path).toLowerCase());
}

/**
 * Refuses a database with another one under the name of its journal or WAL: SQLite would take that for its own, and a
 * program that opens the first one for writing deletes the second.
 */
export function refuseNeighbours(path: string): void {
  const neighbour = ['-journal', '-wal'].map((suffix) => path + suffix).find(hasHeader);
  if (neighbour === undefined) return;
  throw new BackupError(
    'bad-name',
    `${path} has another database beside it, ${basename(neighbour)}, whose name is that of a file SQLite keeps for it. SQLite may delete it.`,
    { path, hint: `Close both, then rename ${basename(neighbour)}.` },
  );
}

function mayBeDatabase(path: string): boolean {
  if (statIfAny(path)?.isFile() !== true) return false;
  try {
    const header = readHeader(path);
    return header.kind !== 'other' || header.encrypted;
  } catch {
    return true; // What cannot be read may be one.
  }
}

/** `-wal`, `-journal` (zeros once its transaction is over) and `-shm`, in both byte orders. */
const siblingMagics = ['377f0682', '377f0683', 'd9d505f9', '00000000', '18e22d00', '002de218'];

function hasContentOfSibling(path: string): boolean {
  const sample = sampleIfAny(path);
  if (sample === undefined) return false;
  return sample.length === 0 || siblingMagics.includes(sample.toString('hex', 0, 4));
}

function sampleIfAny(path: string): Buffer | undefined {
  if (statIfAny(path)?.isFile() !== true) return undefined;
  try {
    return readSample(path).sample;
  } catch {
    return undefined;
  }
}

/** Classifies a file of `sizeBytes` by its first bytes. */
export function classify(sample: Buffer, sizeBytes: number): Header {
  if (sample.length === 0) return { kind: 'empty' };
  if (sample.length < headerBytes || !sample.subarray(0, magic.length).equals(magic)) {
    return { kind: 'other', encrypted: looksEncrypted(sample, sizeBytes) };
  }
  const rawPageSize = sample.readUInt16BE(16);
  const pageSize = rawPageSize === 1 ? 65536 : rawPageSize;
  const readVersion = sample.readUInt8(19);
  if (readVersion > 2) return { kind: 'newer', readVersion };
  const isPowerOfTwo = pageSize >= 512 && (pageSize & (pageSize - 1)) === 0;
  const hasFixedFractions = sample.readUIntBE(21, 3) === 0x402020;
  if (!isPowerOfTwo || !hasFixedFractions || readVersion === 0) return { kind: 'invalid' };
  const vouched =
    sample.readUInt32BE(24) === sample.readUInt32BE(92) && sample.readUInt32BE(28) > 0;
  return {
    kind: 'sqlite',
    journalMode: readVersion === 2 ? 'wal' : 'rollback',
    pageSize,
    pageCount: vouched ? sample.readUInt32BE(28) : undefined,
    reservedBytes: sample.readUInt8(20),
    sizeBytes,
  };
}

const knownFormats = [
  'PK',
  '\x1f\x8b',
  'BZh',
  '\xfd7zXZ',
  '7z\xbc\xaf',
  '\x28\xb5\x2f\xfd',
  '\x89PNG',
  '\xff\xd8',
];

/** A guess: whole 512-byte blocks of what looks like noise, and no other format's signature. */
function looksEncrypted(sample: Buffer, sizeBytes: number): boolean {
  const start = sample.toString('latin1', 0, 8);
  if (sizeBytes < 512 || sizeBytes % 512 !== 0) return false;
  if (knownFormats.some((signature) => start.startsWith(signature))) return false;
  return bitsPerByte(sample) > 7;
}

/** Shannon entropy. 512 random bytes have about 7.6, text 4 to 5, SQLite pages 1 to 6. */
function bitsPerByte(sample: Buffer): number {
  const counts = new Array<number>(256).fill(0);
  for (const byte of sample) counts[byte] = (counts[byte] ?? 0) + 1;
  return counts.reduce((sum, n) => {
    const share = n / sample.length;
    return n === 0 ? sum : sum - share * Math.log2(share);
  }, 0);
}

/** The header of a file that can be backed up; what cannot is refused with the error that says why. */
export function requireDatabase(path: string): Extract<Header, { kind: 'sqlite' }> {
  const header = readHeader(path);
  switch (header.kind) {
    case 'sqlite':
      break;
    case 'empty':
      throw new BackupError('not-a-database', `${path} is empty (0 bytes).`, {
        path,
        hint: 'There is nothing to back up until a program has written to it.',
        facts: { reason: 'empty' },
      });
    case 'other':
      if (header.encrypted) {
        throw new BackupError(
          'encrypted-or-not-sqlite',
          `${path} is not a plain SQLite file (encrypted, or another format).`,
          {
            path,
            hint: 'An encrypted database can only be copied as a file, while no program has it open.',
          },
        );
      }
      throw new BackupError('not-a-database', `${path} is not a SQLite database.`, {
        path,
        hint: 'Check the path.',
        facts: { reason: 'no-header' },
      });
    case 'newer':
      throw new BackupError('newer-format', `${path} needs a newer SQLite than this one.`, {
        path,
        hint: 'Update SQLite Backup.',
        facts: { readVersion: header.readVersion },
      });
    case 'invalid':
      throw corrupt(path, 'its header is not valid');
  }
  refuseTruncated(path, header);
  return header;
}

const looksAtTail = 5;
const lookPauseMs = 20;

/**
 * SQLite reads a missing tail as zeros, so a file shorter than its header says must not get that far. A program that
 * commits writes the header before the last pages, so only what is cut off at each look is damage.
 */
function refuseTruncated(path: string, first: Extract<Header, { kind: 'sqlite' }>): void {
  let header: Header = first;
  for (let look = 1; header.kind === 'sqlite' && isCutOff(path, header); look++) {
    const { pageCount = 0, pageSize, sizeBytes } = header;
    if (look === looksAtTail)
      throw corrupt(path, `it is cut off: ${sizeBytes} of ${pageCount * pageSize} bytes`);
    pause(lookPauseMs);
    header = readHeader(path);
  }
}

function isCutOff(path: string, header: Extract<Header, { kind: 'sqlite' }>): boolean {
  if (header.pageCount === undefined) return false;
  if (header.sizeBytes >= header.pageCount * header.pageSize) return false;
  // An unfinished checkpoint or transaction leaves a file that its WAL or journal completes.
  const siblings = siblingsOf(path);
  return !(['-wal', '-journal'] as const).some(
    (suffix) => (siblings.get(suffix)?.sizeBytes ?? 0) > 0,
  );
}

function corrupt(path: string, why: string): BackupError {
  return new BackupError('corrupt', `${path} is damaged: ${why}.`, {
    path,
    hint: 'Restore it from a backup, or try `sqlite3 DATABASE .recover` on a copy.',
  });
}
