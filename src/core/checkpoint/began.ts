/** Whether a database was written since something began, told by the times of its files: nothing is opened. */
import { type BigIntStats, statSync } from 'node:fs';
import { sharedFileSystem } from '../files/fileSystem.ts';
import { type Moment, momentOfNow } from './commands.ts';

/** So much later than it began may a face hear of it. Clocks of file systems that count in seconds fit in. */
const latestNewsMs = 10_000;
/** More than this between the two clocks: one was set, or the machine slept. */
const mostDriftMs = 1000;

export interface BeganOptions {
  now?: Moment;
  /** Undefined for a disk of this machine. */
  shared?: (path: string) => string | undefined;
}

/**
 * True when the times of the database, and of its WAL, prove that nothing was written from before `began` until now. False
 * also where times prove nothing: they are those of another machine, or its clock was set meanwhile.
 */
export function isUnwrittenSince(
  path: string,
  began: Moment,
  { now = momentOfNow(), shared = sharedFileSystem }: BeganOptions = {},
): boolean {
  // Windows may write down the time of a change as late as when the file is closed.
  if (process.platform === 'win32') return false;
  const drift = now.atMs - began.atMs - (now.steadyMs - began.steadyMs);
  if (Math.abs(drift) > mostDriftMs) return false;
  try {
    if (shared(path) !== undefined) return false;
    const latest = Math.max(lastChange(path) ?? Infinity, lastChange(`${path}-wal`) ?? 0);
    return latest <= began.atMs - latestNewsMs;
  } catch {
    return false;
  }
}

/** ms since 1970; undefined where there is no file. */
function lastChange(path: string): number | undefined {
  const stat: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return Number(stat.mtimeMs > stat.ctimeMs ? stat.mtimeMs : stat.ctimeMs);
}
