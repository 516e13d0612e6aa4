/** Takes files out of a bundle: proved in a private folder first, nothing is ever overwritten. */
import { chmodSync, lstatSync, mkdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BackupError, explain } from '../errors.ts';
import { linkWithoutOverwriting } from '../files/publish.ts';
import { requireSpace } from '../files/space.ts';
import { syncFolder } from '../files/sync.ts';
import { inWorkplace } from '../files/workplace.ts';
import type { SnapshotHooks } from '../job.ts';
import type { BundleEntry } from '../manifest/manifest.ts';
import { requireBareName } from '../manifest/names.ts';
import { checkDatabase } from '../sqlite/check.ts';
import { explained } from '../sqlite/driver.ts';
import { readHeader } from '../sqlite/header.ts';
import { foldersOf } from './entryNames.ts';
import { type BundleMember, memberOf, type OpenBundle, withSoundBundle } from './openBundle.ts';
import { bytesToUnpack, damagedMember, unpackMember } from './unpack.ts';
import { noSuchMember } from './zipReader.ts';

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
        wanted.reduce((sum, { member }) => sum + bytesToUnpack(open, member), 0),
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

/** Refuses a name that is taken, and a way to it that leads through a link. */
function requireFree(folder: string, name: string): void {
  for (const parent of foldersOf(name)) {
    const path = join(folder, parent);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) break;
    if (stats.isDirectory()) continue;
    throw new BackupError('name-taken', `${path} is not a folder.`, {
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
    const { sizeBytes, sha256 } = await unpackMember(open, member, path, (bytes) =>
      onProgress({ phase: 'copy', doneBytes: (doneBytes += bytes), totalBytes }),
    );
    if (member.sha256 !== undefined && member.sha256 !== sha256)
      throw damagedMember(open.path, member.name, 'its SHA-256 differs from the backup details');
    const kind = member.sha256 === undefined ? proveUnknown(open.path, member, path) : member.kind;
    if (readOnly) chmodSync(path, 0o400);
    unpacked.push({ member: member.name, kind, sizeBytes, sha256, private: path, to });
  }
  return unpacked;
}

/** Nothing says what a file in a zip of another tool should be: what looks like a database has to be a sound one. */
function proveUnknown(
  bundle: string,
  { name, kind }: BundleMember,
  path: string,
): BundleEntry['kind'] {
  const isDatabase = readHeader(path).kind === 'sqlite';
  if (!isDatabase) {
    if (kind === 'database') throw damagedMember(bundle, name, 'it is not a SQLite database');
    return 'companion';
  }
  const check = explained(`${name} in ${bundle}`, () => checkDatabase(path, { access: 'private' }));
  if (check.status === 'damaged')
    throw damagedMember(bundle, name, check.findings[0]?.message ?? 'its check failed');
  return 'database';
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
