/**
 * Files of a database that lost their names while a program has them open: a `-wal` that a script deleted, a database that
 * was removed or replaced. The program goes on with them, and when it ends they are gone. Linux shows them in `/proc`.
 */
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Part, siblingSuffixes } from '../files/siblingNames.ts';
import { pause } from '../pause.ts';
import { lockersOf, programName } from './holders.ts';

/** What one program has open of a database, when a part of it has lost its name. */
export interface LostFiles {
  pid: number;
  /** As the system calls the program. */
  program: string;
  /** The parts without a name, or whose name leads to another file now; '' is the database itself. */
  lost: Part[];
  /** Where each part that the program has open can be read, also the lost ones. */
  files: Partial<Record<Part, string>>;
  /** The same for programs that have the same files open. */
  key: string;
}

const parts: readonly Part[] = ['', ...siblingSuffixes];
const deleted = ' (deleted)';

/**
 * The programs with lost files of the database at the real path `path`, which need not exist; of several programs with the
 * same files, one. Only programs of this user are seen, unless root asks. Reads names and numbers, and opens no database.
 */
export function findLost(path: string): LostFiles[] {
  return confirmed(path, () =>
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid)),
  );
}

/**
 * The same of an existing database in WAL mode, quickly: a program that has its `-wal` open has a lock on it, so only the
 * programs with a lock are looked at.
 */
export function findLostBeside(path: string): LostFiles[] {
  return confirmed(path, () => lockersOf(path));
}

const closingMs = 50;

function confirmed(path: string, pids: () => number[]): LostFiles[] {
  if (!existsSync('/proc/self/fd')) return [];
  const seen = lookForLost(path, pids());
  if (seen.size === 0) return [];
  // A program that closes its last connection deletes its own files a moment before it lets go of them.
  pause(closingMs);
  const still = lookForLost(path, pids());
  return [...seen.values()].filter(({ key }) => still.has(key));
}

function lookForLost(path: string, pids: readonly number[]): Map<string, LostFiles> {
  const found = new Map<string, LostFiles>();
  for (const pid of pids) {
    const lost = pid === process.pid ? undefined : lostIn(pid, path);
    if (lost !== undefined && !found.has(lost.key)) found.set(lost.key, lost);
  }
  return found;
}

interface Handle {
  /** The name it was opened under, or has now. */
  name: string;
  /** Where it can be read. */
  file: string;
}

function lostIn(pid: number, path: string): LostFiles | undefined {
  const wanted = new Set(parts.map((suffix) => basename(path) + suffix));
  const handles = handlesOf(pid, wanted);
  const database = handles.find(
    ({ name, file }) =>
      basename(name) === basename(path) &&
      (name === path || (identityOf(path) ?? '') === identityOf(file)),
  );
  if (database === undefined) return undefined;
  const files: LostFiles['files'] = {};
  for (const suffix of parts) {
    const own =
      suffix === '' ? database : handles.find((one) => isPartOf(one, suffix, database, handles));
    if (own !== undefined) files[suffix] = own.file;
  }
  const lost = parts.filter((suffix) => {
    const file = files[suffix];
    return file !== undefined && identityOf(file) !== identityOf(path + suffix);
  });
  // A journal is deleted after each transaction, so without its name it means nothing.
  if (!lost.some((suffix) => suffix !== '-journal')) return undefined;
  const key = parts.map((suffix) => identityOf(files[suffix] ?? '') ?? '-').join(' ');
  return { pid, program: programName(pid), lost, files, key };
}

/** Beside the database, or moved elsewhere without being a sibling of another database that the program has open. */
function isPartOf(
  { name }: Handle,
  suffix: Part,
  database: Handle,
  handles: readonly Handle[],
): boolean {
  if (name === database.name + suffix) return true;
  if (basename(name) !== basename(database.name) + suffix) return false;
  const owner = join(dirname(name), basename(database.name));
  return !handles.some((one) => one.name === owner);
}

/** The open files of these names. No other is looked at: it may lie on a disk that hangs. */
function handlesOf(pid: number, wanted: ReadonlySet<string>): Handle[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((entry) => {
      const file = `${folder}/${entry}`;
      try {
        const link = readlinkSync(file);
        if (!link.startsWith('/')) return []; // A socket or a pipe.
        const short = link.endsWith(deleted) ? link.slice(0, -deleted.length) : link;
        if (!wanted.has(basename(short)) && !wanted.has(basename(link))) return [];
        const isDeleted = short !== link && statSync(file).nlink === 0;
        const name = isDeleted ? short : link;
        return wanted.has(basename(name)) ? [{ name, file }] : [];
      } catch {
        return []; // Closed by now.
      }
    });
  } catch {
    return []; // Ended by now, or of another user.
  }
}

function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
