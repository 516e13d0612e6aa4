/** How backups are called. Pure: no file is looked at. */
import { basename, extname, join, parse } from 'node:path';
import { BackupError } from '../errors.ts';

export const longestName = 255 - '.suspect-journal'.length;
const longestExtension = 32;
const siblingName = /-(wal|shm|journal)$/;

/** The names to try for a snapshot of `source`: `<stem>_<YYYYMMDD>_<HHMMSS>Z<ext>` in UTC, then with `-2`, `-3` … */
export function* snapshotNames(source: string, at: Date): Generator<string> {
  // After an ending such as `.db-wal`, SQLite would take the backup for what belongs to another one.
  const extension = siblingName.test(source) ? '' : extname(source);
  const stem = basename(source, extension);
  yield* backupNames(stem, truncateBytes(safeName(extension), longestExtension), at);
}

/** How the names of all snapshots of `source` begin. */
export function stemOfSnapshot(source: string): string {
  const [name = ''] = snapshotNames(source, new Date(0));
  return name.slice(0, name.lastIndexOf(`_${timestamp(new Date(0))}`) + 1);
}

/** The names to try for a bundle called `name`: `<name>_<YYYYMMDD>_<HHMMSS>Z.zip`, then with `-2`, `-3` … */
export function bundleNames(name: string, at: Date): Generator<string> {
  return backupNames(name.trim() === '' ? 'bundle' : name.trim(), bundleExtension, at);
}

export const bundleExtension = '.zip';

function* backupNames(stem: string, extension: string, at: Date): Generator<string> {
  for (let attempt = 1; attempt <= 9999; attempt++) {
    const tail = `_${timestamp(at)}${attempt === 1 ? '' : `-${attempt}`}${extension}`;
    yield truncateBytes(safeName(stem), longestName - Buffer.byteLength(tail)) + tail;
  }
}

/** `20261121_134502Z`: sorts by time, says its zone, and is legal in file names everywhere. */
function timestamp(at: Date): string {
  const digits = at.toISOString().replace(/[-:]/g, '');
  return `${digits.slice(0, 8)}_${digits.slice(9, 15)}Z`;
}

/** The names to try for the set-aside of the database file `name`: `<name>.bad-<YYYYMMDD_HHMMSS>Z`, then `-2`, `-3` … */
export function* setAsideNames(name: string, at: Date): Generator<string> {
  for (let attempt = 1; attempt <= 9999; attempt++)
    yield `${name}.bad-${timestamp(at)}${attempt === 1 ? '' : `-${attempt}`}`;
}

/** Of which file, and when, a set-aside was made; undefined for any other name. */
export function parseSetAsideName(name: string): { target: string; createdAt: string } | undefined {
  const [, target = '', stamp = ''] = /^(.+)\.bad-(\d{8}_\d{6})Z(?:-\d{1,4})?$/s.exec(name) ?? [];
  const createdAt = isoTimeOf(stamp);
  return createdAt === undefined ? undefined : { target, createdAt };
}

/** Of the name of a new file: room for a number, and for what SQLite calls its siblings. */
const longestRestored = 255 - '-999-journal'.length;

/** `app.restored_20261121_134502.db`, beside `app.db`: a restore to a new file. */
export function restoredName(live: string, createdAt: string): string {
  const stamp = createdAt.replace(/[-:]/g, '').replace('T', '_').slice(0, 15);
  const { dir, name, ext } = parse(live);
  const end = `.restored_${stamp}${ext}`;
  return join(dir, truncateBytes(name, longestRestored - Buffer.byteLength(end)) + end);
}

/** True for the name of a restore to a new file: a copy of a backup, which is there to be looked at. */
export function isRestoredName(path: string): boolean {
  return /\.restored_\d{8}_\d{6}(?:-\d{1,3})?(?:\.[^.]*)?$/.test(path);
}

/** Replaces what is not legal on every file system, or could hide what a name says (control and bidi characters). */
export function safeName(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}<>:"/\\|?*]/gu, '_');
}

