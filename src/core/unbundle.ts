/*
 * What is in a bundle, and how it comes out again: read strictly, each file proved by its hash (in a zip of others by its
 * CRC, and a database by its content) in a private folder before it gets its name. Nothing is ever overwritten.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { BackupError, explain, isBackupError } from './errors.ts';
import { inWorkplace, linkWithoutOverwriting, resolveRegularFile, syncFolder } from './files.ts';
import { databaseExtensions, readHeader } from './header.ts';
import {
  longestBundleManifestBytes,
  parseContents,
  type BundleContents,
  type BundleEntry,
  type Finding,
  type VerdictStatus,
} from './manifest.ts';
import {
  bundleExtension,
  bundleManifestName,
  bundleVersionName,
  foldersOf,
  requireBareName,
} from './names.ts';
import type { SnapshotHooks } from './snapshot.ts';
import { requireSpace } from './source.ts';
import { checkDatabase } from './sqlite.ts';
import { readManifestOf } from './verify.ts';
import { noSuchMember, Zip, type ZipLimits } from './zipReader.ts';

export interface BundleMember {
  /** The path inside the zip. */
  name: string;
  kind: BundleEntry['kind'];
  sizeBytes: number;
  /** These two only in bundles of ours; the second only of databases. */
  sha256?: string;
  verified?: VerdictStatus;
  /** What the manifest says of it, only in bundles of ours. */
  entry?: BundleEntry;
}

export interface OpenBundle {
  path: string;
  zip: Zip;
  /** Undefined in a zip of others. */
  contents?: BundleContents;
  /** Why there are no contents, although there is a `manifest.json`. */
  problem?: { kind: 'newer'; format: number } | { kind: 'foreign'; reason: string };
  members: BundleMember[];
}

/** Opens a bundle of ours, or any zip. Close its `zip`. Throws `backup-damaged` for one that leaves room for doubt. */
export async function openBundle(bundle: string, limits?: ZipLimits): Promise<OpenBundle> {
  const path = resolveRegularFile(bundle);
  const zip = await Zip.open(path, limits);
  try {
    if (!zip.members.some(({ name }) => name === bundleManifestName))
      return { path, zip, members: membersOfOthers(zip) };
    const json = await zip.readSmall(bundleManifestName, longestBundleManifestBytes);
    const parsed = parseContents(json.toString());
    return parsed.kind === 'contents'
      ? { path, zip, contents: parsed.contents, members: membersOf(parsed.contents) }
      : { path, zip, problem: parsed, members: membersOfOthers(zip) };
  } catch (error) {
    zip.close();
    throw error;
  }
}

/** True for a file that begins like a zip, or is called one: what it is worth shows when it is opened. */
export function looksLikeBundle(path: string): boolean {
  if (path.toLowerCase().endsWith(bundleExtension)) return true;
  const begin = Buffer.alloc(4);
  try {
    const handle = openSync(resolveRegularFile(path), 'r');
    try {
      readSync(handle, begin);
    } finally {
      closeSync(handle);
    }
  } catch {
    return false; // Whoever goes on with it finds out why.
  }
  return begin.toString('latin1') === 'PK\x03\x04';
}

/** Runs `action` on an open bundle and closes it. */
export async function withBundle<T>(
  bundle: string,
  action: (open: OpenBundle) => T | Promise<T>,
): Promise<T> {
  const open = await openBundle(bundle);
  try {
    return await action(open);
  } finally {
    open.zip.close();
  }
}

/** The same, to take something out of it: refuses a bundle that leaves room for doubt about what is where. */
export async function withSoundBundle<T>(
  bundle: string,
  action: (open: OpenBundle) => T | Promise<T>,
): Promise<T> {
  return withBundle(bundle, async (open) => {
    await open.zip.requireSoundEntries();
    requireUsable(open);
    return action(open);
  });
}

