/**
 * What is done for a database that cannot be backed up because it is damaged: its file is kept as it is, under a name that
 * is not taken for a backup, and the error names the backups that there are.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { explain, type PlainError } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { resolveRegularFile, statIfAny } from '../files/paths.ts';
import { linkWithoutOverwriting } from '../files/publish.ts';
import { siblingSuffixes } from '../files/siblingNames.ts';
import { inWorkplace, type Workplace } from '../files/workplace.ts';
import type { RecordAs } from '../job.ts';
import {
  type Earlier,
  earlierBackups,
  removeReplacedSuspects,
  thoseOf,
} from '../manifest/earlier.ts';
import { identifyAll, knownIdentityOf } from '../manifest/identity.ts';
import {
  type Facts,
  type Manifest,
  manifestFormat,
  type Method,
  serializeManifest,
  type Trigger,
} from '../manifest/manifest.ts';
import { publishPair, readManifestOf } from '../manifest/manifestFile.ts';
import { manifestNameOf, snapshotNames, stemOfSnapshot, suspectNames } from '../manifest/names.ts';
import { checkDatabase } from '../sqlite/check.ts';
import { sqliteVersion } from '../sqlite/driver.ts';
import { copyGuarded } from '../sqlite/guardedCopy.ts';
import { classify, sampleBytes } from '../sqlite/header.ts';

export interface SuspectRequest {
  folder: string;
  method: Method;
  trigger: Trigger;
  toolVersion: string;
}

/** What a damaged file can look like. That it was a database, only earlier backups can tell then. */
const damageCodes: ReadonlySet<string> = new Set([
  'corrupt',
  'not-a-database',
  'encrypted-or-not-sqlite',
]);

/** The failure of a damaged database with what was kept and what can be restored; any other failure as it is. */
export async function withHelp(
  { database, recordAs }: { database: string; recordAs: RecordAs },
  error: PlainError,
  request: SuspectRequest,
): Promise<PlainError> {
  if (!damageCodes.has(error.code) || error.facts?.['reason'] === 'not-a-file') return error;
  try {
    const path = resolveRegularFile(database);
    const backups = earlierOf(path, recordAs, request.folder);
    const isDamaged = error.code === 'corrupt' || backups.length > 0;
    const hasCopy = error.facts?.['suspect'] !== undefined || statSync(path).size === 0;
    const believed = hasCopy ? error : await believeDamage(path, error, request.folder);
    if (believed !== error) return believed;
    const kept = isDamaged && !hasCopy ? await keep(path, recordAs, error, request) : {};
    return offering(backups[0], { ...error, ...kept });
  } catch {
    return error; // It vanished, or cannot be read: the failure itself says more.
  }
}

/**
 * The failure to copy the database at `path` for damage, or a failed read in its place: damage counts when it is seen a
 * second time, in a private copy in `folder`.
 */
export async function believeDamage(
  path: string,
  error: PlainError,
  folder: string,
): Promise<PlainError> {
  if (!isByReading(error)) return error;
  try {
    if (await isSeenAgain(path, folder)) return error;
  } catch {
    return error; // It vanished, or there is no room for a copy: what was seen is all that is known.
  }
  return {
    ...error,
    code: 'io-error',
    message: `${path} could not be read. The damage was not found a second time.`,
    hint: 'Check the disk and try again.',
  };
}

/** SQLite calls a read that fails (EIO) damage too. */
function isByReading({ code, facts }: PlainError): boolean {
  return code === 'corrupt' && String(facts?.['reason']).startsWith('SQLITE_CORRUPT');
}

/** Damage counts when the whole file can be read and it is seen again. */
async function isSeenAgain(path: string, folder: string): Promise<boolean> {
  return inWorkplace(folder, ({ scratch }) => {
    const copy = join(scratch, 'again.db');
    try {
      copyGuarded(path, copy);
    } catch (error) {
      if (explain(error, 'source', path).code === 'io-error') return Promise.resolve(false);
      throw error;
    }
    return Promise.resolve(checkDatabase(copy, { access: 'private' }).status === 'damaged');
  });
}

/** The good backups of the database in the folder, newest first. */
function earlierOf(path: string, recordAs: RecordAs, folder: string): Earlier[] {
  if (statIfAny(folder)?.isDirectory() !== true) return [];
  const id = knownIdentityOf(path);
  const known =
    id === undefined ? [] : thoseOf(earlierBackups(folder, new Set([id]), new Date()), id);
  const found = known.length > 0 ? known : earlierByName(path, recordAs, folder);
  return found.filter(({ manifest }) => manifest.verdict.status !== 'damaged');
}

