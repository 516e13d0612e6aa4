/** Proves copies by reading them back. */
import { createHash } from 'node:crypto';
import { listBackups } from '../catalog/catalog.ts';
import { requireOwn } from '../catalog/keeping.ts';
import { isBackupError, type PlainError, toPlainError } from '../errors.ts';
import type { Progress } from '../job.ts';
import type { Receipt } from '../manifest/manifest.ts';
import { type Destination, placeOf, remember } from './destination.ts';
import type { Driver, Remote } from './driver.ts';
import { newestOfEachDatabase } from './newest.ts';
import { type Access, withPlaceLocked } from './place.ts';
import { isCopyOf, isSameCopy, receiptOf, recordReceipt } from './receipts.ts';
import { trouble } from './trouble.ts';

type OnProgress = (progress: Progress) => void;

/** Reads a copy back and compares its bytes with what its tags, or its address, promise. */
export async function proveRemote(
  driver: Driver,
  remote: Remote,
  destination: Destination,
  onProgress: OnProgress,
): Promise<void> {
  const hash = createHash('sha256');
  let doneBytes = 0;
  await driver.read(remote, 'backup', (chunk) => {
    hash.update(chunk);
    doneBytes += chunk.length;
    onProgress({ phase: 'prove', doneBytes, totalBytes: remote.sizeBytes ?? doneBytes });
  });
  if (hash.digest('hex') !== remote.sha256)
    throw trouble('damaged', { name: destination.name, engine: destination.engine }, remote.name);
}

/** Of each database the newest, and one of the others. */
export function sampleOf(all: readonly Remote[]): Remote[] {
  const newest = newestOfEachDatabase(all, Date.now());
  const others = all.filter((one) => !newest.includes(one));
  const one = others[Math.floor(Math.random() * others.length)];
  return one === undefined ? newest : [...newest, one];
}

interface ProvedCopy {
  id: string;
  name: string;
  sizeBytes: number;
  /** The same backup here. */
  path?: string;
}

interface Verdicts {
  proved: ProvedCopy[];
  failures: { id: string; name: string; path?: string; error: PlainError }[];
}

/** Reads these back, and writes the receipts of the backups in `folders`. Throws what is wrong with the place. */
export async function proveCopies(
  driver: Driver,
  copies: readonly Remote[],
  {
    destination,
    folders,
    onProgress,
  }: {
    destination: Destination;
    folders: readonly string[];
    onProgress: OnProgress;
  },
): Promise<Verdicts> {
  const result: Verdicts = { proved: [], failures: [] };
  const local = folders.flatMap((folder) => listBackups(folder));
  for (const remote of copies) {
    const { id, name, sizeBytes = 0 } = remote;
    const here = local.filter(
      (entry) =>
        isCopyOf(entry, remote) ||
        isSameCopy(receiptOf(entry.kept ?? {}, placeOf(destination))?.id ?? '', id),
    );
    const [first] = here;
    const copy = { id, name, ...(first !== undefined && { path: first.path }) };
    try {
      await proveRemote(driver, remote, destination, onProgress);
      result.proved.push({ ...copy, sizeBytes });
      remember(destination, { provedAt: new Date().toISOString() });
      for (const { path } of here) {
        const at = receiptOf(requireOwn(path).manifest, placeOf(destination))?.at;
        recordReceipt(path, {
          ...receiptFor(destination, remote),
          ...(at !== undefined && { at }),
        });
      }
    } catch (error) {
      if (!isBackupError(error) || error.facts?.['reason'] !== 'damaged') throw error;
      result.failures.push({ ...copy, error: toPlainError(error) });
      // A receipt says only what holds.
      for (const { path } of here)
        recordReceipt(path, { ...receiptFor(destination, remote), provedAt: undefined });
    }
  }
  return result;
}

export function receiptFor(destination: Destination, { id }: Remote): Receipt {
  const now = new Date().toISOString();
  return {
    ...{ name: destination.name, engine: destination.engine, place: placeOf(destination), id },
    ...{ at: now, provedAt: now },
  };
}

/** By the whole id, by a beginning that only one has, or by the name of the backup. */
export function findRemote(
  all: readonly Remote[],
  asked: string,
  { name, engine }: Destination,
): Remote {
  const exact = all.find(({ id }) => id === asked) ?? all.find((one) => one.name === asked);
  const begun = asked.length < 4 ? [] : all.filter(({ id }) => id.startsWith(asked));
  const found = exact ?? (begun.length === 1 ? begun[0] : undefined);
  if (found === undefined) throw trouble('not-there', { name, engine }, asked);
  return found;
}

export interface Proved {
  proved: { id: string; name: string }[];
  failures: { id: string; name: string; message: string }[];
}

/** Reads copies back: the one that is asked for, all, or the newest of each database with one older copy by chance. */
export async function proveOffsite(
  {
    ids,
    all = false,
    folders = [],
    ...access
  }: Access & {
    ids?: string[] | undefined;
    all?: boolean | undefined;
    folders?: string[] | undefined;
  },
  onProgress: OnProgress,
): Promise<Proved> {
  const { destination } = access;
  return withPlaceLocked(access, async (open) => {
    const driver = await open();
    const there = await driver.list();
    const asked = ids?.map((id) => findRemote(there, id, destination));
    const { proved, failures } = await proveCopies(
      driver,
      asked ?? (all ? there : sampleOf(there)),
      { destination, folders, onProgress },
    );
    if (asked === undefined && proved.length > 0 && failures.length === 0)
      remember(destination, { sampledAt: new Date().toISOString() });
    return {
      proved: proved.map(({ id, name }) => ({ id, name })),
      failures: failures.map(({ id, name, error }) => ({ id, name, message: error.message })),
    };
  });
}
