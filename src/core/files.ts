/*
 * How a file of ours comes into being: written in a private folder beside its final place, synced, linked to its final
 * name (an existing name is never overwritten), then the folder is synced. Whatever stops the process on the way leaves
 * only a private folder, which the next sweep removes.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fsync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, parse, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { BackupError, explain } from './errors.ts';
import { manifestNameOf } from './names.ts';

/** What SQLite keeps beside a database. */
export const siblingSuffixes = ['-wal', '-shm', '-journal'] as const;

const privatePrefix = '.tmp-sqlite-backup-';
/**
 * Names the machine, or the container on it, without revealing it: a shared folder may hold the private folders of
 * several, and a process number means something only where it was given.
 */
const machine = createHash('sha256')
  .update(`${hostname()} ${processNamespace()}`)
  .digest('hex')
  .slice(0, 8);
const intentPrefix = '.sqlite-backup-restore-';
const leftoverAgeMs = 24 * 60 * 60 * 1000;

function processNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // Only Linux has them.
  }
}

/**
 * Makes sure that `folder` exists and can be written, and returns its real path with `undo`, which removes again what was
 * created (only while it is empty).
 */
export function prepareFolder(folder: string): { path: string; undo: () => void } {
  const wanted = resolve(folder);
  try {
    const firstCreated = firstMissingFolder(wanted);
    // Not mkdir's own recursion: it never ends where a parent exists and refuses new folders with ENOENT, as /proc does.
    if (firstCreated !== undefined) makeFolders(wanted, firstCreated);
    const path = realpathSync(wanted);
    if (!statSync(path).isDirectory())
      throw Object.assign(new Error('not a folder'), { code: 'EEXIST' });
    return { path, undo: () => removeEmptyFolders(wanted, firstCreated) };
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'EEXIST') {
      throw new BackupError('access', `${wanted} is not a folder.`, {
        path: wanted,
        hint: 'Choose another folder.',
        cause: error,
      });
    }
    throw explain(error, 'target', wanted);
  }
}

function makeFolders(folder: string, outermost: string): void {
  const missing: string[] = [];
  for (let at = folder; ; at = dirname(at)) {
    missing.unshift(at);
    if (at === outermost) break;
  }
  for (const one of missing) {
    try {
      mkdirSync(one);
    } catch (error) {
      // Somebody else made it meanwhile: that is as good.
      const isThere = error instanceof Error && Reflect.get(error, 'code') === 'EEXIST';
      if (!isThere || !statSync(one).isDirectory()) throw error;
    }
  }
}

/** The outermost folder that `mkdir` would have to make for `folder`, undefined when it is all there. */
export function firstMissingFolder(folder: string): string | undefined {
  let missing: string | undefined;
  try {
    for (let at = resolve(folder); statIfAny(at) === undefined; at = dirname(at)) {
      missing = at;
      if (dirname(at) === at) break;
    }
  } catch {
    // What may not be looked into cannot be written to either.
  }
  return missing;
}

/** Removes `folder` and the folders above it up to `outermost`, as long as they are empty. */
export function removeEmptyFolders(folder: string, outermost: string | undefined): void {
  if (outermost === undefined) return;
  for (let at = resolve(folder); ; at = dirname(at)) {
    try {
      rmdirSync(at);
    } catch {
      return; // Not empty any more: somebody uses it, so it stays.
    }
    if (at === resolve(outermost) || dirname(at) === at) return;
  }
}

/** What `stat` says, undefined for a name that leads nowhere, however long it is. */
export function statIfAny(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}

/** Names the work of this process: machine, process, and a number that nobody else has. */
export function newWorkId(): string {
  return `${machine}-${process.pid}-${randomBytes(6).toString('hex')}`;
}

/** Of the private folder in `parent` that belongs to a piece of work. */
export function privateFolderPath(parent: string, workId: string): string {
  return join(parent, `${privatePrefix}${workId}`);
}

/** Of the file that says what a restore is about to do: as long as it is there, its private folder is not swept. */
export function intentPath(parent: string, workId: string): string {
  return join(parent, `${intentPrefix}${workId}.json`);
}

/** The id in the name of an intent, undefined for any other file. */
export function workIdOfIntent(name: string): string | undefined {
  return /^\.sqlite-backup-restore-([0-9a-f]{8}-\d+-[0-9a-f]{12})\.json$/.exec(name)?.[1];
}

/**
 * A folder only this user can enter, on the file system of `parent`; `remove` takes it away with all it holds. It never
 * throws: what cannot be removed now is swept by the next backup, which says so if it still cannot be.
 */
export function makePrivateFolder(
  parent: string,
  workId: string = newWorkId(),
): { path: string; remove: () => void } {
  const path = privateFolderPath(parent, workId);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw explain(error, 'target', parent);
  }
  return {
    path,
    remove() {
      try {
        rmSync(path, { recursive: true, force: true });
      } catch {
        // Left for the sweep; the outcome of the job matters more.
      }
    },
  };
}

