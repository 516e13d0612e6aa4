/** When the next scheduled checkpoint is due, and which of several windows takes it. Nothing here knows vscode. */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cron } from 'croner';

/** The first time after `after`, in ms since 1970. */
export type Schedule = (after: number) => number;

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * `every 15m`, `every 2h`, `every 1d`: counted from one checkpoint to the next. `daily 02:00`, or a cron pattern of five
 * parts: local time. Undefined for anything else.
 */
export function parseSchedule(text: string): Schedule | undefined {
  const [, number = '', unit = ''] = /^every\s+(\d{1,4})\s*([mhd])$/.exec(text) ?? [];
  const everyMs = Number(number) * (unitMs[unit] ?? 0);
  if (everyMs > 0) return (after) => after + everyMs;
  const [, hour, minute] = /^daily\s+([01]?\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (hour === undefined) return parseCron(text);
  return (after) => {
    const at = new Date(after);
    at.setHours(Number(hour), Number(minute), 0, 0);
    if (at.getTime() <= after) at.setDate(at.getDate() + 1);
    return at.getTime();
  };
}

function parseCron(text: string): Schedule | undefined {
  // Without seconds: a checkpoint each second is no schedule.
  if (text.trim().split(/\s+/).length !== 5) return undefined;
  try {
    const cron = new Cron(text, { mode: '5-part' });
    // One that never comes, as on February 31, is no schedule either.
    if (cron.nextRun() === null) return undefined;
    return (after) => cron.nextRun(new Date(after))?.getTime() ?? Infinity;
  } catch {
    return undefined;
  }
}

/** A window that was killed while it looked leaves its lock for so long. */
const staleLockMs = 60_000;

/**
 * True for one of all that ask, when the time has come: then the others wait for the next time. `name` says for what; what
 * is remembered lies in `folder`.
 */
export function takesTurn(folder: string, name: string, schedule: Schedule, now: number): boolean {
  mkdirSync(folder, { recursive: true });
  const [state, lock] = [join(folder, `${name}.json`), join(folder, `${name}.lock`)];
  if (!isDue(readAt(state), schedule, now)) return false;
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
  } catch {
    const age = now - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? now);
    if (Math.abs(age) > staleLockMs) rmSync(lock, { force: true });
    return false;
  }
  try {
    // Another window may have had its turn between the two looks.
    if (!isDue(readAt(state), schedule, now)) return false;
    writeFileSync(state, JSON.stringify({ at: now }));
    return true;
  } finally {
    rmSync(lock, { force: true });
  }
}

function isDue(at: number | undefined, schedule: Schedule, now: number): boolean {
  // A time in the future is that of a clock that was ahead.
  return at === undefined || at > now || schedule(at) <= now;
}

function readAt(path: string): number | undefined {
  try {
    const { at } = JSON.parse(readFileSync(path, 'utf8')) as { at?: unknown };
    return typeof at === 'number' ? at : undefined;
  } catch {
    return undefined; // The first time, or half a file: then a checkpoint is taken.
  }
}