export function truncateBytes(text: string, most: number): string {
  let result = '';
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > most) break;
    result += character;
  }
  return result;
}

/** True for a name as snapshots get it, false for one that a person has given. */
export function hasNameOfOurs(path: string): boolean {
  return /_\d{8}_\d{6}Z(?:-\d+)?(?:\.[^.]*)?$/.test(path);
}

/** True for the name of a backup or its manifest as this extension chooses it, the copy of a damaged database included. */
export function isPublishedName(name: string): boolean {
  return /_\d{8}_\d{6}Z(?:-\d+)?(?:\.[^.]*)?(?:\.suspect)?(?:\.json)?$/.test(name);
}

/** The time in a name of ours, which sorts as text; undefined for a name that a person has given. */
export function timestampIn(name: string): string | undefined {
  return /_(\d{8}_\d{6})Z/.exec(name)?.[1];
}

/** The same as ISO 8601. */
export function timeInName(name: string): string | undefined {
  return isoTimeOf(timestampIn(name) ?? '');
}

function isoTimeOf(stamp: string): string | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)$/.exec(stamp);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** The number that sets backups of the same second apart: 1 for the first, then 2, 3 … */
export function sequenceOf(path: string): number {
  return Number(/_\d{8}_\d{6}Z(?:-(\d+))?/.exec(path)?.[1] ?? 1);
}

const suspectExtension = '.suspect';

/** The names for the copy of a damaged database, which is no backup. */
export function* suspectNames(names: Iterable<string>): Generator<string> {
  for (const name of names) yield name + suspectExtension;
}

export function isSuspectName(path: string): boolean {
  return path.endsWith(suspectExtension);
}

/** Where the manifest of a backup is. */
export function manifestNameOf(backup: string): string {
  return `${backup}.json`;
}

export const reservedOnWindows = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/**
 * The name itself, if it is a bare file name that is legal and means the same on every system. Throws `bad-name` for
 * paths, device names, control and bidi characters, blanks or dots at the ends, and names that SQLite reads otherwise.
 */
export function requireBareName(name: string): string {
  const problem = problemOf(name);
  if (problem === undefined) return name;
  throw new BackupError('bad-name', `${JSON.stringify(name)} ${problem}.`, {
    hint: 'Choose a plain file name.',
  });
}

/** How much of a name is before its suffix, which tells other programs what the file is. */
export function stemLength(name: string): number {
  return name.length - extname(name).length;
}

/** `wanted` with the suffix of `current`, so that a backup stays what it is called. An empty name stays empty. */
export function withSuffixOf(current: string, wanted: string): string {
  const suffix = extname(current);
  const isKept = wanted.toLowerCase().endsWith(suffix.toLowerCase());
  return isKept || wanted.trim() === '' ? wanted : wanted + suffix;
}

function problemOf(name: string): string | undefined {
  if (name.trim() === '') return 'is not a name';
  if (/[/\\]/.test(name) || name === '.' || name === '..') return 'is a path, not a name';
  if (/[\p{Cc}\p{Bidi_Control}]/u.test(name)) return 'has invisible characters';
  if (/[<>:"|?*]/.test(name)) return 'has characters that some systems do not allow in names';
  if (name !== name.trim() || name.endsWith('.'))
    return 'begins or ends with a space, or ends with a dot';
  if (name.startsWith('.')) return 'begins with a dot, so it would be hidden';
  if (reservedOnWindows.test(name)) return 'is the name of a device on Windows';
  if (siblingName.test(name)) return 'is a name that SQLite uses for files beside a database';
  if (Buffer.byteLength(name) > longestName) return 'is too long';
  return undefined;
}

/** Newest first; of the same second, the one that came later. */
export function newestFirst(
  a: { createdAt: string; path: string },
  b: { createdAt: string; path: string },
): number {
  // ISO 8601 in UTC sorts as text, and thousands of them are sorted at each look.
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? 1 : -1;
  return sequenceOf(b.path) - sequenceOf(a.path) || (a.path < b.path ? 1 : -1);
}
