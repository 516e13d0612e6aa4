/** What is in a backups folder. Foreign and half-written files are part of life: they are listed or left out, never an error. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, resolve, sep } from 'node:path';
import { type BundleMember, membersOf, type OpenBundle, withBundle } from '../bundle/openBundle.ts';
import { BackupError, explain } from '../errors.ts';
import { statIfAny } from '../files/paths.ts';
import { isPrivateFolderName } from '../files/workplace.ts';
import type {
  BundleContents,
  BundleManifest,
  Cause,
  CutLabel,
  Drill,
  Manifest,
  Method,
  OutOfStep,
  Receipt,
  RecordedLoss,
  Released,
  Trigger,
  VerdictStatus,
} from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import {
  bundleExtension,
  isPublishedName,
  manifestNameOf,
  newestFirst,
  parseSetAsideName,
  timeInName,
} from '../manifest/names.ts';
import { readHeader } from '../sqlite/header.ts';
import { groupOfBundle } from './retention.ts';

/** What a list of thousands can afford to know of each; the rest is in the manifest. */
export interface CatalogEntry {
  path: string;
  kind: 'snapshot' | 'bundle';
  /** Of a snapshot, as the manifest names it; undefined for a file that nothing is known about. */
  database?: string;
  workspace?: string;
  /** ISO 8601. For a foreign file, when it was last written. */
  createdAt: string;
  sizeBytes: number;
  verified: VerdictStatus;
  /** Of a backup that has all rows, and something derived that does not fit them. */
  outOfStep?: OutOfStep[];
  /** Not made by this extension: readable, never ours to change. */
  foreign: boolean;
  /** An old database that a restore has kept: foreign too, so that no rule ever removes it. */
  setAside?: true;
  /** Why neither its content nor its manifest can be read now. What it is worth is not known then. */
  unreadable?: string;
  /** What the manifest beside it says. Undefined without one that this version knows: then it is not ours to change. */
  kept?: Kept;
  /** Present in every bundle, and only there. */
  bundle?: BundleInfo;
  /** What retention counts together: the id of a database, or `groupOfBundle`. */
  group?: string;
  /** See `Dated`. */
  after?: string;
  /** Size and times of the file and its manifest: with the same stamp, the entry is the same. */
  stamp: string;
}

export interface Kept {
  method: Method;
  trigger: Trigger;
  sha256: string;
  checkedAt?: string;
  /** It shares its unchanged blocks with the database. */
  cloned?: true;
  drill?: Pick<Drill, 'status' | 'at'>;
  pinned: boolean;
  note?: string;
  losses?: RecordedLoss[];
  released?: Released[];
  /** Copies on other machines. */
  offsite?: Receipt[];
  /** Of a checkpoint. */
  cause?: Cause;
  /** Of a checkpoint: the real path of its database. */
  livePath?: string;
}

export interface BundleInfo {
  name?: string;
  databases: BundledDatabase[];
  /** How many other files are in it. */
  companions: number;
  /** Undefined for zips of others: nothing is known of their instant, nor of what is missing. */
  cut?: CutLabel;
  complete?: boolean;
  /** Only where they were asked for. */
  members?: Omit<BundleMember, 'entry'>[];
}

export interface BundledDatabase {
  /** The path inside the zip. */
  name: string;
  sizeBytes: number;
  verified?: VerdictStatus;
  /** As manifests name it. */
  path?: string;
  workspace?: string;
  id?: string;
}

export interface ListOptions {
  /** Whether bundles tell each of their members. */
  members?: boolean;
  /** Stamps by path, of entries that the caller still has: those are not read again. */
  known?: Readonly<Record<string, string>>;
}

export interface Listing {
  /** Newest first; without the unchanged. */
  entries: CatalogEntry[];
  /** Paths of known entries whose stamp is the same. */
  unchanged: string[];
}

/** The backups in `folder`, and with them the zips without a manifest beside them that are bundles. */
export async function listAll(
  folder: string,
  { members = false, known = {} }: ListOptions = {},
): Promise<Listing> {
  const listing: Listing = { entries: [], unchanged: [] };
  const stamps = new Map(Object.entries(known));
  for (const file of filesIn(resolve(folder))) {
    if (file.stamp !== '' && stamps.get(file.path) === file.stamp) {
      listing.unchanged.push(file.path);
      continue;
    }
    const entry = describe(file, members) ?? (await describeZip(file, members));
    if (entry !== undefined) listing.entries.push(entry);
  }
  listing.entries.sort(newestFirst);
  return listing;
}

/**
 * What can be told from manifests and headers, newest first: all that is ours to keep in order. A missing folder has
 * none.
 */
