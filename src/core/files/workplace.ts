/** The private folders that work is done in: how they are made, found again, and swept after a crash. */
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { statIfAny } from './paths.ts';

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
const dayMs = 24 * 60 * 60 * 1000;
const leftoverAgeMs = dayMs;

/** The number of a process that has ended may be that of another one. A clock that jumps is seldom off by so much. */
const livingAgeMs = 30 * dayMs;

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
      // Another process made it meanwhile: that is as good.
      const isThere = error instanceof Error && Reflect.get(error, 'code') === 'EEXIST';
      if (!isThere || !statSync(one).isDirectory()) throw error;
    }
  }
}

/** Sets the mode where that can be done: some file systems, as those of memory cards, have no rights, or may not be written. */
export function restrict(path: string, mode: number): void {
  try {
    chmodSync(path, mode);
  } catch {
    // It is as private as that file system can make it.
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
      return; // Not empty any more: another process uses it, so it stays.
    }
    if (at === resolve(outermost) || dirname(at) === at) return;
  }
}

/** Names the work of this process: machine, process, and a number that no other process has. */
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
  if (parent === tmpdir()) sweepTemporary();
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
 * a living process stays until nothing in it has changed for 30 days, and one of another machine for a day. Returns the
 * names of those that could not be removed.
 */
export async function sweepLeftovers(
  folder: string,
  options: { pid?: number } = {},
): Promise<string[]> {
  const stuck: string[] = [];
  for (const name of await readdir(folder)) {
    if (!isAbandoned(folder, name, options.pid)) continue;
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => stuck.push(name));
  }
  return stuck;
}

function isAbandoned(folder: string, name: string, onlyPid?: number): boolean {
  const match = /^\.tmp-sqlite-backup-(([0-9a-f]{8})-(\d+)-[0-9a-f]{12})$/.exec(name);
  // An interrupted restore can be finished with what lies there.
  if (match === null || existsSync(intentPath(folder, match[1] ?? ''))) return false;
  const [owner, pid] = [match[2], Number(match[3])];
  if (onlyPid !== undefined) return owner === machine && pid === onlyPid;
  if (owner === machine && !isAlive(pid)) return true;
  const changed = newestChange(join(folder, name));
  if (changed === undefined) return false;
  return Date.now() - changed > (owner === machine ? livingAgeMs : leftoverAgeMs);
}

let isTemporarySwept = false;

/**
 * The same in the system's temporary folder, once in each process: only real folders of this user, because all users may
 * make there what they like.
 */
function sweepTemporary(): void {
  if (isTemporarySwept) return;
  isTemporarySwept = true;
  const parent = tmpdir();
  const user = process.geteuid?.();
  try {
    for (const name of readdirSync(parent).filter(isPrivateFolderName)) {
      const stats = lstatSync(join(parent, name), { throwIfNoEntry: false });
      const isOwn = stats?.isDirectory() === true && (user === undefined || stats.uid === user);
      if (isOwn && isAbandoned(parent, name))
        rmSync(join(parent, name), { recursive: true, force: true });
    }
  } catch {
    // What cannot be removed now is tried again by the next process; this one has its own work.
  }
}

/** Whether there is a process of that number on this machine, of any user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'EPERM';
  }
}

/** Undefined when that cannot be seen: its owner may remove it in this very moment. */
function newestChange(folder: string): number | undefined {
  try {
    const isFolder = lstatSync(folder).isDirectory();
    const entries = isFolder ? readdirSync(folder).map((name) => join(folder, name)) : [];
    return Math.max(
      ...[folder, ...entries].map(
        (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0,
      ),
    );
  } catch {
    return undefined;
  }
}
