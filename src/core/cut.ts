/*
 * One instant of several databases. SQLite has no transaction over several files, so:
 * 1. lock-free: read each database's version, pin all, read the versions again. Unchanged means that nobody committed in
 *    between, so the pins share an instant;
 * 2. barrier: hold all write locks (in the order of the paths, with short timeouts, so that nobody deadlocks), pin, let go;
 * 3. else the pins are consistent one by one, and the label says so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isBackupError } from './errors.ts';
import type { CutLabel } from './manifest.ts';
import { holdWriteLock, watch, type Pin } from './sqlite.ts';

const lockFreeTries = 20;
const barrierTries = 40;
const lockTimeoutMs = 50;
const shortestPauseMs = 2;
const longestPauseMs = 25;

export interface Cut {
  label: CutLabel;
  /** Why it is no shared instant. */
  reason?: string;
  /** In the order asked for. The caller releases them. */
  pins: Pin[];
}

/**
 * Pins all databases, if it can be done at one instant. `pins[i]` belongs to `paths[i]`, which are real paths of
 * different files; `pinOne` must have succeeded on each before. Rejects when a database cannot be pinned at all.
 */
export async function takeCut(
  paths: readonly string[],
  pinOne: (path: string) => Pin,
  random: () => number = Math.random,
): Promise<Cut> {
  const pause = (): Promise<void> =>
    sleep(shortestPauseMs + random() * (longestPauseMs - shortestPauseMs));
  if (paths.length === 1) return { label: 'one-instant', pins: pinAll(paths, pinOne) };
  return (
    (await pinLockFree(paths, pinOne, pause)) ??
    (await pinBehindBarrier(paths, pinOne, pause)) ?? {
      label: 'per-database',
      reason: 'The databases were written to all the time, or could not be locked together.',
      pins: pinAll(paths, pinOne),
    }
  );
}

function pinAll(paths: readonly string[], pinOne: (path: string) => Pin): Pin[] {
  const pins: Pin[] = [];
  try {
    for (const path of paths) pins.push(pinOne(path));
    return pins;
  } catch (error) {
    releaseAll(pins);
    throw error;
  }
}

function releaseAll(held: readonly { release: () => void }[]): void {
  for (const one of held) one.release();
}

async function pinLockFree(
  paths: readonly string[],
  pinOne: (path: string) => Pin,
  pause: () => Promise<void>,
): Promise<Cut | undefined> {
  const watchers = paths.map((path) => watch(path));
  try {
    for (let attempt = 0; attempt < lockFreeTries; attempt++) {
      const pins = pinIfUnchanged(watchers, paths, pinOne);
      if (pins !== undefined) return { label: 'one-instant', pins };
      await pause();
    }
    return undefined;
  } finally {
    for (const watcher of watchers) watcher.close();
  }
}

function pinIfUnchanged(
  watchers: ReturnType<typeof watch>[],
  paths: readonly string[],
  pinOne: (path: string) => Pin,
): Pin[] | undefined {
  const before = orBusy(() => watchers.map((watcher) => watcher.version()));
  if (before === undefined) return undefined;
  const pins = orBusy(() => pinAll(paths, pinOne));
  if (pins === undefined) return undefined;
  const after = orBusy(() => watchers.map((watcher) => watcher.version()));
  if (after !== undefined && after.every((version, index) => version === before[index]))
    return pins;
  releaseAll(pins);
  return undefined;
}

async function pinBehindBarrier(
  paths: readonly string[],
  pinOne: (path: string) => Pin,
  pause: () => Promise<void>,
): Promise<Cut | undefined> {
  const ordered = [...paths].sort();
  for (let attempt = 0; attempt < barrierTries; attempt++) {
    const locks: { release: () => void }[] = [];
    let pins: Pin[] | undefined;
    try {
      pins = orBusy(() => {
        for (const path of ordered) locks.push(holdWriteLock(path, lockTimeoutMs));
        return pinAll(paths, pinOne);
      });
    } catch (error) {
      // A file that this user may only read cannot be locked, now or later.
      if (isBackupError(error) && error.code !== 'internal') return undefined;
      throw error;
    } finally {
      // Before the pins are: a lock let go first is never the last connection, so it checkpoints nothing.
      releaseAll(locks);
    }
    if (pins !== undefined) return { label: 'one-instant', pins };
    await pause();
  }
  return undefined;
}

/** Undefined when somebody else had a lock: that is a reason to try again, everything else is not. */
function orBusy<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (isBackupError(error) && error.code === 'source-busy') return undefined;
    throw error;
  }
}
