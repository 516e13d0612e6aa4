/** Where a restore goes: the real file behind a name, whether it may be replaced, and who has it open. */
import { accessSync, constants, lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isOwnBackup } from '../catalog/catalog.ts';
import { BackupError, explain } from '../errors.ts';
import { isMountPoint } from '../files/fileSystem.ts';
import { fileIdentity, resolveRegularFile } from '../files/paths.ts';
import { findHolders, type Holders } from '../holders/holders.ts';
import { findLost } from '../holders/lost.ts';
import { setAsideNames } from '../manifest/names.ts';
import { pause } from '../pause.ts';
import { isSibling, refuseNeighbours } from '../sqlite/header.ts';
import { probeLock } from '../sqlite/locks.ts';

export interface Target {
  /** Absolute, as asked for. */
  target: string;
  /** The file itself; it need not exist, but its folder does. */
  realTarget: string;
}

const mostLinks = 40;
const longestName = 255;

/** Follows symbolic links, also to a file that is not there. Refuses names that no database can have. */
export function resolveTarget(given: string): Target {
  if (given === '' || given.includes('\0'))
    throw new BackupError('bad-name', `${JSON.stringify(given)} is not a path.`, { path: given });
  // What Node makes of bytes that are not UTF-8: another file would be meant.
  if (given.includes('\uFFFD'))
    throw new BackupError('bad-name', `${given} is not a name in UTF-8, so it cannot be reached.`, {
      path: given,
      hint: 'Give the file a name in UTF-8, or restore to a new file.',
    });
  const target = resolve(given);
  let realTarget = target;
  try {
    for (let hops = 0; hops < mostLinks; hops++) {
      realTarget = join(realpathSync(dirname(realTarget)), basename(realTarget));
      const stats = lstatSync(realTarget, { throwIfNoEntry: false });
      if (stats?.isSymbolicLink() !== true) break;
      realTarget = resolve(dirname(realTarget), readlinkSync(realTarget));
    }
  } catch (error) {
    throw explain(error, 'target', dirname(realTarget));
  }
  refuseName(realTarget);
  if (lstatSync(realTarget, { throwIfNoEntry: false }) !== undefined)
    resolveRegularFile(realTarget);
  return { target, realTarget };
}

function refuseName(path: string): void {
  const name = basename(path);
  const problem = isSibling(path)
    ? 'is a name that SQLite uses for files beside a database'
    : name !== name.trim()
      ? 'begins or ends with a space, which SQLite cannot open safely'
      : Buffer.byteLength(name) > longestName - '-journal'.length
        ? 'is too long: SQLite needs files beside it with longer names'
        : undefined;
  if (problem === undefined) return;
  throw new BackupError('bad-name', `${path} ${problem}.`, {
    path,
    hint: 'Choose another name for the restored database.',
  });
}

/** Refuses to replace a database whose set-aside, and the one of an undo, could not have the names that they get. */
export function requireRoomForSetAside(path: string): void {
  const [longest = ''] = setAsideNames('', new Date());
  const added = Buffer.byteLength(`${longest}-9999-journal`);
  if (Buffer.byteLength(basename(path)) + added <= longestName) return;
  throw new BackupError(
    'bad-name',
    `${path} has a name that is too long: the previous database is kept under a longer one.`,
    {
      path,
      hint: 'Give it a shorter name, or restore to a new file.',
    },
  );
}

/** Resolves all targets of a restore, and refuses what would replace the backup, a backup, or one file twice. */
export function resolveTargets(backup: string, targets: readonly string[]): Target[] {
  if (targets.length === 0)
    throw new BackupError('bad-name', 'There is nothing to restore.', {
      hint: 'Name at least one target.',
    });
  const resolved = targets.map(resolveTarget);
  const seen = new Set<string>();
  for (const { target, realTarget } of resolved) {
    if (seen.has(realTarget))
      throw new BackupError('bad-name', `${target} is named twice.`, { path: target });
    seen.add(realTarget);
    refuseNeighbours(realTarget);
    if (statSync(realTarget, { throwIfNoEntry: false }) === undefined) continue;
    if (fileIdentity(realTarget) === fileIdentity(backup) || isOwnBackup(realTarget))
      throw new BackupError('name-taken', `${target} is itself a backup, so it is not replaced.`, {
        path: target,
        hint: 'Name the live database, or a new file.',
      });
  }
  return resolved;
}

