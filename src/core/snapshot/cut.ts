/*
 * One instant of several databases. SQLite has no transaction over several files, so:
 * 1. lock-free: read each database's version, pin all, read the versions again. Unchanged means that no program committed in
 *    between, so the pins share an instant;
 * 2. barrier: hold all write locks (in the order of the paths, with short timeouts, so that no program deadlocks), pin, let go;
 * 3. else the pins are consistent one by one, and the label says so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isBackupError } from '../errors.ts';
import type { CutLabel } from '../manifest/manifest.ts';
import { holdWriteLock, watch, type Watcher } from '../sqlite/locks.ts';
import type { Pin } from '../sqlite/pin.ts';

const lockFreeTries = 20;
const barrierTries = 25;
/** While others wait behind locks of ours, we do not wait: only the first lock and lone pins may take this long. */
const briefTimeoutMs = 50;
const shortestPauseMs = 2;
const longestPauseMs = 80;

export interface Cut {
  label: CutLabel;
  /** True when no program has committed between the pins and what `look` saw. */
  isExact: boolean;
  /** Why it is no shared instant. */
  reason?: string;
  /** By path. The caller releases them. */
  pins: Map<string, Pin>;
  /** By path, what kept a database from being pinned in the end. */
  failures: Map<string, unknown>;
}

/** Pins one database, waiting at most `timeoutMs` for a lock of others. */
export type PinOne = (path: string, timeoutMs: number) => Pin;

/**
 * Pins all databases, if it can be done at one instant. `paths` are real paths of different files. Waits up to
 * `busyTimeoutMs` for a database only when nothing else of ours is held.
 */
export async function takeCut(
  paths: readonly string[],
  pinOne: PinOne,
  busyTimeoutMs: number,
  { random = Math.random, look }: CutOptions = {},
): Promise<Cut> {
  const pause = (attempt: number): Promise<void> => {
    const longest = Math.min(longestPauseMs, shortestPauseMs * (attempt + 2));
    return sleep(shortestPauseMs + random() * (longest - shortestPauseMs));
  };
  if (paths.length === 1) {
    const exact = look && (await pinAlone(paths, pinOne, pause, look));
    return exact ?? pinEach(paths, pinOne, busyTimeoutMs, { label: 'one-instant' }, look);
  }
  const watchers = new Watchers(paths);
  try {
    const pins =
      (await pinLockFree(watchers, paths, pinOne, pause, { look })) ??
      (await pinBehindBarrier(watchers, paths, pinOne, pause, look));
    if (pins !== undefined)
      return { label: 'one-instant', isExact: true, pins, failures: new Map() };
  } finally {
    watchers.close();
  }
  const reason = 'The databases were written to all the time, or could not be locked together.';
  return pinEach(paths, pinOne, busyTimeoutMs, { label: 'per-database', reason }, look);
}

export interface CutOptions {
  random?: () => number;
  /** Looks at what is not behind the pins, as the index of a WAL, which another program may change meanwhile. */
  look?: (() => Promise<void>) | undefined;
}

/** Of a database that is written to all the time, a later state is as good. */
const triesAlone = 4;

async function pinAlone(
  paths: readonly string[],
  pinOne: PinOne,
  pause: Pause,
  look: () => Promise<void>,
): Promise<Cut | undefined> {
  const watchers = new Watchers(paths);
  try {
    const pins = await pinLockFree(watchers, paths, pinOne, pause, { look, tries: triesAlone });
    return pins && { label: 'one-instant', isExact: true, pins, failures: new Map() };
  } catch (error) {
    // Then `pinEach` says why it cannot be pinned.
    if (isBackupError(error)) return undefined;
    throw error;
  } finally {
    watchers.close();
  }
}

