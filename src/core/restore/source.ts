/** What a restore takes its databases from: a snapshot, or a member of a bundle, each as a private file with its facts. */
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import {
  type BundleMember,
  looksLikeBundle,
  memberOf,
  type OpenBundle,
  withSoundBundle,
} from '../bundle/openBundle.ts';
import { bytesToUnpack, unpackMember } from '../bundle/unpack.ts';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { copyWhole } from '../files/copying.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { requireSpace } from '../files/space.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import type { Progress } from '../job.ts';
import type { Finding, Manifest, OutOfStep, VerdictStatus } from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { copyPinned } from '../snapshot/pinnedCopy.ts';
import { inspectSource, openWherePossible } from '../snapshot/source.ts';
import { copyGuarded } from '../sqlite/guardedCopy.ts';
import { classify, type Header, readHeader, sampleBytes } from '../sqlite/header.ts';
import { pin } from '../sqlite/pin.ts';
import { isReadableInPlace } from '../sqlite/readable.ts';
import { verifyBundle } from '../verify/verifyBundle.ts';
import { verifySnapshot } from '../verify/verifySnapshot.ts';

const busyTimeoutMs = 5000;

/** What is known of the database that a backup holds. */
export interface SourceFacts {
  sizeBytes: number;
  /** Of the bytes as they were backed up. Undefined when it was not recorded. */
  sha256?: string;
  /** Of the application. */
  journalMode: string;
  recorded?: Pick<Manifest, 'facts' | 'tables' | 'migrations' | 'permissions'>;
  /** The file name of the live database, where it is recorded. */
  liveName?: string;
}

export interface InspectedBackup {
  /** The real path. */
  path: string;
  kind: 'snapshot' | 'bundle';
  createdAt: string;
  sizeBytes: number;
  verified: VerdictStatus;
  outOfStep?: OutOfStep[];
  findings: Finding[];
}

/** Looks at a backup, of a bundle at the members that are wanted: freshly verified, or with the verdict of its manifest. */
export async function inspectBackup(
  backup: string,
  members: readonly (string | undefined)[],
  { trustManifest }: { trustManifest: boolean },
  onProgress: (progress: Progress) => void,
): Promise<InspectedBackup> {
  const path = resolveRegularFile(backup);
  const isBundle = looksLikeBundle(path);
  // A name that is not in it is no damage.
  const inside = isBundle ? await lookInside(path, members) : undefined;
  const parsed = readManifestOf(path);
  const isOfThis = parsed?.kind === (isBundle ? 'bundle' : 'manifest');
  const manifest = isOfThis && 'manifest' in parsed ? parsed.manifest : undefined;
  const { size: sizeBytes, mtime } = statSync(path);
  const { status, outOfStep, findings } =
    trustManifest && manifest?.sizeBytes === sizeBytes
      ? manifest.verdict
      : inside === undefined
        ? verifySnapshot(path, onProgress)
        : await verifyBundle(path, onProgress, tmpdir(), inside.named);
  return {
    path,
    kind: isBundle ? 'bundle' : 'snapshot',
    createdAt: manifest?.createdAt ?? inside?.createdAt ?? mtime.toISOString(),
    sizeBytes,
    verified: status,
    ...(outOfStep !== undefined && { outOfStep }),
    findings,
  };
}

async function lookInside(
  path: string,
  members: readonly (string | undefined)[],
): Promise<{ named: Set<string>; createdAt: string | undefined }> {
  return withSoundBundle(path, (open) => ({
    named: new Set(members.map((member) => databaseIn(open, member).name)),
    createdAt: open.contents?.createdAt,
  }));
}

export function requireUsable({ path, verified, findings }: InspectedBackup): void {
  if (verified !== 'damaged') return;
  throw new BackupError(
    'backup-damaged',
    `${path} is damaged, so it is not restored: ${findings[0]?.message ?? 'its check failed'}`,
    { path, hint: anotherBackup },
  );
}

/** Refuses what nothing proves to be what was backed up. Its content alone says only that it is a database. */
export function requireProved(path: string, { sha256 }: SourceFacts): void {
  if (sha256 !== undefined) return;
  throw new BackupError(
    'not-proved',
    `${path} has no backup details that say what it should contain, so it is not restored.`,
    {
      path,
      hint: 'Check its plan first. To restore it anyway, confirm it (on the command line: --unproved).',
    },
  );
}

/** What a restored database is told to be worth when no manifest proves it. */
export function unprovedFinding(path: string): Finding {
  return {
    code: 'not-proved',
    message: `${path} has no backup details. Its content was checked, but not compared with what was backed up.`,
  };
}

const anotherBackup = 'Choose another backup.';

/** The facts about one database of a backup. */
export async function factsOf(
  path: string,
  member: string | undefined,
  { acceptDamaged = false }: { acceptDamaged?: boolean } = {},
): Promise<SourceFacts> {
  if (looksLikeBundle(path))
    return withSoundBundle(path, (open) => factsOfMember(open, databaseIn(open, member)));
  if (member !== undefined) {
    throw new BackupError('bad-name', `${path} is a snapshot of one database, without members.`, {
      path,
      hint: 'Leave the member out.',
    });
  }
  const parsed = readManifestOf(path);
  if (parsed?.kind === 'manifest') {
    const { sizeBytes, sha256, facts, source } = parsed.manifest;
    const liveName = basename(source.path);
    return {
      sizeBytes,
      sha256,
      journalMode: facts.journalMode,
      recorded: parsed.manifest,
      liveName,
    };
  }
  const header = acceptDamaged ? undefined : readHeader(path);
  const journalMode = header === undefined ? 'delete' : journalModeBy(header, path);
  return { sizeBytes: statSync(path).size, journalMode };
}

