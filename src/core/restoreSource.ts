/** What a restore takes its databases from: a snapshot, or a member of a bundle, each as a private file with its facts. */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  openSync,
  readSync,
  statSync,
} from 'node:fs';
import { BackupError, explain } from './errors.ts';
import { resolveRegularFile, siblingsOf } from './files.ts';
import { readHeader } from './header.ts';
import type { Finding, Manifest, VerdictStatus } from './manifest.ts';
import type { Progress } from './snapshot.ts';
import { readManifestOf, verifySnapshot } from './verify.ts';

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
  findings: Finding[];
}

/** Looks at a backup as a whole: freshly verified, or with the verdict of its manifest. */
export function inspectBackup(
  backup: string,
  { trustManifest }: { trustManifest: boolean },
  onProgress: (progress: Progress) => void,
): InspectedBackup {
  const path = resolveRegularFile(backup);
  if (isBundle(path)) throw bundlesMissing(path);
  const parsed = readManifestOf(path);
  const manifest = parsed?.kind === 'manifest' ? parsed.manifest : undefined;
  const { size: sizeBytes, mtime } = statSync(path);
  const { status, findings } =
    trustManifest && manifest !== undefined && manifest.sizeBytes === sizeBytes
      ? manifest.verdict
      : verifySnapshot(path, onProgress);
  const createdAt = manifest?.createdAt ?? mtime.toISOString();
  return { path, kind: 'snapshot', createdAt, sizeBytes, verified: status, findings };
}

export function requireUsable({ path, verified, findings }: InspectedBackup): void {
  if (verified !== 'damaged') return;
  throw new BackupError(
    'backup-damaged',
    `${path} is damaged, so it is not restored: ${findings[0]?.message ?? 'its check failed'}`,
    { path, hint: 'Choose another backup.' },
  );
}

/** The facts about one database of a backup, which has been looked at. */
export function factsOf(path: string, member: string | undefined): SourceFacts {
  refuseMember(path, member);
  const parsed = readManifestOf(path);
  if (parsed?.kind === 'manifest') {
    const { sizeBytes, sha256, facts } = parsed.manifest;
    return { sizeBytes, sha256, journalMode: facts.journalMode, recorded: parsed.manifest };
  }
  const header = readHeader(path);
  if (header.kind !== 'sqlite') {
    throw new BackupError(
      'backup-damaged',
      `${path} is no SQLite database, so it is not restored.`,
      {
        path,
        hint: 'Choose another backup.',
      },
    );
  }
  return {
    sizeBytes: statSync(path).size,
    journalMode: header.journalMode === 'wal' ? 'wal' : 'delete',
  };
}

/** Copies one database of a backup to the free private path `to`, with what belongs to it. */
export function fetchSource(path: string, member: string | undefined, to: string): SourceFacts {
  const facts = factsOf(path, member);
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

/** True when a backup can be opened where it is without a trace. */
export function isReadableInPlace(path: string, member: string | undefined): boolean {
  if (member !== undefined) return false;
  const header = readHeader(path);
  return (
    header.kind === 'sqlite' && header.journalMode === 'rollback' && siblingsOf(path).size === 0
  );
}

function refuseMember(path: string, member: string | undefined): void {
  if (isBundle(path)) throw bundlesMissing(path);
  if (member === undefined) return;
  throw new BackupError('bad-name', `${path} is a snapshot of one database, without members.`, {
    path,
    hint: 'Leave the member out.',
  });
}

function bundlesMissing(path: string): BackupError {
  return new BackupError('feature-missing', `${path} is a bundle, which cannot be restored yet.`, {
    path,
    hint: 'Extract it, then restore the database from the extracted file.',
  });
}

const zipSignature = 'PK\x03\x04';

/** By content: a zip begins with the header of its first entry. */
function isBundle(path: string): boolean {
  const start = Buffer.alloc(zipSignature.length);
  try {
    const handle = openSync(path, 'r');
    try {
      readSync(handle, start);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw explain(error, 'source', path);
  }
  return start.toString('latin1') === zipSignature;
}
