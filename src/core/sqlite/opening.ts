/**
 * Where a live database may be opened with SQLite, the one place that decides it. Opens nothing, so it may be asked while
 * this process has a connection to the database.
 */
import { readFileSync, type Stats, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { sharedFileSystem } from '../files/fileSystem.ts';
import { isPrivateFolderName } from '../files/workplace.ts';
import { hasProgramHere } from '../holders/holders.ts';
import { findLostBeside, type LostFiles } from '../holders/lost.ts';
import { siblingsOf } from './siblings.ts';

export type ByHand =
  /**
   * Another side of this file system may have the database open, and no program on this side proves that locks work.
   * A connection here would take itself for the first one and truncate the `-shm` under the program there.
   */
  | { reason: 'other-side'; fileSystem: string }
  /** SQLite would make a `-wal` and a `-shm` that the owner of the database cannot write to. */
  | { reason: 'other-owner' }
  /** SQLite cannot make them here at all. */
  | { reason: 'read-only' }
  | LostNames;

/**
 * A program has a `-wal` or `-shm` open whose name is gone. SQLite would begin new ones beside the database, of which that
 * program knows nothing.
 */
export interface LostNames {
  reason: 'lost-names';
  lost: LostFiles;
  /** Where the parts are read: the lost ones from the program, unless other programs go on with new ones. */
  files: LostFiles['files'];
  /** False when the copy does not have what is in the lost files. */
  isComplete: boolean;
}

/** The places from which a guarded copy reads the parts of the database. */
export function filesOf(byHand: ByHand | undefined): LostFiles['files'] {
  return byHand?.reason === 'lost-names' ? byHand.files : {};
}

/** Why a live database (a real path) must be read from a guarded private copy; undefined when it may be opened in place. */
export function whyByHand(path: string, journalMode: 'wal' | 'rollback'): ByHand | undefined {
  const otherSide = seenFromOtherSide(path);
  if (otherSide !== undefined) return otherSide;
  if (journalMode !== 'wal') return undefined;
  const lost = lostBeside(path);
  if (lost !== undefined) return lost;
  if (hasBothSiblings(path)) return undefined;
  return leavesUsable(path) ? undefined : { reason: 'other-owner' };
}

function lostBeside(path: string): LostNames | undefined {
  const all = findLostBeside(path).filter(({ lost }) => !lost.includes(''));
  const [one] = all;
  if (one === undefined) return undefined;
  const hasNewWal = (siblingsOf(path).get('-wal')?.sizeBytes ?? 0) > 0;
  const hasLostWal = one.lost.includes('-wal');
  const isComplete = all.length === 1 && !(hasLostWal && hasNewWal);
  const wal = isComplete && hasLostWal ? one.files['-wal'] : undefined;
  const files = wal === undefined ? {} : { '-wal': wal };
  return { reason: 'lost-names', lost: one, files, isComplete };
}

/** True when an open connection leaves nothing new beside the database. */
export function hasBothSiblings(path: string): boolean {
  const siblings = siblingsOf(path);
  return siblings.has('-wal') && siblings.has('-shm');
}

/** Refuses to open in place what `whyByHand` says must not be: the last guard, before each connection to a live database. */
export function requireLocksToReach(path: string): void {
  const otherSide = seenFromOtherSide(path);
  if (otherSide === undefined) return;
  throw new BackupError(
    'source-busy',
    `${path} lies on a shared file system (${otherSide.fileSystem}), and no program on this side has it open, so it is not opened here.`,
    {
      path,
      hint: 'Run the command line (sqlite-backup) on the machine or in the container where its program runs.',
      facts: { reason: 'other-side', fileSystem: otherSide.fileSystem },
    },
  );
}

function seenFromOtherSide(path: string): Extract<ByHand, { reason: 'other-side' }> | undefined {
  // Only this user enters a private folder, so no program has what lies there open.
  if (isPrivateFolderName(basename(dirname(path)))) return undefined;
  let fileSystem: string | undefined;
  try {
    fileSystem = sharedFileSystem(path);
  } catch (error) {
    throw explain(error, 'source', path);
  }
  if (fileSystem === undefined || hasProgramHere(path)) return undefined;
  return { reason: 'other-side', fileSystem };
}

/**
 * True when the files that SQLite makes beside the database can be used by all who can use the database: they get its mode,
 * but the user of this process, and the group of the process or of the folder.
 */
function leavesUsable(path: string): boolean {
  const [user, ownGroup] = [process.geteuid?.(), process.getegid?.()];
  if (user === undefined) return true; // Windows: what is made in a folder has the rights of the folder.
  const database = statSync(path);
  if (user === 0) return database.uid === 0 || mayGiveAway();
  if (database.uid !== user) return false;
  const folder = statSync(dirname(path));
  const takesFolders = (folder.mode & 0o2000) !== 0 || process.platform === 'darwin';
  return database.gid === (takesFolders ? folder.gid : ownGroup) || isGroupNothing(database);
}

/** The group may do no more than all others, so it does not matter which one it is. */
function isGroupNothing({ mode }: Stats): boolean {
  return ((mode >> 3) & 7) === (mode & 7);
}

/** As root, SQLite gives what it makes to the owner of the database. In some containers root may not give files away. */
function mayGiveAway(): boolean {
  if (process.platform !== 'linux') return true;
  try {
    const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    const mayChown = (BigInt(`0x${effective?.[1] ?? '0'}`) & 1n) !== 0n;
    const ids = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
    return mayChown && ids.length === 3 && Number(ids[2]) >= 0xfffffffe;
  } catch {
    return false;
  }
}