/** Manifests of older versions have no identity: those of the same name and workspace count. */
function earlierByName(path: string, recordAs: RecordAs, folder: string): Earlier[] {
  const stem = stemOfSnapshot(path);
  return readdirSync(folder)
    .filter((name) => name.startsWith(stem) && existsSync(manifestNameOf(join(folder, name))))
    .flatMap((name) => {
      const parsed = readManifestOf(join(folder, name));
      if (parsed?.kind !== 'manifest') return [];
      const { source } = parsed.manifest;
      const isIts =
        source.id === undefined &&
        source.path === recordAs.path &&
        source.workspace === recordAs.workspace;
      return isIts ? [{ path: join(folder, name), manifest: parsed.manifest }] : [];
    })
    .sort((a, b) => (a.manifest.createdAt < b.manifest.createdAt ? 1 : -1));
}

function offering(newest: Earlier | undefined, error: PlainError): PlainError {
  if (newest === undefined) return error;
  const { path, manifest } = newest;
  const advice = `Restore its newest good backup, ${basename(path)} of ${manifest.createdAt}.`;
  const kept = error.facts?.['suspect'] === undefined ? [] : [error.hint ?? ''];
  return {
    ...error,
    hint: [advice, ...kept].join(' ').trim(),
    facts: { ...error.facts, backup: path, backupAt: manifest.createdAt },
  };
}

/** Copies the files as they are, publishes them, and tells it in the error. A failure is told as well. */
async function keep(
  path: string,
  recordAs: RecordAs,
  error: PlainError,
  request: SuspectRequest,
): Promise<Pick<PlainError, 'message' | 'hint' | 'facts'>> {
  try {
    const suspect = await inWorkplace(request.folder, (place) =>
      publishSuspect(path, recordAs, error, request, place),
    );
    return {
      message: `${error.message} This is no backup; the damaged file is kept as ${basename(suspect)}.`,
      hint: 'Try `sqlite3 DATABASE .recover` on a copy of it.',
      facts: { ...error.facts, suspect },
    };
  } catch (failure) {
    const { message } = explain(failure, 'target', request.folder);
    return {
      message: `${error.message} The damaged file was not kept: ${message}`,
      hint: error.hint ?? '',
    };
  }
}

async function publishSuspect(
  path: string,
  recordAs: RecordAs,
  error: PlainError,
  { method, trigger, toolVersion }: SuspectRequest,
  { folder, scratch }: Workplace,
): Promise<string> {
  const copy = join(scratch, 'suspect.db');
  const at = new Date();
  copyGuarded(path, copy);
  const { identities } = await identifyAll([path]);
  const id = identities.get(path)?.id;
  const manifest: Manifest = {
    format: manifestFormat,
    kind: 'snapshot',
    tool: { name: 'sqlite-backup', version: toolVersion, sqlite: sqliteVersion() },
    createdAt: at.toISOString(),
    source: { ...recordAs, ...(id !== undefined && { id }) },
    method,
    trigger,
    sizeBytes: statSync(copy).size,
    sha256: sha256File(copy),
    facts: claimedFacts(copy),
    verdict: {
      status: 'damaged',
      checkedAt: at.toISOString(),
      findings: [{ code: error.code, message: error.message }],
    },
  };
  const names = suspectNames(snapshotNames(path, at));
  const { path: published } = publishPair(copy, folder, names, () => serializeManifest(manifest));
  for (const suffix of siblingSuffixes)
    if (existsSync(copy + suffix)) linkWithoutOverwriting(copy + suffix, published + suffix);
  const earlier = id === undefined ? [] : thoseOf(earlierBackups(folder, new Set([id]), at), id);
  removeReplacedSuspects(earlier.filter((one) => one.path !== published));
  return published;
}

/** What the header says, where there is one: of a damaged file nothing is known. */
function claimedFacts(path: string): Facts {
  const sizeBytes = statSync(path).size;
  const sample = Buffer.alloc(sampleBytes);
  const handle = openSync(path, 'r');
  try {
    readSync(handle, sample);
  } finally {
    closeSync(handle);
  }
  const header = classify(sample, sizeBytes);
  const pageSize = header.kind === 'sqlite' ? header.pageSize : 4096;
  const isWal = header.kind === 'sqlite' && header.journalMode === 'wal';
  return {
    pageCount: Math.ceil(sizeBytes / pageSize),
    pageSize,
    journalMode: isWal ? 'wal' : 'delete',
    encoding: ['UTF-8', 'UTF-16le', 'UTF-16be'][sample.readUInt32BE(56) - 1] ?? 'unknown',
    autoVacuum: 0,
    userVersion: sample.readInt32BE(60),
    applicationId: sample.readInt32BE(68),
    schemaFingerprint: createHash('sha256').digest('hex'),
  };
}