export interface Workplace {
  /** The real path of the folder for what will be published. */
  folder: string;
  /** A private folder in it, which is gone when the work is done. */
  scratch: string;
  /** Leftovers of earlier work that could not be removed. */
  stuck: string[];
}

/** Gives `action` a folder to publish into. What was made for it and left empty is removed again. */
export async function inWorkplace<T>(
  folder: string,
  action: (place: Workplace) => Promise<T>,
): Promise<T> {
  const target = prepareFolder(folder);
  try {
    const stuck = await sweepLeftovers(target.path);
    const scratch = makePrivateFolder(target.path);
    try {
      return await action({ folder: target.path, scratch: scratch.path, stuck });
    } finally {
      scratch.remove();
    }
  } catch (error) {
    throw explain(error, 'target', target.path);
  } finally {
    target.undo();
  }
}

export function isPrivateFolderName(name: string): boolean {
  return name.startsWith(privatePrefix);
}

/**
 * Removes the private folders that dead processes left in `folder`, or only those of the dead process `pid`. A folder of
 * a living process stays, and so does one of another machine, until nothing in it has changed for a day. Returns the
 * names of those that could not be removed.
 */
export async function sweepLeftovers(
  folder: string,
  options: { pid?: number } = {},
): Promise<string[]> {
  const stuck: string[] = [];
  for (const name of await readdir(folder)) {
    const match = /^\.tmp-sqlite-backup-(([0-9a-f]{8})-(\d+)-[0-9a-f]{12})$/.exec(name);
    if (match === null) continue;
    // An interrupted restore can be finished with what lies there.
    if (existsSync(intentPath(folder, match[1] ?? ''))) continue;
    const path = join(folder, name);
    const [owner, pid] = [match[2], Number(match[3])];
    const abandoned =
      options.pid !== undefined
        ? owner === machine && pid === options.pid
        : (owner === machine && !isAlive(pid)) || Date.now() - newestChange(path) > leftoverAgeMs;
    if (!abandoned) continue;
    await rm(path, { recursive: true, force: true }).catch(() => stuck.push(name));
  }
  return stuck;
}

