/** What tells one program from another of the same name, and how one that has a database open is ended. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { BackupError } from '../errors.ts';
import { readProc } from '../files/proc.ts';
import type { Holder, Holders } from './holders.ts';

/** A command line may be as long as a program likes. */
const longestCommand = 200;

/** The same holders with their command lines, and since when they run, as far as the system tells. */
export function described(found: Holders): Holders {
  const about = aboutOf(found.holders.map(({ pid }) => pid));
  return { ...found, holders: found.holders.map((one) => ({ ...one, ...about.get(one.pid) })) };
}

type About = Pick<Holder, 'command' | 'startedAt'>;

function aboutOf(pids: readonly number[]): Map<number, About> {
  if (process.platform === 'linux') return new Map(pids.map((pid) => [pid, inProc(pid)]));
  if (process.platform !== 'darwin' || pids.length === 0) return new Map();
  try {
    const args = ['-ww', '-o', 'pid=,lstart=,command=', '-p', pids.join(',')];
    const options = { encoding: 'utf8', timeout: 5_000, env: { LC_ALL: 'C' } } as const;
    return parseProcesses(execFileSync('/bin/ps', args, options));
  } catch {
    return new Map(); // Names and numbers are enough.
  }
}

function inProc(pid: number): About {
  const command = cut(readProc(`/proc/${pid}/cmdline`).replaceAll('\0', ' '));
  // The name in parentheses may hold anything; the 22nd field is the start, in hundredths of a second since the boot.
  const stat = readProc(`/proc/${pid}/stat`);
  const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  const booted = Number(/^btime (\d+)$/m.exec(readProc('/proc/stat'))?.[1]);
  const at = booted * 1000 + ticks * 10;
  return {
    ...(command !== '' && { command }),
    ...(Number.isFinite(at) && ticks > 0 && { startedAt: new Date(at).toISOString() }),
  };
}

/** Reads lines of `ps -o pid=,lstart=,command=`, such as `  17 Sat Nov 21 13:45:02 2026 python3 writer.py`. */
export function parseProcesses(text: string): Map<number, About> {
  return new Map(
    text.split('\n').flatMap((line): [number, About][] => {
      const [, pid, start = '', command = ''] =
        /^\s*(\d+)\s+(\w{3}\s+\w{3}\s+\d+\s[\d:]{8}\s\d{4})\s+(.+)$/.exec(line) ?? [];
      const at = new Date(start);
      if (pid === undefined || Number.isNaN(at.getTime())) return [];
      return [[Number(pid), { command: cut(command), startedAt: at.toISOString() }]];
    }),
  );
}

function cut(text: string): string {
  const all = [...text.trim()];
  return all.length > longestCommand ? `${all.slice(0, longestCommand).join('')}…` : all.join('');
}

/** How long a program may take to end by itself. */
const patienceMs = 3_000;
const lookEachMs = 50;

/**
 * Asks the program to end, as `kill PID` does, and waits a little. Nothing is sent unless the process has the database
 * open and is the one that was shown: numbers are used again. True when it has ended, or was not there any more.
 */
export async function endProgram(
  { pid, startedAt }: Pick<Holder, 'pid' | 'startedAt'>,
  look: () => Holders,
): Promise<boolean> {
  const find = (): Holder | undefined =>
    described(look()).holders.find(
      (one) => one.pid === pid && one.startedAt === startedAt && one.isOurs !== true,
    );
  const program = find();
  if (program === undefined) return true;
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'ESRCH') return true;
    throw new BackupError('access', `${program.name} (pid ${pid}) cannot be ended from here.`, {
      hint: 'It belongs to another user. Stop it where it was started.',
      cause: error,
    });
  }
  for (let waited = 0; waited < patienceMs; waited += lookEachMs) {
    await sleep(lookEachMs);
    if (find() === undefined) return true;
  }
  return false;
}
