/** What an entry of a zip has to be before it is read. Each breach throws `backup-damaged`, without a path. */
import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import type { Entry, LocalFileHeader } from 'yauzl';
import { BackupError } from '../errors.ts';
import { ownerOf } from '../sqlite/siblings.ts';
import { problemOfEntryName } from './entryNames.ts';

export function requireSoundName(entry: Entry): string {
  const name = nameOf(entry);
  const bare = name.endsWith('/') ? name.slice(0, -1) : name;
  // A sibling is as sound as its database, which has to be there as well.
  const problem = problemOfEntryName((name === bare && ownerOf(bare)) || bare);
  if (problem !== undefined) throw unsound(`the name ${shown(name)} ${problem}`);
  return name;
}

const unicodePathField = 0x7075;
const saysUtf8 = 0x800;

/**
 * The name of an entry. Programs on Unix write UTF-8 and often do not say so; what is none is in the letters of old
 * consoles, beside which there may be a second name in UTF-8. The two may differ in those letters alone: some programs
 * take one and some the other.
 */
function nameOf(entry: Entry): string {
  const { fileName, fileNameRaw: raw, extraFields } = entry;
  const isPlain = isUtf8(raw) && (entry.generalPurposeBitFlag & saysUtf8) === 0;
  const field = extraFields.find(({ id }) => id === unicodePathField)?.data;
  if (field === undefined) return isPlain ? raw.toString() : fileName;
  const second = field.subarray(5);
  const isOfFirst = field.length > 5 && field[0] === 1 && field.readUInt32LE(1) === crc32(raw);
  if (!isOfFirst || !isUtf8(second) || asciiOf(raw) !== asciiOf(second))
    throw unsound(`${shown(fileName)} has two names`);
  return second.toString();
}

function asciiOf(name: Buffer): string {
  return name.toString('latin1').replace(/[\x80-\xff]+/g, '*');
}

const fileTypes = { mask: 0o170000, regular: 0o100000, folder: 0o040000 } as const;
const madeOnUnix = [3, 19];

/** The Unix file type of an entry, 0 when it has none. */
function typeOf({ versionMadeBy, externalFileAttributes }: Entry): number {
  return madeOnUnix.includes(versionMadeBy >>> 8)
    ? (externalFileAttributes >>> 16) & fileTypes.mask
    : 0;
}

export function requireEmptyFolder(entry: Entry, name: string): void {
  const isFolder = [0, fileTypes.folder].includes(typeOf(entry));
  if (!isFolder || entry.uncompressedSize !== 0)
    throw unsound(`${shown(name)} has the name of a folder, but is a file`);
}

const folderAttribute = 0x10;

export function requirePlainFile(entry: Entry, name: string): void {
  const isFile = [0, fileTypes.regular].includes(typeOf(entry));
  if (!isFile || (entry.externalFileAttributes & folderAttribute) !== 0)
    throw unsound(`${shown(name)} is not a regular file`);
  if (entry.isEncrypted()) throw unsound(`${shown(name)} is encrypted`);
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8)
    throw unsound(`${shown(name)} is packed with an unsupported method`);
}

const describedLater = 0x8;
const elsewhere = 0xffffffff;

export function requireAgreement(name: string, entry: Entry, local: LocalFileHeader): void {
  if (!local.fileName.equals(entry.fileNameRaw))
    throw unsound(`${shown(name)} has two different names in the zip`);
  const differs = (here: number, there: number): boolean =>
    here !== there && here !== elsewhere && (local.generalPurposeBitFlag & describedLater) === 0;
  const isSame =
    local.compressionMethod === entry.compressionMethod &&
    ((local.generalPurposeBitFlag ^ entry.generalPurposeBitFlag) & 1) === 0 &&
    !differs(local.uncompressedSize, entry.uncompressedSize) &&
    !differs(local.compressedSize, entry.compressedSize) &&
    !differs(local.crc32, entry.crc32);
  if (!isSame) throw unsound(`${shown(name)} has contradictory headers`);
}

export function shown(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}

export function unsound(what: string): BackupError {
  return new BackupError('backup-damaged', what);
}

export function tooLarge(what: string): BackupError {
  return new BackupError('too-large', what);
}
