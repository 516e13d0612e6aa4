/** Opens a place for copies, and lets one process at a time send to it. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeDataFolder } from '../files/dataFolder.ts';
import { lockFile } from '../sqlite/fileLock.ts';
import { type Destination, placeOf, remember, requireDestination, stateOf } from './destination.ts';
import type { Driver } from './driver.ts';
import { type Engine, findProgram } from './engine.ts';
import { isStillRunning, markOf } from './engineProcess.ts';
import { rcloneDriver } from './rclone.ts';
import { resticDriver } from './restic.ts';
import { trouble } from './trouble.ts';

/** Where the copies are, and a password that is kept nowhere. */
export interface Access {
  destination: Destination;
  secret?: string | undefined;
}

export async function openPlace(
  { destination: given, secret }: Access,
  onProcess: Engine['onProcess'] = () => undefined,
): Promise<Driver> {
  const destination = requireDestination(given);
  const access = { destination, secret };
  const { name, engine, passwordCommand, passwordFile } = destination;
  if (engine === 'rclone') return openEngine(access, onProcess);
  const ways = [secret, passwordCommand, passwordFile];
  const inEnvironment = Object.keys(process.env).some((key) => /^RESTIC_PASSWORD/.test(key));
  if (ways.every((way) => way === undefined) && !inEnvironment)
    throw trouble('password', { name, engine: 'restic' });
  return openEngine(access, onProcess);
}

/** Asks the engine for its version only. */
export async function openEngine(
  { destination: given, secret }: Access,
  onProcess: Engine['onProcess'] = () => undefined,
): Promise<Driver> {
  const destination = requireDestination(given);
  const engine = { destination, program: findProgram(destination), secret, onProcess };
  return destination.engine === 'rclone' ? rcloneDriver(engine) : resticDriver(engine);
}

const engineEndsWithinMs = 10_000;

/**
 * Only one process of this user sends to a place at a time. The action opens the place itself, so that it can remember
 * why that failed.
 */
export async function withPlaceLocked<T>(
  access: Access,
  action: (open: () => Promise<Driver>) => Promise<T>,
): Promise<T> {
  const { destination } = access;
  const where = { name: destination.name, engine: destination.engine };
  const lock = lockFile(join(makeDataFolder('offsite'), `${placeOf(destination)}.lock`));
  if (lock === undefined) throw trouble('busy', where);
  try {
    // The engine of a run that was killed ends at its next word; until then it may still finish its copy.
    const { engineProcess } = stateOf(destination);
    const until = performance.now() + engineEndsWithinMs;
    while (engineProcess !== undefined && isStillRunning(engineProcess)) {
      if (performance.now() > until) throw trouble('busy', where);
      await sleep(100);
    }
    return await action(() =>
      openPlace(access, (pid, program) =>
        remember(destination, {
          engineProcess: pid === undefined ? undefined : { pid, mark: markOf(pid, program) },
        }),
      ),
    );
  } finally {
    lock.release();
  }
}
