/** Sends backups off this machine, and proves them by reading them back. */
import { linkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type CatalogEntry, listBackups } from '../catalog/catalog.ts';
import { requireOwn } from '../catalog/keeping.ts';
import { BackupError, explain, isBackupError, type PlainError, toPlainError } from '../errors.ts';
import { copyWhole } from '../files/copying.ts';
import { sha256File } from '../files/digests.ts';
import { lacksHardLinks } from '../files/publish.ts';
import { makePrivateFolder, sweepLeftovers } from '../files/workplace.ts';
import type { Progress } from '../job.ts';
import { inLineage } from '../manifest/lineage.ts';
import { manifestNameOf, requireBareName } from '../manifest/names.ts';
import { type Destination, placeOf, remember, stateOf } from './destination.ts';
import { isProofDue } from './due.ts';
import type { Driver, Remote } from './driver.ts';
import { newestOfGroups } from './newest.ts';
import { type Access, withPlaceLocked } from './place.ts';
import { proveCopies, proveRemote, sampleOf } from './prove.ts';
import { databaseIdOf, isSameDatabase, isSameCopy, receiptOf, recordReceipt } from './receipts.ts';
import { isPassing, trouble } from './trouble.ts';

export interface SendRequest extends Access {
  /** Folders with backups. */
  folders: string[];
  /** Only these, whatever the destination says. */
  only?: string[] | undefined;
}

export interface SentCopy {
  path: string;
  id: string;
  sizeBytes: number;
}

export interface Sent {
  sent: SentCopy[];
  /** They were there already. */
  already: SentCopy[];
  proved: SentCopy[];
  failures: { path: string; error: PlainError }[];
  /** What still has to be sent. */
  waiting: string[];
  /** Why they wait. */
  trouble?: PlainError;
}

type OnProgress = (progress: Progress) => void;

/**
 * Sends what is wanted and not there yet, and proves each by reading it back; once a week also a sample of what lies there.
 * A place that cannot be reached is no error: the rest waits for the next time. Throws what a person has to mend.
 */
export async function sendOffsite(request: SendRequest, onProgress: OnProgress): Promise<Sent> {
  const { destination } = request;
  const wanted = wantedOf(request);
  const result: Sent = { sent: [], already: [], proved: [], failures: [], waiting: [...wanted] };
  return withPlaceLocked(request, async (open) => {
    const folders = [
      ...new Set([...stateOf(destination).folders, ...request.folders.map((one) => resolve(one))]),
    ];
    remember(destination, { folders, triedAt: new Date().toISOString() });
    try {
      const driver = await open();
      for (const folder of new Set(wanted.map((path) => dirname(path))))
        await sweepLeftovers(folder);
      const there = await driver.list();
      for (const path of wanted) {
        try {
          await sendOne(path, { destination, driver, there, result, onProgress });
        } catch (error) {
          if (!isOfThisBackup(error)) throw error;
          result.failures.push({ path, error: toPlainError(error) });
        }
        result.waiting = result.waiting.filter((one) => one !== path);
      }
      await proveSample(driver, there, { destination, result, folders, onProgress });
      remember(destination, { trouble: undefined });
      return result;
    } catch (error) {
      const plain = toPlainError(error);
      const reason = String(plain.facts?.['reason'] ?? plain.code);
      remember(destination, {
        trouble: { reason, message: plain.message, at: new Date().toISOString() },
      });
      if (!isPassing(reason)) throw error;
      const { name, engine } = destination;
      const isSent = result.waiting.length === 0;
      const told =
        isSent || reason !== 'unreachable'
          ? plain
          : toPlainError(trouble('not-sent', { name, engine }));
      return { ...result, trouble: told };
    }
  });
}

/** Something is wrong with the backup, not with the place. */
function isOfThisBackup(error: unknown): boolean {
  if (!isBackupError(error)) return false;
  return error.code !== 'offsite' || isDamaged(error);
}

function isDamaged(error: unknown): boolean {
  return isBackupError(error) && error.facts?.['reason'] === 'damaged';
}

interface Sending {
  destination: Destination;
  driver: Driver;
  there: readonly Remote[];
  result: Sent;
  onProgress: OnProgress;
}

