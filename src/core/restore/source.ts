/** What a restore takes its databases from: a snapshot, or a member of a bundle, each as a private file with its facts. */
import { constants, copyFileSync, existsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BundleMember,
  looksLikeBundle,
  memberOf,
  type OpenBundle,
  withSoundBundle,
} from '../bundle/openBundle.ts';
import { bytesToUnpack, unpackMember } from '../bundle/unpack.ts';
import { BackupError, explain } from '../errors.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { requireSpace } from '../files/space.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import type { Progress } from '../job.ts';
import type { Finding, Manifest, OutOfStep, VerdictStatus } from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { classify, type Header, readHeader, sampleBytes } from '../sqlite/header.ts';
import { isReadableInPlace } from '../sqlite/readable.ts';
import { verifyBundle } from '../verify/verifyBundle.ts';
import { verifySnapshot } from '../verify/verifySnapshot.ts';

/** What is known of the database that a backup holds. */
export interface SourceFacts {
  sizeBytes: number;
  /** Of the bytes as they were backed up. Undefined when nobody has recorded it. */
  sha256?: string;
  /** Of the application. */
  journalMode: string;
  recorded?: Pick<Manifest, 'facts' | 'tables' | 'migrations'>;
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

const anotherBackup = 'Choose another backup.';

/** The facts about one database of a backup. */
export async function factsOf(path: string, member: string | undefined): Promise<SourceFacts> {
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
    const { sizeBytes, sha256, facts } = parsed.manifest;
    return { sizeBytes, sha256, journalMode: facts.journalMode, recorded: parsed.manifest };
  }
  return { sizeBytes: statSync(path).size, journalMode: journalModeBy(readHeader(path), path) };
}

/** Copies one database of a backup to the free private path `to`, with what belongs to it. */
export async function fetchSource(
  path: string,
  member: string | undefined,
  to: string,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<SourceFacts> {
  if (looksLikeBundle(path)) {
    return withSoundBundle(path, async (open) => {
      const found = databaseIn(open, member);
      const facts = await factsOfMember(open, found);
      await unpackMember(open, found, to, onBytes);
      return facts;
    });
  }
  const facts = await factsOf(path, member);
  try {
    const copy = constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL;
    copyFileSync(path, to, copy);
    // A backup of ours stands alone. A copy by other means may have its newest transactions in its WAL.
    if (facts.sha256 === undefined) {
      for (const suffix of ['-wal', '-journal'])
        if (existsSync(path + suffix)) copyFileSync(path + suffix, to + suffix, copy);
    }
  } catch (error) {
    throw explain(error, 'target', to);
  }
  return facts;
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
  if (isCompanion) throw refuse(`has ${JSON.stringify(member)} in it, which is no database`);
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
    const { sha256, facts } = entry;
    return { sizeBytes, sha256, journalMode: facts.journalMode, recorded: entry };
  }
  const header = classify(await open.zip.readBegin(name, sampleBytes), sizeBytes);
  const journalMode = journalModeBy(header, `${name} in ${open.path}`);
  return { sizeBytes: bytesToUnpack(open, member), journalMode };
}

function journalModeBy(header: Header, what: string): 'wal' | 'delete' {
  if (header.kind === 'sqlite') return header.journalMode === 'wal' ? 'wal' : 'delete';
  throw new BackupError('backup-damaged', `${what} is no SQLite database, so it is not restored.`, {
    path: what,
    hint: anotherBackup,
  });
}
