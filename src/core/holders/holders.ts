/** Which processes have a database open: what can be known without touching the file itself. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { deviceNumber, sharedFileSystem } from '../files/fileSystem.ts';
import { readProc } from '../files/proc.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { openFilesBeside } from './openOn.ts';
import { restartManagerScript } from './restartManager.ts';

export interface Holder {
  pid: number;
  /** As the system calls the program: `python3`, `node`. */
  name: string;
  /** A worker of this extension, which reads for a backup or a check. Only known on Linux. */
  isOurs?: true;
  /** Its command line, cut where it is long. */
  command?: string;
  /** ISO 8601. */
  startedAt?: string;
}

/** Whose processes can be seen: an empty list of holders is a proof only when it is `all`. */
export type HoldersKnown = 'all' | 'own-user' | 'unknown';

export interface Holders {
  holders: Holder[];
  known: HoldersKnown;
}

/**
 * The processes that hold one of the databases (real paths) or their siblings open under any name, this one left out.
 * Opens none of the files, so it may be asked again and again while an application is at work.
 * @param isLockedByUs SQLite's exclusive lock is held for us, so no other program has a lock to be seen.
 */
export function findHolders(
  databases: readonly string[],
  { isLockedByUs = false }: { isLockedByUs?: boolean } = {},
): Holders {
  const found = holdersHere(partsOf(databases), isLockedByUs);
  // On a shared file system there are programs on the other side, which no list here has.
  const isShared = found.known === 'all' && databases.some(isOnSharedFileSystem);
  return isShared ? { ...found, known: 'own-user' } : found;
}

function isOnSharedFileSystem(path: string): boolean {
  try {
    return sharedFileSystem(path) !== undefined;
  } catch {
    return false; // A database that does not exist is open nowhere.
  }
}

function partsOf(databases: readonly string[]): string[] {
  return databases.flatMap((path) => [path, ...siblingSuffixes.map((suffix) => path + suffix)]);
}

function holdersHere(paths: readonly string[], isLockedByUs = false): Holders {
  if (process.platform === 'darwin') return askListOfOpenFiles(paths);
  if (process.platform === 'win32') return askRestartManager(paths);
  return existsSync('/proc/self/fd')
    ? holdersInProc(paths, isLockedByUs)
    : { holders: [], known: 'unknown' };
}

/**
 * True when another process that runs on this system has a lock on the database, or has it open for writing, as SQLite
 * opens it: its locks are seen from here, and ours by it. A program that copies or reads the file proves nothing.
 */
export function hasProgramHere(path: string): boolean {
  const parts = partsOf([path]);
  if (!existsSync('/proc/self/fd'))
    return holdersHere(parts).holders.some(({ isOurs }) => isOurs !== true);
  const identities = new Set(parts.flatMap(identitiesOf));
  const sought = { names: new Set<string>(), identities, isBeside: openFilesBeside(parts) };
  return (
    [...lockHolders(identities)].some((pid) => pid !== process.pid) ||
    otherProcesses().some((pid) => holdsOne(pid, sought, isForWriting) === true)
  );
}

function otherProcesses(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid);
}

/** The last two bits of the flags, in octal, are the access: 0 to read, 1 to write, 2 for both. */
function isForWriting(pid: number, handle: string): boolean {
  const flags = /^flags:\s+([0-7]+)$/m.exec(readProc(`/proc/${pid}/fdinfo/${handle}`))?.[1];
  return flags !== undefined && (parseInt(flags, 8) & 3) !== 0;
}

/** Of several holders, the ones with a lock on the database file, as the kernel lists them. */
export function findLockers(path: string): Holder[] {
  const { holders } = findHolders([path]);
  if (holders.length === 0 || process.platform !== 'linux') return holders;
  const pids = new Set(lockHolders(new Set(identitiesOf(path))));
  const lockers = holders.filter((holder) => pids.has(holder.pid));
  return lockers.length > 0 ? lockers : holders;
}

function holdersInProc(paths: readonly string[], isLockedByUs: boolean): Holders {
  const identities = new Set(paths.flatMap(identitiesOf));
  // A file that was deleted or renamed over is still known by the name that it was opened under.
  const names = new Set(paths.flatMap((path) => [path, `${path} (deleted)`]));
  const sought = { names, identities, isBeside: openFilesBeside(paths) };
  // The system waits for all its processors before it tells its locks.
  const pids = new Set(isLockedByUs ? [] : lockHolders(identities));
  let hidden = process.getuid?.() !== 0 || isInContainer();
  for (const pid of otherProcesses()) {
    const open = holdsOne(pid, sought);
    if (open === 'hidden') hidden = true;
    if (open === true) pids.add(pid);
  }
  pids.delete(process.pid);
  return {
    holders: [...pids]
      .sort((a, b) => a - b)
      .map((pid) => ({ pid, name: programName(pid), ...(isWorker(pid) && { isOurs: true }) })),
    known: hidden ? 'own-user' : 'all',
  };
}

/** The number that Linux gives the list of processes which has all of them. */
const firstProcessList = 'pid:[4026531836]';

/** True where only some processes of this machine are listed, which is so in a container. */
function isInContainer(): boolean {
  try {
    return readlinkSync('/proc/self/ns/pid') !== firstProcessList;
  } catch {
    return true;
  }
}

function identitiesOf(path: string): string[] {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return [`${dev}:${ino}`];
  } catch {
    return [];
  }
}

