/** Which processes have a database open: what can be known without touching the file itself. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { siblingSuffixes } from './files.ts';

export interface Holder {
  pid: number;
  /** As the system calls the program: `python3`, `node`. */
  name: string;
}

/** Whose processes can be seen: an empty list of holders is a proof only when it is `all`. */
export const holdersKnown = ['all', 'own-user', 'unknown'] as const;
export type HoldersKnown = (typeof holdersKnown)[number];

/**
 * The processes that hold `path` (a real path) or one of its siblings open, this one left out. Linux only so far, and
 * without the processes of other users: an empty list is not a proof.
 */
function findHolders(path: string): Holder[] {
  if (process.platform !== 'linux' || !existsSync('/proc/self/fd')) return [];
  const wanted = new Set([path, ...siblingSuffixes.map((suffix) => path + suffix)]);
  const holders: Holder[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    if (openFiles(pid).some((file) => wanted.has(file)))
      holders.push({ pid, name: programName(pid) });
  }
  return holders;
}

/** Of several holders, the ones with a lock on the database file, as the kernel lists them. */
export function findLockers(path: string): Holder[] {
  const holders = findHolders(path);
  if (holders.length === 0) return holders;
  const { ino } = statSync(path);
  const lines = readText('/proc/locks').split('\n');
  const pids = new Set(
    lines.filter((line) => line.includes(`:${ino} `)).map((line) => Number(line.split(/\s+/)[4])),
  );
  const lockers = holders.filter((holder) => pids.has(holder.pid));
  return lockers.length > 0 ? lockers : holders;
}

function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  let entries: string[];
  try {
    entries = readdirSync(folder);
  } catch {
    return []; // Gone by now, or another user's.
  }
  return entries.map((entry) => {
    try {
      return readlinkSync(`${folder}/${entry}`);
    } catch {
      return '';
    }
  });
}

function programName(pid: number): string {
  return readText(`/proc/${pid}/comm`).trim() || 'a program';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