export function listBackups(folder: string): CatalogEntry[] {
  return [...filesIn(resolve(folder))]
    .flatMap((file) => describe(file, false) ?? [])
    .sort(newestFirst);
}

interface FoundFile {
  path: string;
  sizeBytes: number;
  modifiedAt: Date;
  stamp: string;
  /** Present when nothing can be learned of a file that has the name of a backup, or a manifest beside it. */
  failure?: unknown;
}

/** The files that may be backups. The manifest of a file is none. */
function* filesIn(folder: string): Generator<FoundFile> {
  const names = namesIn(folder);
  const present = new Set(names);
  for (const name of names) {
    if (isPrivateFolderName(name)) continue;
    if (name.endsWith('.json') && present.has(name.slice(0, -'.json'.length))) continue;
    const path = `${folder}${sep}${name}`; // Joining thousands of paths takes longer than looking at the files.
    try {
      const file = statSync(path, { throwIfNoEntry: false });
      if (file === undefined || !file.isFile()) continue;
      const manifest = present.has(manifestNameOf(name))
        ? statSync(manifestNameOf(path), { throwIfNoEntry: false })
        : undefined;
      const stamp = `${file.size} ${file.mtimeMs} ${manifest?.size} ${manifest?.mtimeMs}`;
      yield { path, sizeBytes: file.size, modifiedAt: file.mtime, stamp };
    } catch (failure) {
      const isBackup = present.has(manifestNameOf(name)) || isPublishedName(name);
      if (isBackup && !name.endsWith('.json'))
        yield { path, sizeBytes: 0, modifiedAt: new Date(0), stamp: '', failure };
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(realpathSync(folder));
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return [];
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOTDIR') {
      throw new BackupError('access', `${folder} is not a folder.`, {
        path: folder,
        hint: 'Check the path.',
        cause: error,
      });
    }
    throw explain(error, 'source', folder);
  }
}

function describe(file: FoundFile, members: boolean): CatalogEntry | undefined {
  const { path, sizeBytes, modifiedAt, stamp } = file;
  if (file.failure !== undefined) return unreadable(file, file.failure);
  try {
    const parsed = readManifestOf(path);
    if (parsed?.kind === 'manifest') return ours(file, parsed.manifest);
    if (parsed?.kind === 'bundle') return ourBundle(file, parsed.manifest, members);
    // Without facts of our own, only what is a database by content counts as a backup.
    if (readHeader(path).kind !== 'sqlite') return undefined;
    return {
      ...{ path, kind: 'snapshot', createdAt: modifiedAt.toISOString(), sizeBytes },
      ...{ verified: 'unchecked', foreign: parsed?.kind !== 'newer', stamp },
      ...(parseSetAsideName(basename(path)) !== undefined && { setAside: true }),
    };
  } catch (error) {
    const isBackup = isPublishedName(basename(path)) || hasManifest(path);
    return isBackup ? unreadable(file, error) : undefined;
  }
}

function hasManifest(path: string): boolean {
  try {
    return statIfAny(manifestNameOf(path)) !== undefined;
  } catch {
    return true; // It may be there.
  }
}

/** A backup that cannot be read now is there all the same. What vanished between two looks is not. */
function unreadable(
  { path, sizeBytes, modifiedAt }: FoundFile,
  error: unknown,
): CatalogEntry | undefined {
  if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return undefined;
  const { message } = explain(error, 'source', path);
  return {
    ...{ path, kind: path.endsWith(bundleExtension) ? 'bundle' : 'snapshot' },
    createdAt: timeInName(path) ?? modifiedAt.toISOString(),
    ...{ sizeBytes, verified: 'unchecked', foreign: false, unreadable: message },
    stamp: '', // Never the same: the trouble may pass.
  };
}

function ours({ path, sizeBytes, stamp }: FoundFile, manifest: Manifest): CatalogEntry {
  const { source, createdAt, after } = manifest;
  return {
    ...{ path, kind: 'snapshot', database: source.path, createdAt, sizeBytes },
    ...(source.workspace !== undefined && { workspace: source.workspace }),
    ...verdictOf(sizeBytes, manifest),
    foreign: false,
    kept: { ...keptOf(manifest), ...whyOf(manifest) },
    ...(source.id !== undefined && { group: source.id }),
    ...(after !== undefined && { after }),
    stamp,
  };
}

/** A file whose size has changed since is damaged whatever its manifest says. */
function verdictOf(
  actualBytes: number,
  { sizeBytes, verdict }: Manifest | BundleManifest,
): Pick<CatalogEntry, 'verified' | 'outOfStep'> {
  if (actualBytes !== sizeBytes) return { verified: 'damaged' };
  const { status, outOfStep } = verdict;
  return { verified: status, ...(outOfStep !== undefined && { outOfStep }) };
}