async function pinEach(
  paths: readonly string[],
  pinOne: PinOne,
  timeoutMs: number,
  label: Pick<Cut, 'label' | 'reason'>,
  look: CutOptions['look'],
): Promise<Cut> {
  const cut: Cut = { ...label, isExact: false, pins: new Map(), failures: new Map() };
  for (const path of paths) {
    try {
      cut.pins.set(path, pinOne(path, timeoutMs));
    } catch (error) {
      cut.failures.set(path, error);
    }
  }
  try {
    await look?.();
  } catch (error) {
    releaseAll(cut.pins.values());
    throw error;
  }
  return cut;
}

/** All pins or none: what was pinned before a failure is let go. */
function pinAll(paths: readonly string[], pinOne: PinOne): Map<string, Pin> {
  const pins = new Map<string, Pin>();
  try {
    for (const path of paths) pins.set(path, pinOne(path, 0));
    return pins;
  } catch (error) {
    releaseAll(pins.values());
    throw error;
  }
}

function releaseAll(held: Iterable<{ release: () => void }>): void {
  for (const one of held) one.release();
}

/**
 * A read-only connection to each database. They tell whether a program has committed, and while they are open no lock of
 * ours is the last connection to a WAL database, whose closing would checkpoint it.
 */
class Watchers {
  readonly #paths: readonly string[];
  readonly #open = new Map<string, Watcher>();

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** The version of each database. Throws `source-busy` when one cannot be looked at just now. */
  versions(): number[] {
    return this.#paths.map((path) => {
      const watcher = this.#open.get(path) ?? watch(path);
      this.#open.set(path, watcher);
      return watcher.version();
    });
  }

  close(): void {
    for (const watcher of this.#open.values()) watcher.close();
  }
}

type Pause = (attempt: number) => Promise<void>;

async function pinLockFree(
  watchers: Watchers,
  paths: readonly string[],
  pinOne: PinOne,
  pause: Pause,
  { look, tries = lockFreeTries }: { look: CutOptions['look']; tries?: number },
): Promise<Map<string, Pin> | undefined> {
  for (let attempt = 0; attempt < tries; attempt++) {
    const pins = await orBusy(() => pinIfUnchanged(watchers, paths, pinOne, look));
    if (pins !== undefined) return pins;
    await pause(attempt);
  }
  return undefined;
}

async function pinIfUnchanged(
  watchers: Watchers,
  paths: readonly string[],
  pinOne: PinOne,
  look: CutOptions['look'],
): Promise<Map<string, Pin> | undefined> {
  const before = watchers.versions();
  const pins = pinAll(paths, pinOne);
  try {
    await look?.();
    const after = watchers.versions();
    if (after.every((version, index) => version === before[index])) return pins;
  } catch (error) {
    releaseAll(pins.values());
    throw error;
  }
  releaseAll(pins.values());
  return undefined;
}

async function pinBehindBarrier(
  watchers: Watchers,
  paths: readonly string[],
  pinOne: PinOne,
  pause: Pause,
  look: CutOptions['look'],
): Promise<Map<string, Pin> | undefined> {
  const ordered = [...paths].sort();
  for (let attempt = 0; attempt < barrierTries; attempt++) {
    const locks: { release: () => void }[] = [];
    try {
      const pins = await orBusy(async () => {
        watchers.versions(); // Makes sure that each watcher has really opened its database.
        for (const [index, path] of ordered.entries()) {
          locks.push(holdWriteLock(path, index === 0 ? briefTimeoutMs : 0));
        }
        const all = pinAll(paths, pinOne);
        try {
          await look?.();
        } catch (error) {
          releaseAll(all.values());
          throw error;
        }
        return all;
      });
      if (pins !== undefined) return pins;
    } catch (error) {
      // A file that this user may only read cannot be locked, now or later.
      if (isBackupError(error) && error.code !== 'internal') return undefined;
      throw error;
    } finally {
      releaseAll(locks);
    }
    await pause(attempt);
  }
  return undefined;
}

/** Undefined when another process had a lock: that is a reason to try again, everything else is not. */
async function orBusy<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (isBackupError(error) && error.code === 'source-busy') return undefined;
    throw error;
  }
}
