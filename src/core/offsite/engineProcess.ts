/** Tells whether a process is the engine that was started, because its number may be used again. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isAlive } from '../files/workplace.ts';

/** What stays the same while the process lives, and no later process of its number shares. Empty where nothing tells. */
export function markOf(pid: number, program: string): string {
  if (process.platform === 'linux') return inProc(pid);
  if (process.platform === 'win32') return basename(program).toLowerCase();
  return told('/bin/ps', ['-o', 'lstart=,comm=', '-p', String(pid)]);
}

export function isStillRunning({ pid, mark }: { pid: number; mark: string }): boolean {
  if (!isAlive(pid)) return false;
  if (process.platform !== 'win32') return mark !== '' && markOf(pid, '') === mark;
  const listed = told('tasklist.exe', ['/FI', ['PID', 'eq', pid].join(' '), '/FO', 'CSV', '/NH']);
  return listed.toLowerCase().startsWith(`"${mark}"`);
}

/** The start in hundredths of a second since the boot, and which boot. */
function inProc(pid: number): string {
  try {
    // The name in parentheses may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const isOver = state === 'Z' || state === 'X';
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return isOver ? '' : `${boot} ${rest[18]}`;
  } catch {
    return '';
  }
}

function told(program: string, args: readonly string[]): string {
  try {
    const options = { encoding: 'utf8', timeout: 5_000, windowsHide: true } as const;
    return execFileSync(program, args, { ...options, stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}