function keptOf(manifest: Manifest | BundleManifest): Kept {
  const {
    method,
    trigger,
    sha256,
    verdict,
    drill,
    pinned = false,
    note,
    losses,
    released,
    offsite,
  } = manifest;
  const { checkedAt } = verdict;
  return {
    ...{ method, trigger, sha256, pinned },
    ...(checkedAt !== undefined && { checkedAt }),
    ...('cloned' in manifest && manifest.cloned === true && { cloned: true as const }),
    ...(drill !== undefined && { drill: { status: drill.status, at: drill.at } }),
    ...(note !== undefined && { note }),
    ...(losses !== undefined && { losses }),
    ...(released !== undefined && { released }),
    ...(offsite !== undefined && { offsite }),
  };
}

function whyOf({ cause, livePath }: Manifest): Pick<Kept, 'cause' | 'livePath'> {
  return { ...(cause !== undefined && { cause }), ...(livePath !== undefined && { livePath }) };
}

function ourBundle(
  { path, sizeBytes, stamp }: FoundFile,
  manifest: BundleManifest,
  members: boolean,
): CatalogEntry {
  const { createdAt, workspace, after } = manifest;
  const bundle = infoOf(membersOf(manifest), manifest, members);
  const group = groupOfBundle(manifest, bundle.databases);
  return {
    ...{ path, kind: 'bundle', createdAt, sizeBytes },
    ...(workspace !== undefined && { workspace }),
    ...verdictOf(sizeBytes, manifest),
    foreign: false,
    kept: keptOf(manifest),
    bundle,
    ...(group !== undefined && { group }),
    ...(after !== undefined && { after }),
    stamp,
  };
}

function infoOf(
  all: readonly BundleMember[],
  about: Pick<BundleContents, 'name' | 'cut' | 'complete'> | undefined,
  members: boolean,
): BundleInfo {
  const databases = all.filter(({ kind }) => kind === 'database');
  return {
    ...(about?.name !== undefined && { name: about.name }),
    databases: databases.map(({ name, sizeBytes, verified, entry }) => ({
      ...{ name, sizeBytes },
      ...(verified !== undefined && { verified }),
      ...(entry !== undefined && { path: entry.source.path }),
      ...(entry?.source.workspace !== undefined && { workspace: entry.source.workspace }),
      ...(entry?.source.id !== undefined && { id: entry.source.id }),
    })),
    companions: all.length - databases.length,
    ...(about !== undefined && { cut: about.cut.label, complete: about.complete }),
    ...(members && { members: all.map(withoutEntry) }),
  };
}

function withoutEntry({ entry, ...member }: BundleMember): Omit<BundleMember, 'entry'> {
  void entry;
  return member;
}

/** A catalog is to be quick: what has more in it than any bundle that is made by hand is not looked through. */
const mostForeignEntries = 10_000;

/** A zip counts as a bundle when it says so itself, or when it has a database in it. */
async function describeZip(file: FoundFile, members: boolean): Promise<CatalogEntry | undefined> {
  const { path, sizeBytes, modifiedAt, stamp } = file;
  if (!path.toLowerCase().endsWith(bundleExtension)) return undefined;
  try {
    return await withBundle(path, async (open) => {
      const { members: all, contents } = open;
      if (contents === undefined && !(await holdsDatabase(open))) return undefined;
      return {
        ...{ path, kind: 'bundle', sizeBytes, verified: 'unchecked', stamp },
        createdAt: contents?.createdAt ?? modifiedAt.toISOString(),
        foreign: contents === undefined,
        bundle: infoOf(all, contents, members),
      };
    });
  } catch {
    return undefined; // Vanished, unreadable, or a zip that is not to be relied on.
  }
}

const mostCandidates = 20;
const magic = 'SQLite format 3\0';

/** At the top a name will do. In folders there is a Thumbs.db of Windows, and the like: there, the content decides. */
async function holdsDatabase({ zip, members }: OpenBundle): Promise<boolean> {
  if (members.length > mostForeignEntries) return false;
  const candidates = members.filter(({ kind }) => kind === 'database');
  if (candidates.some(({ name }) => !name.includes('/'))) return true;
  for (const { name } of candidates.slice(0, mostCandidates)) {
    const begin = await zip.readBegin(name, magic.length);
    if (begin.toString('latin1') === magic) return true;
  }
  return false;
}

/** True for a file that is itself a backup of ours, so that outputs never become sources. */
export function isOwnBackup(path: string): boolean {
  const parsed = readManifestOf(path);
  return parsed !== undefined && parsed.kind !== 'foreign';
}