interface Sought {
  names: ReadonlySet<string>;
  identities: ReadonlySet<string>;
  /** Whether an open file lies where these lie, so that it can be looked at. */
  isBeside: (pid: number, handle: string) => boolean;
}

/** What most programs have open. */
const device = /^\/dev\/(null|zero|u?random|ptmx|pts\/\d+)$/;

function holdsOne(
  pid: number,
  { names, identities, isBeside }: Sought,
  counts: (pid: number, handle: string) => boolean = () => true,
): boolean | 'hidden' {
  const folder = `/proc/${pid}/fd`;
  let entries: string[];
  try {
    entries = readdirSync(folder);
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    return code === 'ENOENT' || code === 'ESRCH' ? false : 'hidden';
  }
  return entries.some((entry) => {
    try {
      const link = readlinkSync(`${folder}/${entry}`);
      // Sockets and pipes have no path.
      if (!link.startsWith('/') || device.test(link)) return false;
      const isOne =
        names.has(link) ||
        (isBeside(pid, entry) &&
          identitiesOf(`${folder}/${entry}`).some((identity) => identities.has(identity)));
      return isOne && counts(pid, entry);
    } catch {
      return false; // Closed by now.
    }
  });
}

/** The processes with a lock on this very file. */
export function lockersOf(path: string): number[] {
  return [...new Set(lockHolders(new Set(identitiesOf(path))))];
}

/**
 * The processes with a lock on one of the files, also those of other users: an idle connection in WAL mode holds one. One
 * in rollback mode holds none.
 */
function* lockHolders(identities: ReadonlySet<string>): Generator<number> {
  for (const line of readProc('/proc/locks').split('\n')) {
    const [, pid, major, minor, ino] = /(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(line) ?? [];
    if (pid === undefined || Number(pid) <= 0) continue; // 0 and -1: a process of another container or machine.
    if (
      identities.has(`${deviceNumber(parseInt(major ?? '', 16), parseInt(minor ?? '', 16))}:${ino}`)
    )
      yield Number(pid);
  }
}

/** Workers start from one file, whichever program runs it: that of the editor, or that of a terminal. */
function isWorker(pid: number): boolean {
  const entry = process.argv[1];
  return entry !== undefined && readProc(`/proc/${pid}/cmdline`).split('\0').includes(entry);
}

/** Node calls its main thread so, and with it the process. */
const threadName = 'MainThread';

export function programName(pid: number): string {
  const name = readProc(`/proc/${pid}/comm`).trim();
  const [program = ''] =
    name === threadName ? readProc(`/proc/${pid}/cmdline`).split('\0') : [name];
  return basename(program) || 'a program';
}

const patienceMs = 15_000;

function askListOfOpenFiles(paths: readonly string[]): Holders {
  const existing = paths.filter((path) => identitiesOf(path).length > 0);
  const known = process.getuid?.() === 0 ? 'all' : 'own-user';
  if (existing.length === 0) return { holders: [], known };
  const answer = ask('/usr/sbin/lsof', ['-w', '-F', 'pc', '--', ...existing], {});
  return answer === undefined
    ? { holders: [], known: 'unknown' }
    : { holders: parseOpenFiles(answer), known };
}

/** Reads what `lsof -F pc` prints: a line `p<pid>`, then a line `c<name>`, then lines about its files. */
export function parseOpenFiles(text: string): Holder[] {
  const holders: Holder[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('p')) holders.push({ pid: Number(line.slice(1)), name: 'a program' });
    const last = holders.at(-1);
    if (line.startsWith('c') && last !== undefined) last.name = line.slice(1);
  }
  return withoutSelf(holders);
}

function askRestartManager(paths: readonly string[]): Holders {
  const existing = paths.filter((path) => identitiesOf(path).length > 0);
  if (existing.length === 0) return { holders: [], known: 'own-user' };
  const answer = ask(
    'powershell.exe',
    ['-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-EncodedCommand', encoded()],
    { SQLITE_BACKUP_FILES: existing.join('\n') },
  );
  return answer === undefined
    ? { holders: [], known: 'unknown' }
    : { holders: parseRestartManager(answer), known: 'own-user' };
}

/** PowerShell takes a script of any content as the Base64 of its UTF-16. */
function encoded(): string {
  return Buffer.from(restartManagerScript, 'utf16le').toString('base64');
}

/** Reads the lines `<pid> <name>` that the script prints. */
export function parseRestartManager(text: string): Holder[] {
  return withoutSelf(
    text.split(/\r?\n/).flatMap((line) => {
      const [, pid, name] = /^(\d+) (.+)$/.exec(line) ?? [];
      return pid === undefined || name === undefined ? [] : [{ pid: Number(pid), name }];
    }),
  );
}

function withoutSelf(holders: Holder[]): Holder[] {
  const others = holders.filter(({ pid }) => Number.isInteger(pid) && pid !== process.pid);
  return [...new Map(others.map((holder) => [holder.pid, holder])).values()];
}

/** What a program prints; undefined when it could not be asked. */
function ask(program: string, args: string[], env: Record<string, string>): string | undefined {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      timeout: patienceMs,
      windowsHide: true,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...env },
    });
  } catch (error) {
    // lsof ends with 1 when no process has the files open.
    const isNobody = error instanceof Error && Reflect.get(error, 'status') === 1;
    return isNobody && program.endsWith('lsof') ? String(Reflect.get(error, 'stdout')) : undefined;
  }
}