export function membersOf({ entries }: Pick<BundleContents, 'entries'>): BundleMember[] {
  return entries.map((entry) => ({
    name: entry.name,
    kind: entry.kind,
    sizeBytes: entry.sizeBytes,
    sha256: entry.sha256,
    ...(entry.kind === 'database' && { verified: entry.verdict.status }),
    entry,
  }));
}

export function membersOfOthers(zip: Zip): BundleMember[] {
  return zip.members.map(({ name, sizeBytes }) => ({
    name,
    kind: hasDatabaseName(name) ? 'database' : 'companion',
    sizeBytes,
  }));
}

function hasDatabaseName(name: string): boolean {
  return databaseExtensions.includes(extname(name).toLowerCase());
}

/** What of a bundle's manifest does not hold for what the zip has in it. */
export function differingEntries({ zip, contents }: OpenBundle): Finding[] {
  if (contents === undefined) return [];
  const listed = new Map(contents.entries.map((entry) => [entry.name, entry]));
  const findings: Finding[] = [];
  if (listed.size !== contents.entries.length)
    findings.push({ code: 'bad-manifest', message: 'The manifest lists a file twice.' });
  for (const { name, sizeBytes } of zip.members) {
    if (name === bundleManifestName || name === bundleVersionName) continue;
    const entry = listed.get(name);
    listed.delete(name);
    if (entry === undefined)
      findings.push({ code: 'unknown-entry', message: `${name} is not in the manifest.` });
    else if (entry.sizeBytes !== sizeBytes)
      findings.push({
        code: 'size-mismatch',
        message: `${name} has ${sizeBytes} bytes; ${entry.sizeBytes} were bundled.`,
      });
  }
  for (const name of listed.keys())
    findings.push({ code: 'missing-entry', message: `${name} is not in the zip.` });
  return findings;
}

/** Reads all of a zip that was just written, and insists that it is what `contents` says. */
export async function readBack(
  path: string,
  contents: BundleContents,
  onProgress: (doneBytes: number) => void,
): Promise<void> {
  try {
    await withBundle(path, async (open) => {
      await open.zip.requireSoundEntries();
      const [first] = differingEntries(open);
      if (open.contents === undefined || first !== undefined)
        throw new Error(first?.message ?? 'its manifest cannot be read');
      let doneBytes = 0;
      await sideBySide(contents.entries, async ({ name, sha256 }) => {
        const hash = createHash('sha256');
        await open.zip.read(name, (chunk) => {
          hash.update(chunk);
          onProgress((doneBytes += chunk.length));
        });
        if (hash.digest('hex') !== sha256) throw new Error(`${name} has another SHA-256`);
      });
      // Everything else in it has a CRC at least.
      await open.zip.read(bundleVersionName, () => undefined);
    });
  } catch (error) {
    const folder = dirname(dirname(path));
    // It could not be read at all, which is no matter of what is in it.
    if (isBackupError(error) && error.code !== 'backup-damaged')
      throw explain(error.cause ?? error, 'target', folder);
    const reason = error instanceof Error ? error.message : String(error);
    throw new BackupError('io-error', `The zip is not what was written: ${reason}`, {
      path: folder,
      hint: 'Check the disk and try again.',
      cause: error,
    });
  }
}

const mostSideBySide = Math.min(availableParallelism(), 4);