/** Refuses what this user may not replace, before anything is named: a link could be made, and then not be removed. */
export function requireReplaceable(live: string): void {
  const folder = dirname(live);
  try {
    if (isMountPoint(live)) throw mountedAlone(live);
    accessSync(folder, constants.W_OK | constants.X_OK);
    const old = statSync(live, { throwIfNoEntry: false });
    if (old === undefined || process.platform === 'win32') return;
    accessSync(live, constants.R_OK | constants.W_OK);
    const place = statSync(folder);
    const uid = process.getuid?.();
    const isSticky = (place.mode & 0o1000) !== 0;
    if (!isSticky || uid === 0 || uid === place.uid || uid === old.uid) return;
  } catch (error) {
    throw explain(error, 'target', live);
  }
  throw new BackupError(
    'access',
    `${live} belongs to another user, in a folder where only its owner may replace it.`,
    {
      path: live,
      hint: 'Restore it as the owner of the file.',
    },
  );
}

function mountedAlone(live: string): BackupError {
  return new BackupError(
    'access',
    `${live} is mounted as a single file, so another file cannot take its place.`,
    {
      path: live,
      hint: `Restore to a new file. Then stop the programs that use it, keep a copy of the previous database, remove its -wal and -journal, and copy the new file into it: cat NEW > ${basename(live)}. Or mount the folder instead of the file.`,
    },
  );
}

/** The pauses between looks. One that reads for a moment is gone by then. */
const brief = process.platform === 'linux' ? [50, 100, 150] : [200]; // A look takes long elsewhere.
/** What is ours ends by itself, as a checkpoint, or a look at stamps. */
const patient = [...brief, ...Array.from({ length: 20 }, () => 500)];

interface Looking {
  /** Also sees locks of programs that cannot be seen otherwise. */
  probe: boolean;
  besides?: number | undefined;
  /** That process has SQLite's exclusive lock. */
  isLockedByUs?: boolean;
}

/**
 * Refuses, with the names of the programs, while one of the databases is open somewhere. What comes by for a moment is
 * waited for, unless `besides` names the process that keeps others out: then programs wait.
 */
export function requireFree(
  paths: readonly string[],
  { wait = pause, ...looking }: Looking & { wait?: (ms: number) => void },
): void {
  for (const path of paths) {
    for (let looks = 0; ; looks++) {
      const held = heldBy(path, looking);
      if (held === undefined) break;
      const pauses = looking.besides !== undefined ? [] : held.isOurs ? patient : brief;
      const ms = pauses[looks];
      if (ms === undefined) throw held.error;
      wait(ms);
    }
  }
}

/** Undefined when nothing has it open. */
function heldBy(
  path: string,
  { probe, besides, isLockedByUs = false }: Looking,
): { error: BackupError; isOurs: boolean } | undefined {
  const found = findHolders([path], { isLockedByUs });
  const holders = found.holders.filter(({ pid }) => pid !== besides);
  if (holders.length > 0) {
    const programs = holders.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
    const error = inUse(path, `${path} is open in ${programs}.`, { programs });
    return {
      error: findLost(path).length === 0 ? error : saveFirst(path, error),
      isOurs: holders.every(({ isOurs }) => isOurs === true),
    };
  }
  return probe && probeLock(path)
    ? {
        error: inUse(path, `${path} is locked by a program that cannot be seen from here.`, {}),
        isOurs: false,
      }
    : undefined;
}

export function inUse(path: string, message: string, facts: Record<string, string>): BackupError {
  return new BackupError('target-in-use', message, {
    path,
    hint: 'Stop it first: it would continue to write to the replaced file, and those changes would be lost.',
    facts,
  });
}

/** Stopping the program would end the only copy of what it has open. */
function saveFirst(path: string, { code, message, facts }: BackupError): BackupError {
  return new BackupError(code, `${message} Files of it were deleted or replaced meanwhile.`, {
    path,
    hint: `Do not stop it yet: only that program still has their content. Save it first: sqlite-backup save-open ${JSON.stringify(path)}`,
    ...(facts !== undefined && { facts }),
  });
}

/** The programs that have the databases open, by their names, which may be links. One that does not exist has none. */
export function holdersOf(databases: readonly string[]): Holders {
  return findHolders(databases.map((path) => resolveTarget(path).realTarget));
}