/** Copies one database of a backup to the free private path `to`, with what belongs to it. */
export async function fetchSource(
  path: string,
  member: string | undefined,
  to: string,
  onBytes: (bytes: number) => void = () => undefined,
  { acceptDamaged = false }: { acceptDamaged?: boolean } = {},
): Promise<SourceFacts> {
  if (looksLikeBundle(path)) {
    return withSoundBundle(path, async (open) => {
      const found = databaseIn(open, member);
      const facts = await factsOfMember(open, found);
      requireSpace(dirname(to), facts.sizeBytes);
      await unpackMember(open, found, to, onBytes);
      return facts;
    });
  }
  const facts = await factsOf(path, member, { acceptDamaged });
  // A damaged file is kept with its siblings, in which there may be more.
  if (acceptDamaged) copyGuarded(path, to);
  else if (facts.sha256 === undefined) await copyUnknown(path, to);
  else copyFile(path, to, onBytes);
  return facts;
}

function copyFile(path: string, to: string, onBytes: (bytes: number) => void): void {
  try {
    copyWhole(path, to, { onBytes });
  } catch (error) {
    throw explain(error, 'target', to);
  }
}

/**
 * A file that no manifest tells of may be a database that is in use, with its newest transactions in its WAL. It is copied
 * while it stands still, else held at one moment by SQLite.
 */
async function copyUnknown(path: string, to: string): Promise<void> {
  try {
    copyGuarded(path, to);
  } catch (error) {
    const isChanging = isBackupError(error) && error.facts?.['reason'] === 'changed';
    if (!isChanging) throw error;
    await copyHeld(path, to);
  }
}

async function copyHeld(path: string, to: string): Promise<void> {
  const source = inspectSource(path, Number.MAX_SAFE_INTEGER);
  const held = openWherePossible(source, dirname(to), ({ path: readable }) =>
    pin(readable, busyTimeoutMs, path),
  );
  try {
    await copyPinned(held, { copy: to, folder: dirname(to) }, () => ({ gently: false }));
  } finally {
    held.release();
  }
}

/** Runs `use` on a path under which the backup can be opened without a trace: itself, or a private copy. */
export async function withSource<T>(
  path: string,
  member: string | undefined,
  use: (source: string) => T,
): Promise<T> {
  if (!looksLikeBundle(path) && member === undefined && isReadableInPlace(path)) return use(path);
  const { sizeBytes } = await factsOf(path, member);
  requireSpace(tmpdir(), sizeBytes);
  const scratch = makePrivateFolder(tmpdir());
  try {
    const copy = join(scratch.path, 'backup.db');
    await fetchSource(path, member, copy);
    return use(copy);
  } finally {
    scratch.remove();
  }
}

/** The member that is meant. A bundle has several databases, so which of them is never guessed. */
function databaseIn(open: OpenBundle, member: string | undefined): BundleMember {
  const names = open.members.flatMap(({ name, kind }) => (kind === 'database' ? [name] : []));
  const refuse = (why: string): BackupError =>
    new BackupError('bad-name', `${open.path} ${why}. ${namesIn(names)}`, {
      path: open.path,
      hint: 'Name one of its databases (on the command line: --member NAME).',
    });
  if (member === undefined) throw refuse('is a bundle, and no member of it was named');
  if (!open.zip.members.some(({ name }) => name === member))
    throw refuse(`has no ${JSON.stringify(member)} in it`);
  const found = memberOf(open, member);
  // A zip of others says nothing of its files, so there the content decides.
  const isCompanion = found.kind === 'companion' && open.contents !== undefined;
  if (isCompanion) throw refuse(`has ${JSON.stringify(member)} in it, which is not a database`);
  return found;
}

const mostNames = 20;

function namesIn(names: readonly string[]): string {
  if (names.length === 0) return 'It holds no database.';
  const more = names.length > mostNames ? ` and ${names.length - mostNames} more` : '';
  return `Its databases: ${names.slice(0, mostNames).join(', ')}${more}.`;
}

async function factsOfMember(open: OpenBundle, member: BundleMember): Promise<SourceFacts> {
  const { name, sizeBytes, entry } = member;
  if (entry?.kind === 'database') {
    const { sha256, facts, source } = entry;
    const liveName = basename(source.path);
    return { sizeBytes, sha256, journalMode: facts.journalMode, recorded: entry, liveName };
  }
  const header = classify(await open.zip.readBegin(name, sampleBytes), sizeBytes);
  const journalMode = journalModeBy(header, `${name} in ${open.path}`);
  return { sizeBytes: bytesToUnpack(open, member), journalMode };
}

function journalModeBy(header: Header, what: string): 'wal' | 'delete' {
  if (header.kind === 'sqlite') return header.journalMode === 'wal' ? 'wal' : 'delete';
  throw new BackupError(
    'backup-damaged',
    `${what} is not a SQLite database, so it is not restored.`,
    {
      path: what,
      hint: anotherBackup,
    },
  );
}
