/** Brings copies back from another machine, and says what is there. */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { listBackups } from '../catalog/catalog.ts';
import { BackupError, explain } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { requireSpace } from '../files/space.ts';
import { inWorkplace } from '../files/workplace.ts';
import type { Progress } from '../job.ts';
import { longestBundleManifestBytes, parseManifest } from '../manifest/manifest.ts';
import { publishPair } from '../manifest/manifestFile.ts';
import { manifestNameOf, requireBareName } from '../manifest/names.ts';
import { verifyBackup } from '../verify/verifyBackup.ts';
import {
  type Destination,
  type PlaceState,
  requireDestination,
  stateOf,
  storeDestination,
} from './destination.ts';
import { isProofDue } from './due.ts';
import type { Driver, Remote } from './driver.ts';
import { type Access, openPlace } from './place.ts';
import { findRemote, receiptFor } from './prove.ts';
import { isCopyOf, recordReceipt } from './receipts.ts';
import { waitingFor } from './send.ts';
import { trouble } from './trouble.ts';
import { writeWhole } from '../files/pieces.ts';

type OnProgress = (progress: Progress) => void;

/** Looks whether a place is ready; with `create`, makes its repository; with `store`, remembers it for the command line. */
export async function setUpOffsite({
  create = false,
  store = false,
  ...access
}: Access & {
  create?: boolean | undefined;
  store?: boolean | undefined;
}): Promise<SetUp> {
  const destination = requireDestination(access.destination);
  const driver = await openPlace(access);
  const { name, engine } = destination;
  const isThere = await driver.exists();
  if (!isThere && !create) throw trouble('no-repository', { name, engine });
  if (!isThere) await driver.create();
  if (store) storeDestination(destination);
  return { destination, version: driver.version, created: !isThere };
}

export interface SetUp {
  destination: Destination;
  version: string;
  /** The repository was not there before. */
  created: boolean;
}

export async function listOffsite(access: Access): Promise<Remote[]> {
  return (await openPlace(access)).list();
}

export interface Fetched {
  path: string;
  /** It was in the folder already. */
  already: boolean;
}

/**
 * Fetches a copy into the backups folder `folder`. It gets a name there only when its bytes, its manifest and SQLite's
 * check agree.
 */
export async function fetchOffsite(
  { id, folder, ...access }: Access & { id: string; folder: string },
  onProgress: OnProgress,
): Promise<Fetched> {
  const { destination } = access;
  const driver = await openPlace(access);
  const remote = findRemote(await driver.list(), id, destination);
  const name = requireBareName(remote.name);
  // A file that is not what its manifest says is what a copy is fetched for.
  const here = listBackups(folder).find(
    (entry) =>
      isCopyOf(entry, remote) &&
      entry.unreadable === undefined &&
      sha256File(entry.path) === remote.sha256,
  );
  if (here !== undefined) return { path: here.path, already: true };
  return inWorkplace(folder, async ({ folder: target, scratch }) => {
    requireSpace(scratch, remote.sizeBytes ?? 0);
    const staged = join(scratch, name);
    const report = (doneBytes: number): void =>
      onProgress({ phase: 'stage', doneBytes, totalBytes: remote.sizeBytes ?? doneBytes });
    const manifestText = await fetchManifest(driver, remote, manifestNameOf(staged));
    const sha256 = await download(driver, remote, staged, report);
    const parsed = parseManifest(manifestText);
    const isOurs = parsed.kind === 'manifest' || parsed.kind === 'bundle';
    if (!isOurs || sha256 !== remote.sha256 || parsed.manifest.sha256 !== sha256)
      throw notWhat(remote, destination);
    const { findings, status } = await verifyBackup(
      { path: staged, drill: false, folder: scratch },
      onProgress,
    );
    if (status === 'damaged')
      throw new BackupError(
        'backup-damaged',
        `The copy of ${name} in ${destination.name} is damaged: ${findings[0]?.message ?? ''}`,
        { hint: 'Fetch an older copy.' },
      );
    const { path } = publishPair(staged, target, namesLike(name), () => manifestText);
    recordReceipt(path, receiptFor(destination, remote));
    return { path, already: false };
  });
}

function* namesLike(name: string): Generator<string> {
  yield name;
  const [, stem = name, extension = ''] = /^(.+?)(\.[^.]*)?$/s.exec(name) ?? [];
  for (let n = 2; n <= 999; n++) yield `${stem}-${n}${extension}`;
}

function notWhat(remote: Remote, { name }: Destination): BackupError {
  return new BackupError(
    'backup-damaged',
    `The copy of ${remote.name} in ${name} is not what its backup details say. It was not kept.`,
    { hint: 'Fetch another copy, and check the repository.' },
  );
}

async function fetchManifest(driver: Driver, remote: Remote, to: string): Promise<string> {
  await download(driver, remote, to, () => undefined, 'manifest');
  return readFileSync(to, 'utf8');
}

async function download(
  driver: Driver,
  remote: Remote,
  to: string,
  onBytes: (doneBytes: number) => void,
  which: 'backup' | 'manifest' = 'backup',
): Promise<string> {
  const most =
    which === 'manifest'
      ? longestBundleManifestBytes
      : (remote.sizeBytes ?? Number.MAX_SAFE_INTEGER);
  const hash = createHash('sha256');
  const handle = openSync(to, 'wx', 0o600);
  let doneBytes = 0;
  try {
    await driver.read(remote, which, (chunk) => {
      if (doneBytes + chunk.length > most)
        throw new BackupError(
          'backup-damaged',
          `${remote.name} is larger than its backup details say.`,
        );
      writeWhole(handle, chunk);
      hash.update(chunk);
      onBytes((doneBytes += chunk.length));
    });
  } catch (error) {
    throw explain(error, 'target', to);
  } finally {
    closeSync(handle);
  }
  return hash.digest('hex');
}

export interface OffsiteStatus extends Omit<PlaceState, 'enginePid'> {
  destination: Destination;
  /** Paths of backups that are wanted there and not sent yet. */
  waiting: string[];
  /** No copy was proved in the last week. */
  isProofDue: boolean;
}

/** What is known here of a place. Asks no engine and no network. */
export function offsiteStatus({
  destination,
  folders,
}: {
  destination: Destination;
  folders?: string[] | undefined;
}): OffsiteStatus {
  const { triedAt, sentAt, provedAt, trouble: last, folders: sentFrom } = stateOf(destination);
  const known = (folders ?? sentFrom).filter(
    (folder) => statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true,
  );
  return {
    ...{ destination, folders: known, triedAt, sentAt, provedAt, trouble: last },
    waiting: waitingFor(destination, known),
    isProofDue: isProofDue(provedAt, Date.now()),
  };
}
