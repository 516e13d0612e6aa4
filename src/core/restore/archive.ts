/*
 * The end of a set-aside: a bundle of it in the backups folder. The order of the steps is the guarantee: no program has it open
 * -> copy -> write and read back the bundle -> publish it -> insist that the set-aside is what was copied -> remove it. A
 * database becomes a member that can be restored; what SQLite cannot read is kept as the files that it consists of.
 */
import { basename, join } from 'node:path';
import { takeBundle } from '../bundle/bundle.ts';
import { packCompanion, type Packed, writeBundle } from '../bundle/bundleFile.ts';
import {
  bundleManifestName,
  bundleVersionName,
  companionsFolder,
  EntryNames,
} from '../bundle/entryNames.ts';
import { BackupError, explain, fromPlainError, isBackupError, toPlainError } from '../errors.ts';
import { requireSpace } from '../files/space.ts';
import { inWorkplace } from '../files/workplace.ts';
import type { SnapshotHooks } from '../job.ts';
import { type BundleContents, manifestFormat } from '../manifest/manifest.ts';
import { parseSetAsideName } from '../manifest/names.ts';
import { sum } from '../snapshot/copying.ts';
import { restoreJournalMode } from '../sqlite/contents.ts';
import { sqliteVersion } from '../sqlite/driver.ts';
import { copyGuarded } from '../sqlite/guardedCopy.ts';
import { isReadableInPlace } from '../sqlite/readable.ts';
import { isSeenDamage } from '../verify/verdict.ts';
import { type FileState, statesOf } from './parts.ts';
import { removeSetAside } from './removal.ts';
import { whileSetAsideClaimed } from './setAside.ts';
import { requireFree } from './target.ts';

export interface ArchiveRequest {
  /** The set-aside's database file. */
  path: string;
  /** The backups folder; made when it is missing. */
  folder: string;
  /** Of this extension, for the manifest. */
  toolVersion: string;
}

const busyTimeoutMs = 5000;
const compression = 'balanced';

/** Puts a set-aside into a bundle, and removes it with its siblings once that is proved. */
export async function archiveSetAside(
  { path: given, folder, toolVersion }: ArchiveRequest,
  hooks: SnapshotHooks,
): Promise<{ archive: string; removed: string[] }> {
  return whileSetAsideClaimed(given, (path) => archive(path, folder, toolVersion, hooks));
}

async function archive(
  path: string,
  folder: string,
  toolVersion: string,
  hooks: SnapshotHooks,
): Promise<{ archive: string; removed: string[] }> {
  requireFree([path], { probe: false });
  const files = statesOf(path);
  const made = await inWorkplace(folder, (place) => {
    requireSpace(place.folder, sum(files.map(({ sizeBytes }) => sizeBytes)));
    return archiveOld({ path, files, ...place, toolVersion }, hooks);
  });
  const { removed } = removeSetAside(path, (now) => requireUnchanged(path, { files, now }, made));
  return { archive: made, removed };
}

interface Old {
  path: string;
  files: FileState[];
  /** The real path of the backups folder. */
  folder: string;
  scratch: string;
  toolVersion: string;
}

/** What a set-aside can be that SQLite does not read, however often it is tried. */
const noDatabase: ReadonlySet<string> = new Set([
  'not-a-database',
  'newer-format',
  'too-large',
  'hot-journal',
]);

async function archiveOld(old: Old, hooks: SnapshotHooks): Promise<string> {
  try {
    return await archiveDatabase(old, hooks);
  } catch (error) {
    const { code } = toPlainError(error);
    // A full disk or a lock says nothing of the set-aside, so it stays.
    if (!isSeenDamage(error) && !noDatabase.has(code)) throw error;
    return archiveFiles(old, code, hooks);
  }
}

/** As one member that holds what the WAL held as well, or what an interrupted transaction is rolled back to. */
async function archiveDatabase(old: Old, hooks: SnapshotHooks): Promise<string> {
  const { bundle, failures } = await takeBundle(
    {
      databases: [{ database: settled(old), recordAs: { path: liveName(old.path) } }],
      companions: [],
      folder: old.folder,
      name: archiveName(old.path),
      method: 'exact',
      trigger: 'pre-restore',
      verify: true,
      busyTimeoutMs,
      largestBytes: Number.MAX_SAFE_INTEGER,
      toolVersion: old.toolVersion,
      compression,
      allowIncomplete: false,
    },
    hooks,
  );
  if (bundle !== undefined) return bundle.path;
  const [failure] = failures;
  throw failure === undefined ? new Error('no bundle') : fromPlainError(failure.error);
}

/** The set-aside itself where it can be read without a trace, else a private copy that may be changed. */
function settled({ path, files, scratch }: Old): string {
  if (isReadableInPlace(path)) return path;
  const copy = join(scratch, 'old.db');
  copyGuarded(path, copy);
  if (files.some(({ part }) => part === '-journal')) {
    try {
      restoreJournalMode(copy, 'delete'); // Opening it for writing rolls the journal back.
    } catch (error) {
      throw isBackupError(error) ? error : explain(error, 'source', path);
    }
  }
  return copy;
}

/** Byte for byte, under names that no database and no sibling of one has. */
async function archiveFiles(old: Old, code: string, hooks: SnapshotHooks): Promise<string> {
  const { path, files, folder, scratch } = old;
  const names = new EntryNames();
  for (const name of [bundleManifestName, bundleVersionName]) names.take(name);
  const packed = files.map(({ part }, index): Packed => {
    const name = `${basename(path)}${part === '' ? '' : `${part}.bin`}`;
    const one = packCompanion(
      { path: path + part, recordAs: { path: name } },
      join(scratch, `file-${index}`),
      () => names.take(`${companionsFolder}/${name}`),
    );
    if (one === undefined) throw changed(path);
    return one;
  });
  const contents: BundleContents = {
    format: manifestFormat,
    kind: 'bundle',
    tool: { name: 'sqlite-backup', version: old.toolVersion, sqlite: sqliteVersion() },
    createdAt: new Date().toISOString(),
    name: archiveName(path),
    trigger: 'pre-restore',
    method: 'exact',
    cut: { label: 'per-database', members: 0 },
    complete: true,
    warnings: [
      {
        code,
        message: `${liveName(path)} could not be read as a database (${code}), so its files are stored unchanged.`,
      },
    ],
    entries: packed.map(({ entry }) => entry),
  };
  const published = await writeBundle(packed, contents, { folder, scratch, compression }, hooks);
  return published.path;
}

/** What the database was called when it was live. */
function liveName(setAside: string): string {
  const name = basename(setAside);
  return parseSetAsideName(name)?.target ?? name;
}

/** `app.db.bad`, so that the archive is called `app.db.bad_<time>Z.zip`. */
function archiveName(setAside: string): string {
  return `${liveName(setAside)}.bad`;
}

/** What was archived is what is removed: no program has written to it meanwhile. */
function requireUnchanged(
  path: string,
  { files, now }: Record<'files' | 'now', readonly FileState[]>,
  archive: string,
): void {
  const describe = (all: readonly FileState[]): string =>
    JSON.stringify(all.filter(({ part }) => part !== '-shm'));
  if (describe(now) === describe(files)) return;
  throw changed(path, archive);
}

function changed(path: string, archive?: string): BackupError {
  const kept = archive === undefined ? '' : ` ${archive} holds its earlier state.`;
  return new BackupError(
    'target-in-use',
    `${path} changed while it was archived. It is not deleted.${kept}`,
    { path, hint: 'Stop the program that uses it, then archive it again.' },
  );
}
