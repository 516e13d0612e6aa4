/*
 * What is in a bundle, and how it comes out again: read strictly, each file proved by its hash (in a zip of others by its
 * CRC, and a database by its content) in a private folder before it gets its name. Nothing is ever overwritten.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { BackupError, explain } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import {
  type BundleContents,
  type BundleEntry,
  type Finding,
  longestBundleManifestBytes,
  parseContents,
  type VerdictStatus,
} from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { bundleExtension } from '../manifest/names.ts';
import { hasDatabaseExtension } from '../sqlite/header.ts';
import { bundleManifestName, bundleVersionName, isOfFinder } from './entryNames.ts';
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

/**
 * True for a file that begins like a zip, or is called one: what it is worth shows when it is opened. Throws when the file
 * cannot be read, because the wrong kind would be called damaged.
 */
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
  } catch (error) {
    throw explain(error, 'source', path);
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
  return zip.members
    .filter(({ name }) => !isOfFinder(name))
    .map(({ name, sizeBytes }) => ({
      name,
      kind: hasDatabaseExtension(name) ? 'database' : 'companion',
      sizeBytes,
    }));
}

/** What of a bundle's manifest does not hold for what the zip has in it. */
export function differingEntries({ zip, contents }: OpenBundle): Finding[] {
  if (contents === undefined) return [];
  const listed = new Map(contents.entries.map((entry) => [entry.name, entry]));
  const findings: Finding[] = [];
  if (listed.size !== contents.entries.length)
    findings.push({ code: 'bad-manifest', message: 'The backup details list a file twice.' });
  for (const { name, sizeBytes } of zip.members) {
    if (name === bundleManifestName || name === bundleVersionName) continue;
    const entry = listed.get(name);
    listed.delete(name);
    if (entry === undefined)
      findings.push({ code: 'unknown-entry', message: `${name} is not in the backup details.` });
    else if (entry.sizeBytes !== sizeBytes)
      findings.push({
        code: 'size-mismatch',
        message: `${name} has ${sizeBytes} bytes; ${entry.sizeBytes} were bundled.`,
      });
  }
  for (const { name } of zip.members.flatMap((member) => zip.siblingsOf(member.name)))
    findings.push({ code: 'unknown-entry', message: `${name} is not in the backup details.` });
  for (const name of listed.keys())
    findings.push({ code: 'missing-entry', message: `${name} is not in the zip.` });
  return findings;
}

/** A member by its name; throws `source-missing` where there is none. */
export function memberOf(open: OpenBundle, name: string): BundleMember {
  const member = open.members.find((one) => one.name === name);
  if (member !== undefined) return member;
  const file = open.zip.members.find((one) => one.name === name);
  if (file === undefined) throw noSuchMember(open.path, name);
  return { name, kind: 'companion', sizeBytes: file.sizeBytes };
}

/** Without hashes that can be read, a bundle of ours is not taken apart as if it were of another tool. */
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
      ? [{ message: `its backup details cannot be used (${problem.reason})` }]
      : differingEntries(open);
  if (first === undefined) return;
  throw new BackupError('backup-damaged', `${path} is damaged: ${first.message}`, {
    path,
    hint: 'Use another backup.',
  });
}