/** Whether there is a process of that number on this machine, whoever runs it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'EPERM';
  }
}

function newestChange(folder: string): number {
  const isFolder = lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  const entries = isFolder ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return Math.max(
    ...[folder, ...entries].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0),
  );
}

/** Writes the file to the disk itself; a failure here is a failure of the backup, never to be ignored. */
export function syncFile(path: string): void {
  // Windows flushes only through a handle that may write.
  const handle = openSync(path, process.platform === 'win32' ? 'r+' : 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The same on the pool of the system's threads, while this thread works on. Only for private files. */
export function syncFileBeside(path: string): Promise<void> {
  // Opened here and now: a promise would not begin before this thread has nothing else to do.
  const handle = openSync(path, 'r+');
  return new Promise((resolve, reject) => {
    fsync(handle, (error) => {
      closeSync(handle);
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** Makes names in the folder durable. Windows has no such call: its file systems journal names by themselves. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

export function writePrivateFile(path: string, text: string): void {
  writeFileSync(path, text, { flag: 'wx', mode: 0o600, flush: true });
}

/** Creates the empty file that SQLite will fill: 0600 from its first moment, whatever the umask or the source's mode. */
export function createPrivateFile(path: string): void {
  closeSync(openSync(path, 'wx', 0o600));
}

/**
 * Gives the synced file `from` the name `to`, in one step that fails with EEXIST when the name exists in any form.
 * `from`, in a private folder of the same file system, may stay as a second name.
 */
export function linkWithoutOverwriting(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!lacksHardLinks(error)) throw error;
    // FAT, exFAT and some network shares have no hard links: claim the name first, then replace our own claim.
    closeSync(openSync(to, 'wx', 0o600));
    try {
      renameSync(from, to);
    } catch (failure) {
      unlinkSync(to);
      throw failure;
    }
  }
}

/** True for the failure of a link where there can be none, so that only a copy helps. */
export function lacksHardLinks(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const missing = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EMLINK', 'EISDIR'];
  return typeof code === 'string' && missing.includes(code);
}

/**
 * Publishes a file and the manifest that describes it as a pair, under the first of `names` that is free for both, and
 * returns their paths. The manifest is `<name>.json`; `describe` makes its text once the name is known.
 */
export function publishPair(
  file: string,
  folder: string,
  names: Iterable<string>,
  describe: (name: string) => string,
): { path: string; manifestPath: string } {
  syncFile(file);
  for (const name of names) {
    const path = join(folder, name);
    const manifestPath = manifestNameOf(path);
    if (lstatSync(manifestPath, { throwIfNoEntry: false }) !== undefined) continue;
    const manifest = join(dirname(file), `${randomBytes(6).toString('hex')}.json`);
    writePrivateFile(manifest, describe(name));
    try {
      linkWithoutOverwriting(file, path);
    } catch (error) {
      if (error instanceof Error && Reflect.get(error, 'code') === 'EEXIST') continue;
      throw explain(error, 'target', path);
    }
    let linkedManifest = false;
    try {
      linkWithoutOverwriting(manifest, manifestPath);
      linkedManifest = true;
      syncFolder(folder);
    } catch (error) {
      // Half of a pair helps nobody, and names that may not survive a power failure are no backup.
      tryToUnlink(path);
      if (linkedManifest) tryToUnlink(manifestPath);
      throw explain(error, 'target', manifestPath);
    }
    return { path, manifestPath };
  }
  throw new BackupError('name-taken', `${folder} has no free name left.`, { path: folder });
}

function tryToUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The first failure is the one to report.
  }
}

/** Replaces the manifest of a backup by a newer one, in one step. */
export function replaceManifest(backupPath: string, text: string): void {
  const folder = dirname(backupPath);
  const scratch = makePrivateFolder(folder);
  try {
    const manifest = join(scratch.path, 'manifest.json');
    writePrivateFile(manifest, text);
    renameSync(manifest, manifestNameOf(backupPath));
    syncFolder(folder);
  } catch (error) {
    throw explain(error, 'target', manifestNameOf(backupPath));
  } finally {
    scratch.remove();
  }
}

/** As quick as larger ones, and a thread that breathes does so between two of them. */
const hashChunkBytes = 256 * 1024;

export interface Digests {
  /** Lower-case hex. */
  sha256: string;
  crc32: number;
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

/** CRC-32 of a part of a file, continuing the one of what is before it. `onRead` gets where the reading is. */
export function crcOfRange(
  path: string,
  { from, to, seed = 0 }: { from: number; to?: number; seed?: number },
  onRead?: (doneBytes: number) => void,
): number {
  let [crc, doneBytes] = [seed, from];
  for (const chunk of chunksOf(path, from, to)) {
    crc = crc32(chunk, crc);
    onRead?.((doneBytes += chunk.length));
  }
  return crc;
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
function* chunksOf(path: string, from = 0, to = Infinity): Generator<Buffer> {
  const whole = Buffer.allocUnsafe(hashChunkBytes);
  const handle = openSync(path, 'r');
  try {
    for (let at = from; at < to;) {
      const read = readSync(handle, whole, 0, Math.min(whole.length, to - at), at);
      if (read === 0) return;
      at += read;
      yield whole.subarray(0, read);
    }
  } finally {
    closeSync(handle);
  }
}

/** Bytes that this user can still write on the file system of `path`. */
export function freeBytes(path: string): number {
  const { bavail, blocks, bsize } = statfsSync(path);
  // Some network and user-space file systems do not know: then the writing itself has to tell.
  return blocks === 0 ? Infinity : bavail * bsize;
}

/** What identifies a file under all its names. */
export function fileIdentity(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

/** Sizes of the siblings that exist beside `path`. */
export function siblingsOf(
  path: string,
): Map<(typeof siblingSuffixes)[number], { sizeBytes: number }> {
  const found = new Map<(typeof siblingSuffixes)[number], { sizeBytes: number }>();
  for (const suffix of siblingSuffixes) {
    const stats = statIfAny(path + suffix);
    if (stats?.isFile()) found.set(suffix, { sizeBytes: stats.size });
  }
  return found;
}

/** True for the names that SQLite gives to the siblings of a database: never databases of their own. */
export function isSiblingName(name: string): boolean {
  return siblingSuffixes.some((suffix) => name.endsWith(suffix));
}

/**
 * The real path of an existing regular file, following symbolic links. Never blocks: a FIFO or a device is refused by
 * its kind, without being opened.
 */
export function resolveRegularFile(path: string): string {
  if (path === '' || path.includes('\0')) {
    throw new BackupError('bad-name', `${JSON.stringify(path)} is not a path.`, { path });
  }
  const wanted = resolve(path);
  try {
    const real = realpathSync(wanted);
    const kind = lstatSync(real);
    if (kind.isFile()) return real;
    const word = kind.isDirectory() ? 'a folder' : kind.isFIFO() ? 'a pipe' : 'a special file';
    throw new BackupError('not-a-database', `${wanted} is ${word}, not a database file.`, {
      path: wanted,
      hint: 'Name the database file itself.',
      facts: { reason: 'not-a-file' },
    });
  } catch (error) {
    throw explain(error, 'source', wanted);
  }
}

/** The file name without its folder and extension, as people call a database. */
export function stemOf(path: string): string {
  return parse(path).name;
}