/** Inflating runs on threads of its own, so several entries at once are read on as many cores. */
async function sideBySide<T>(
  items: readonly T[],
  action: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const line = async (): Promise<void> => {
    for (const item of rest) await action(item);
  };
  // All have to end before the first failure is told: nobody may read from a file that is closed.
  const ended = await Promise.allSettled(Array.from({ length: mostSideBySide }, line));
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

export interface ExtractRequest {
  bundle: string;
  /** Made when it is missing. The files get the paths that they have in the zip. */
  folder: string;
  /** All databases and companions when it is missing. */
  members?: string[];
}

export interface ExtractedFile {
  member: string;
  kind: BundleEntry['kind'];
  path: string;
  sizeBytes: number;
  sha256: string;
}

export interface ExtractMemberRequest {
  bundle: string;
  member: string;
  /** Made when it is missing. */
  folder: string;
  /** A bare name, which must be free. */
  name: string;
  /** Takes all writing permissions away. */
  readOnly: boolean;
}

/** Extracts members of a bundle. Refuses when one of the files is there already, and then writes none. */
export async function extractBundle(
  { bundle, folder, members }: ExtractRequest,
  hooks: Pick<SnapshotHooks, 'onProgress' | 'beforePublish'>,
): Promise<ExtractedFile[]> {
  return extract(bundle, folder, hooks, (open) => {
    const wanted =
      members === undefined ? open.members : members.map((name) => memberOf(open, name));
    return [...new Map(wanted.map((member) => [member.name, member])).values()].map((member) => ({
      member,
      to: member.name,
      readOnly: false,
    }));
  });
}

/** Extracts one member under a name of its own. */
export async function extractMember(
  { bundle, member, folder, name, readOnly }: ExtractMemberRequest,
  hooks: Pick<SnapshotHooks, 'onProgress' | 'beforePublish'>,
): Promise<ExtractedFile> {
  const to = requireBareName(name);
  const [extracted] = await extract(bundle, folder, hooks, (open) => [
    { member: memberOf(open, member), to, readOnly },
  ]);
  if (extracted === undefined) throw noSuchMember(bundle, member);
  return extracted;
}

/** A member by its name; throws `source-missing` where there is none. */
export function memberOf(open: OpenBundle, name: string): BundleMember {
  const member = open.members.find((one) => one.name === name);
  if (member !== undefined) return member;
  const file = open.zip.members.find((one) => one.name === name);
  if (file === undefined) throw noSuchMember(open.path, name);
  return { name, kind: 'companion', sizeBytes: file.sizeBytes };
}

interface Wanted {
  member: BundleMember;
  /** Relative to the target. */
  to: string;
  readOnly: boolean;
}

async function extract(
  bundle: string,
  folder: string,
  hooks: Pick<SnapshotHooks, 'onProgress' | 'beforePublish'>,
  choose: (open: OpenBundle) => Wanted[],
): Promise<ExtractedFile[]> {
  return withSoundBundle(bundle, async (open) => {
    const wanted = choose(open);
    return inWorkplace(folder, async (place) => {
      for (const { to } of wanted) requireFree(place.folder, to);
      requireSpace(
        place.folder,
        wanted.reduce((sum, { member }) => sum + member.sizeBytes, 0),
      );
      const files = await unpack(open, wanted, place.scratch, hooks.onProgress);
      await hooks.beforePublish();
      publish(files, place.folder);
      return files.map(({ private: _private, to, ...file }) => ({
        ...file,
        path: join(place.folder, to),
      }));
    });
  });
}

/** Without hashes that can be read, a bundle of ours is not taken apart as if it were somebody else's. */
function requireUsable(open: OpenBundle): void {
  const { path, problem } = open;
  if (problem?.kind === 'newer') {
    throw new BackupError(
      'newer-format',
      `${path} has format ${problem.format}, which this version cannot read.`,
      { path, hint: 'Update SQLite Backup.' },
    );
  }
  const beside = readManifestOf(path);
  const [first] =
    problem !== undefined && beside?.kind === 'bundle'
      ? [{ message: `its manifest cannot be used (${problem.reason})` }]
      : differingEntries(open);
  if (first === undefined) return;
  throw new BackupError('backup-damaged', `${path} is damaged: ${first.message}`, {
    path,
    hint: 'Use another backup.',
  });
}

/** Refuses a name that is taken, and a way to it that leads through a link. */
function requireFree(folder: string, name: string): void {
  for (const parent of foldersOf(name)) {
    const path = join(folder, parent);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) break;
    if (stats.isDirectory()) continue;
    throw new BackupError('name-taken', `${path} is no folder.`, {
      path,
      hint: 'Choose another folder.',
    });
  }
  const path = join(folder, name);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  throw new BackupError('name-taken', `${path} already exists.`, {
    path,
    hint: 'Choose an empty folder: nothing is overwritten.',
  });
}