async function sendOne(
  path: string,
  { destination, driver, there, result, onProgress }: Sending,
): Promise<void> {
  const { manifest } = requireOwn(path);
  const { sizeBytes, sha256 } = manifest;
  const name = basename(path);
  const place = placeOf(destination);
  const earlier = receiptOf(manifest, place);
  const database = databaseIdOf(manifest);
  const address = driver.addressOf?.(name, sha256);
  const equal = there.filter(
    (one) =>
      one.sha256 === sha256 && (isSameDatabase(database, one.database) || one.id === address),
  );
  const known =
    equal.find(({ id }) => earlier !== undefined && isSameCopy(earlier.id, id)) ??
    equal.find((one) => one.database === database) ??
    equal[0];
  const sendIt = async (again: boolean): Promise<Remote> => {
    const progress = (doneBytes: number): void =>
      onProgress({
        phase: 'copy',
        doneBytes: Math.min(doneBytes, sizeBytes),
        totalBytes: sizeBytes,
      });
    const id = await inParcel(path, sha256, (folder) =>
      driver.send({ folder, name, manifest, again }, progress),
    );
    remember(destination, { sentAt: new Date().toISOString() });
    result.sent.push({ path, id, sizeBytes });
    return { id, name, sha256, createdAt: manifest.createdAt, sizeBytes };
  };
  let remote = known ?? (await sendIt(false));
  const receipt = {
    ...{ name: destination.name, engine: destination.engine, place, id: remote.id },
    at: earlier?.at ?? new Date().toISOString(),
  };
  if (known !== undefined) result.already.push({ path, id: known.id, sizeBytes });
  // A copy that was proved once is proved again by the weekly samples.
  const isSame = earlier !== undefined && isSameCopy(earlier.id, remote.id);
  if (isSame && earlier.provedAt !== undefined) return;
  recordReceipt(path, receipt);
  try {
    await proveRemote(driver, remote, destination, onProgress);
  } catch (error) {
    if (address === undefined || known === undefined || !isDamaged(error)) throw error;
    remote = await sendIt(true);
    result.already = result.already.filter((one) => one.path !== path);
    receipt.id = remote.id;
    await proveRemote(driver, remote, destination, onProgress);
  }
  recordReceipt(path, { ...receipt, provedAt: new Date().toISOString() });
  remember(destination, { provedAt: new Date().toISOString() });
  result.proved.push({ path, id: remote.id, sizeBytes });
}

/** Reads a sample of what lies there back, once a week. What this run has proved is not read again. */
async function proveSample(
  driver: Driver,
  there: readonly Remote[],
  {
    destination,
    result,
    folders,
    onProgress,
  }: Omit<Sending, 'driver' | 'there'> & { folders: string[] },
): Promise<void> {
  if (!isProofDue(stateOf(destination).sampledAt, Date.now())) return;
  const fresh = new Set([...result.sent, ...result.proved].map(({ id }) => id));
  const sample = sampleOf(there).filter(({ id }) => !fresh.has(id));
  const { proved, failures } = await proveCopies(driver, sample, {
    ...{ destination, folders, onProgress },
  });
  result.proved.push(
    ...proved.map(({ id, name, sizeBytes, path = name }) => ({ id, path, sizeBytes })),
  );
  result.failures.push(...failures.map(({ name, path = name, error }) => ({ path, error })));
  if (failures.length === 0) remember(destination, { sampledAt: new Date().toISOString() });
}

/**
 * The backup and its manifest get a second name in a private folder, from which the engine reads: meanwhile retention may
 * remove the backup, and a remark may replace its manifest.
 */
async function inParcel<T>(
  path: string,
  sha256: string,
  action: (folder: string) => Promise<T>,
): Promise<T> {
  const name = requireBareName(basename(path));
  const scratch = makePrivateFolder(dirname(path));
  try {
    for (const [from, to] of [
      [path, join(scratch.path, name)],
      [manifestNameOf(path), join(scratch.path, manifestNameOf(name))],
    ] as const) {
      try {
        linkSync(from, to);
      } catch (error) {
        if (!lacksHardLinks(error)) throw explain(error, 'source', path);
        copyWhole(from, to);
      }
    }
    // What does not match its manifest here would never be proved there.
    if (sha256File(join(scratch.path, name)) !== sha256)
      throw new BackupError(
        'backup-damaged',
        `${path} does not match its backup details. It is not sent.`,
        {
          path,
          hint: 'Verify the backups of this folder.',
        },
      );
    return await action(scratch.path);
  } finally {
    scratch.remove();
  }
}

/** The backups that are meant to be there, oldest first. */
function wantedOf({ destination, folders, only }: SendRequest): string[] {
  if (only !== undefined) return only.map((path) => requireOwn(path).path);
  return folders.flatMap((folder) => chosen(listBackups(resolve(folder)), destination)).reverse();
}

function chosen(all: readonly CatalogEntry[], destination: Destination): string[] {
  const { what } = destination;
  const place = placeOf(destination);
  const usable = all.filter(
    ({ kept, foreign, unreadable, verified, sizeBytes }) =>
      kept !== undefined &&
      !foreign &&
      unreadable === undefined &&
      verified !== 'damaged' &&
      sizeBytes > 0,
  );
  const ordered = inLineage(usable);
  const newest = new Set(newestOfGroups(ordered, ({ group, path }) => group ?? path, Date.now()));
  return ordered
    .filter((one) => {
      const { kept } = one;
      // A newer one stays the newest, although its copy was removed.
      if (kept !== undefined && receiptOf(kept, place)?.removedAt !== undefined) return false;
      if (what === 'pinned') return kept?.pinned === true;
      return what === 'all' || newest.has(one);
    })
    .map(({ path }) => path);
}

/** What of these folders is wanted there and has no receipt. Asks no engine. */
export function waitingFor(destination: Destination, folders: readonly string[]): string[] {
  const place = placeOf(destination);
  return wantedOf({ destination, folders: [...folders] }).filter(
    (path) => receiptOf(requireOwn(path).manifest, place) === undefined,
  );
}
