/** Where checkpoints are, which there are, and how they are named. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { dataFolderPath, makeDataFolder } from '../files/dataFolder.ts';
import { realPathOf } from '../files/paths.ts';
import { prepareFolder, restrict } from '../files/workplace.ts';
import { allIdentitiesOf } from '../manifest/identity.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { inLineage } from '../manifest/lineage.ts';
import { manifestNameOf } from '../manifest/names.ts';

export interface StoredCheckpoint {
  id: string;
  path: string;
  manifest: Manifest;
  /** False of one that is known to be damaged, or of another size than it was made with. */
  isUsable: boolean;
  /** The blocks that are allocated for it; its size where a file system tells none. */
  diskBytes: number;
}

/** The real path of the folder for checkpoints: as asked for, else in the data folder. Nothing is made. */
export function checkpointsFolder(asked: string | undefined): string {
  return realPathOf(
    asked === undefined || asked === '' ? join(dataFolderPath(), 'checkpoints') : asked,
  );
}

/** The same, made where it is missing: then only this user may enter it. */
export function makeCheckpointsFolder(asked: string | undefined): string {
  if (asked === undefined || asked === '') return makeDataFolder('checkpoints');
  const isNew = !existsSync(asked);
  const { path } = prepareFolder(asked);
  if (isNew) restrict(path, 0o700);
  return path;
}

const idLength = 12;

/** 12 hexadecimal digits that stay the same when the folder moves. */
export function idOf({ source, createdAt, sha256 }: Manifest): string {
  const hash = createHash('sha256').update(`${source.id ?? source.path} ${createdAt} ${sha256}`);
  return hash.digest('hex').slice(0, idLength);
}

/** All checkpoints in a folder, newest first. A folder that does not exist has none. */
export function storedIn(folder: string): StoredCheckpoint[] {
  const names = new Set(namesIn(folder));
  const found: StoredCheckpoint[] = [];
  for (const name of names) {
    if (!names.has(manifestNameOf(name))) continue;
    const path = join(folder, name);
    const manifest = manifestOf(path);
    if (manifest === undefined) continue;
    const { size, diskBytes } = sizesOf(path);
    const isUsable = manifest.verdict.status !== 'damaged' && size === manifest.sizeBytes;
    found.push({ id: idOf(manifest), path, manifest, isUsable, diskBytes });
  }
  // In the order in which they were made, also when the clock has gone back meanwhile.
  const dated = found.map((one) => {
    const { createdAt, after } = one.manifest;
    return { one, path: one.path, createdAt, after };
  });
  return inLineage(dated).map(({ one }) => one);
}

/** A folder that cannot be looked into is not one that has none. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return [];
    throw explain(error, 'source', folder);
  }
}

const blockBytes = 512;

/** Nothing of one that was removed meanwhile, as by another process that thins out. */
function sizesOf(path: string): { size: number | undefined; diskBytes: number } {
  try {
    const { size, blocks } = statSync(path);
    // Windows has no blocks, and a few network file systems tell none.
    return { size, diskBytes: blocks > 0 ? blocks * blockBytes : size };
  } catch {
    return { size: undefined, diskBytes: 0 };
  }
}

/** A list is asked for several times with each checkpoint, and few of its manifests are new: they are read once. */
const knownManifests = new Map<string, { looks: string; manifest: Manifest | undefined }>();
const mostKnown = 2000;
/** Within it, a coarse clock may give two contents one time. */
const settledAfterMs = 2000;

/** They say nothing of a file: the next look may read it. */
const ofTheMachine = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'ESTALE', 'ETIMEDOUT'];

/**
 * Of a damaged manifest nothing is known, and that keeps no other checkpoint from being listed. Throws for trouble of the
 * machine: one that has a name would count as none.
 */
function manifestOf(path: string): Manifest | undefined {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(manifestNameOf(path));
    const looks = [ino, size, mtimeMs, ctimeMs].join();
    const known = knownManifests.get(path);
    if (known?.looks === looks) return known.manifest;
    const parsed = readManifestOf(path);
    const manifest = parsed?.kind === 'manifest' ? parsed.manifest : undefined;
    const isSettled = Date.now() - Math.max(mtimeMs, ctimeMs) > settledAfterMs;
    if (knownManifests.size >= mostKnown) knownManifests.clear();
    if (isSettled) knownManifests.set(path, { looks, manifest });
    return manifest;
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (ofTheMachine.some((one) => one === code)) throw explain(error, 'source', path);
    return undefined;
  }
}

/**
 * The identities of one database, also of where it was before a move. A machine with another name, as a rebuilt container or
 * a new computer with the old home folder, has given it none yet, or another one: then checkpoints of its path have those of
 * before.
 */
export function idsOfDatabase(
  all: readonly { id: string | undefined; livePath: string | undefined }[],
  database: string,
): Set<string> {
  const path = realPathOf(database);
  const ids = allIdentitiesOf(path);
  for (const { id, livePath } of all) if (id !== undefined && livePath === path) ids.add(id);
  return ids;
}

function idsAmong(all: readonly StoredCheckpoint[], database: string): Set<string> {
  const known = all.map(({ manifest: { source, livePath } }) => ({ id: source.id, livePath }));
  return idsOfDatabase(known, database);
}

/** Those of one database, none where nothing tells which they are. */
export function thoseOfDatabase(
  all: readonly StoredCheckpoint[],
  database: string,
): StoredCheckpoint[] {
  const ids = idsAmong(all, database);
  return all.filter(({ manifest: { source } }) => source.id !== undefined && ids.has(source.id));
}

/** The same, to be shown: of a database of which nothing is known, those of all databases with its name. */
export function thoseThatMayBeOf(
  all: readonly StoredCheckpoint[],
  database: string,
): StoredCheckpoint[] {
  if (idsAmong(all, database).size > 0) return thoseOfDatabase(all, database);
  return all.filter(({ manifest: { source } }) => basename(source.path) === basename(database));
}

const prefixPattern = /^[0-9a-f]{4,12}$/;

/**
 * The path of what a person names: a path that exists wins; else the checkpoint whose id begins so. Anything else is given
 * back, for the caller to refuse.
 */
export function findCheckpoint(folder: string, named: string): string {
  if (existsSync(named) || !prefixPattern.test(named)) return resolve(named);
  const found = storedIn(folder).filter(({ id }) => id.startsWith(named));
  const [only, ...others] = found;
  if (only === undefined)
    throw new BackupError('source-missing', `There is no checkpoint ${named} in ${folder}.`, {
      path: folder,
      hint: 'sqlite-backup list --checkpoints shows them.',
    });
  // Two of the same content and the same millisecond have one id, and are the same to restore.
  if (others.every(({ id }) => id === only.id)) return only.path;
  throw new BackupError(
    'bad-name',
    `${named} is the beginning of ${found.length} checkpoints: ${found.map(({ id }) => id).join(', ')}.`,
    { path: folder, hint: 'Give more digits.' },
  );
}