type Unpacked = Omit<ExtractedFile, 'path'> & { private: string; to: string };

async function unpack(
  open: OpenBundle,
  wanted: Wanted[],
  scratch: string,
  onProgress: SnapshotHooks['onProgress'],
): Promise<Unpacked[]> {
  const totalBytes = wanted.reduce((sum, { member }) => sum + member.sizeBytes, 0);
  const unpacked: Unpacked[] = [];
  let doneBytes = 0;
  for (const [index, { member, to, readOnly }] of wanted.entries()) {
    const path = join(scratch, `member-${index}`);
    const sha256 = await unpackOne(open.zip, member.name, path, (bytes) =>
      onProgress({ phase: 'copy', doneBytes: (doneBytes += bytes), totalBytes }),
    );
    if (member.sha256 !== undefined && member.sha256 !== sha256)
      throw damagedMember(open.path, member.name, 'its SHA-256 differs from the manifest');
    const kind = member.sha256 === undefined ? proveUnknown(open.path, member, path) : member.kind;
    if (readOnly) chmodSync(path, 0o400);
    const { name, sizeBytes } = member;
    unpacked.push({ member: name, kind, sizeBytes, sha256, private: path, to });
  }
  return unpacked;
}

/** Writes the content of a member into a new private file, synced. Returns its SHA-256. */
export async function unpackOne(
  zip: Zip,
  name: string,
  to: string,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const hash = createHash('sha256');
  const handle = openSync(to, 'wx', 0o600);
  try {
    await zip.read(name, (chunk) => {
      hash.update(chunk);
      writeFully(handle, chunk, dirname(dirname(to)));
      onBytes(chunk.length);
    });
    fsyncSync(handle);
    return hash.digest('hex');
  } finally {
    closeSync(handle);
  }
}

function writeFully(handle: number, chunk: Buffer, folder: string): void {
  try {
    for (let done = 0; done < chunk.length;) done += writeSync(handle, chunk, done);
  } catch (error) {
    throw explain(error, 'target', folder);
  }
}

/** Nobody has said what a file in a zip of others should be: what looks like a database has to be a sound one. */
function proveUnknown(
  bundle: string,
  { name, kind }: BundleMember,
  path: string,
): BundleEntry['kind'] {
  const isDatabase = readHeader(path).kind === 'sqlite';
  if (!isDatabase) {
    if (kind === 'database') throw damagedMember(bundle, name, 'it is no SQLite database');
    return 'companion';
  }
  const check = checkDatabase(path, { access: 'private' });
  if (check.status === 'damaged')
    throw damagedMember(bundle, name, check.findings[0]?.message ?? 'its check failed');
  return 'database';
}

function damagedMember(bundle: string, name: string, why: string): BackupError {
  return new BackupError('backup-damaged', `${name} in ${bundle} is damaged: ${why}.`, {
    path: bundle,
    hint: 'Use another backup.',
    facts: { member: name },
  });
}

/** Gives all files their names, or none. */
function publish(files: Unpacked[], folder: string): void {
  const madeFolders: string[] = [];
  const madeFiles: string[] = [];
  try {
    for (const { private: file, to } of files) {
      requireFree(folder, to);
      for (const parent of foldersOf(to)) {
        const path = join(folder, parent);
        if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
        mkdirSync(path);
        madeFolders.push(path);
      }
      linkWithoutOverwriting(file, join(folder, to));
      madeFiles.push(join(folder, to));
    }
    for (const path of new Set(madeFiles.map((file) => dirname(file)))) syncFolder(path);
    syncFolder(folder);
  } catch (error) {
    for (const path of madeFiles) tryTo(() => unlinkSync(path));
    for (const path of madeFolders.toReversed()) tryTo(() => rmdirSync(path));
    throw explain(error, 'target', folder);
  }
}

function tryTo(action: () => void): void {
  try {
    action();
  } catch {
    // The first failure is the one to report.
  }
}
