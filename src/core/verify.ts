/** Is a backup still what was backed up? Returns all that was found and never throws for damage. */
import { constants, copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { explain, isBackupError } from './errors.ts';
import {
  makePrivateFolder,
  replaceManifest,
  resolveRegularFile,
  sha256File,
  siblingsOf,
  statIfAny,
} from './files.ts';
import { readHeader, type Header } from './header.ts';
import {
  longestBundleManifestBytes,
  longestManifestBytes,
  parseManifest,
  serializeManifest,
  type BundleManifest,
  type Drill,
  type Finding,
  type Manifest,
  type ParsedManifest,
} from './manifest.ts';
import { bundleExtension, manifestNameOf } from './names.ts';
import type { Progress } from './snapshot.ts';
import { checkDatabase, differingFacts, type Check, type Contents } from './sqlite.ts';

export interface Verdict {
  path: string;
  status: Check['status'];
  findings: Finding[];
}

/** The manifest beside a backup, without trusting it. Undefined when there is none. */
export function readManifestOf(backup: string): ParsedManifest | undefined {
  const path = manifestNameOf(backup);
  const stats = statIfAny(path);
  if (stats === undefined) return undefined;
  const isBundle = backup.endsWith(bundleExtension);
  const longestBytes = isBundle ? longestBundleManifestBytes : longestManifestBytes;
  if (!stats.isFile() || stats.size > longestBytes) {
    return { kind: 'foreign', reason: 'not a manifest of SQLite Backup' };
  }
  return parseManifest(readFileSync(path, 'utf8'));
}

/**
 * Checks a snapshot, or any SQLite file that stands for one. Writes nothing beside it: what cannot be read in place is
 * copied into a private folder in `scratchParent`.
 */
export function verifySnapshot(
  backup: string,
  onProgress: (progress: Progress) => void,
  scratchParent: string = tmpdir(),
): Verdict {
  let path = backup;
  try {
    path = resolveRegularFile(backup);
    const header = readHeader(path);
    if (header.kind !== 'sqlite') return verdict(path, [{ damage: notADatabase(header) }]);
    const parsed = readManifestOf(path);
    return verdict(path, [
      ...manifestRemarks(parsed),
      ...checkFile(path, header, parsed, onProgress, scratchParent),
    ]);
  } catch (error) {
    const known = isBackupError(error) ? error : explain(error, 'source', path);
    return verdict(path, [{ damage: { code: known.code, message: known.message } }]);
  }
}

/**
 * Keeps a verdict, and a drill, in the manifest of a backup that has one. Returns the remark that says why it could not
 * be kept: a read-only folder makes no verdict wrong.
 */
export function recordVerdict(
  { path, status, findings }: Verdict,
  drill?: Drill,
): Finding | undefined {
  const parsed = readManifestOf(path);
  if (parsed?.kind !== 'manifest' && parsed?.kind !== 'bundle') return undefined;
  try {
    updateManifest(path, {
      verdict: { status, checkedAt: new Date().toISOString(), findings },
      // What was once restorable is not any more.
      ...(status === 'damaged' && { drill: undefined }),
      ...(drill !== undefined && { drill }),
    });
    return undefined;
  } catch (error) {
    const { message } = explain(error, 'target', path);
    return { code: 'not-recorded', message: `The verdict could not be recorded: ${message}` };
  }
}

/** Writes `changes` into the manifest of a backup, and keeps what other versions of format 1 have added to it. */
export function updateManifest(
  path: string,
  changes: Partial<Record<keyof Manifest & keyof BundleManifest, unknown>>,
): void {
  const before = JSON.parse(readFileSync(manifestNameOf(path), 'utf8')) as object;
  replaceManifest(path, serializeManifest({ ...before, ...changes } as Manifest | BundleManifest));
}

/** A finding with its weight: damage condemns, a gap makes the verdict partial, a remark changes nothing. */
export type Weighed = { damage: Finding } | { gap: Finding } | { remark: Finding };

/** What a backup is worth, after all that was found. What condemns it comes first. */
export function verdict(path: string, weighed: Weighed[]): Verdict {
  const status = weighed.some((one) => 'damage' in one)
    ? 'damaged'
    : weighed.some((one) => 'gap' in one)
      ? 'partial'
      : 'ok';
  const worstFirst = [
    ...weighed.filter((one) => 'damage' in one),
    ...weighed.filter((one) => !('damage' in one)),
  ];
  const findings = worstFirst.map((one) =>
    'damage' in one ? one.damage : 'gap' in one ? one.gap : one.remark,
  );
  return { path, status, findings: findings.map(shorten) };
}

const longestMessage = 500;

/** A manifest keeps findings, and paths in them may be long. */
function shorten({ code, message }: Finding): Finding {
  return { code, message: message.slice(0, longestMessage) };
}

function notADatabase(header: Exclude<Header, { kind: 'sqlite' }>): Finding {
  switch (header.kind) {
    case 'empty':
      return { code: 'empty', message: 'The file is empty (0 bytes).' };
    case 'newer':
      return { code: 'newer-format', message: 'The file needs a newer SQLite than this one.' };
    case 'other':
    case 'invalid':
      return { code: 'not-a-database', message: 'The file does not begin like a SQLite database.' };
  }
}

export function manifestRemarks(parsed: ParsedManifest | undefined): Weighed[] {
  if (parsed === undefined) {
    return [
      {
        gap: {
          code: 'no-manifest',
          message: 'There is no manifest, so nobody knows what the file should contain.',
        },
      },
    ];
  }
  switch (parsed.kind) {
    case 'manifest':
      return [];
    case 'bundle':
      return [
        { gap: { code: 'bad-manifest', message: 'The manifest is one of a bundle, not of this.' } },
      ];
    case 'newer':
      return [
        {
          gap: {
            code: 'newer-format',
            message: `The manifest has format ${parsed.format}, which this version cannot read.`,
          },
        },
      ];
    case 'foreign':
      return [
        {
          gap: { code: 'bad-manifest', message: `The manifest cannot be used: ${parsed.reason}.` },
        },
      ];
  }
}

function* checkFile(
  path: string,
  header: Extract<Header, { kind: 'sqlite' }>,
  parsed: ParsedManifest | undefined,
  onProgress: (progress: Progress) => void,
  scratchParent: string,
): Generator<Weighed> {
  const manifest = parsed?.kind === 'manifest' ? parsed.manifest : undefined;
  const totalBytes = header.sizeBytes;
  if (header.pageCount !== undefined && header.pageCount * header.pageSize !== totalBytes) {
    const expected = header.pageCount * header.pageSize;
    yield {
      damage: {
        code: 'size-mismatch',
        message: `The file has ${totalBytes} bytes; its header says ${expected}.`,
      },
    };
  }
  if (manifest !== undefined) {
    if (manifest.sizeBytes !== totalBytes) {
      yield {
        damage: {
          code: 'size-mismatch',
          message: `The file has ${totalBytes} bytes; ${manifest.sizeBytes} were backed up.`,
        },
      };
    }
    const actual = sha256File(path, (doneBytes) =>
      onProgress({ phase: 'hash', doneBytes, totalBytes }),
    );
    if (actual !== manifest.sha256) {
      yield {
        damage: { code: 'hash-mismatch', message: 'The SHA-256 differs from the manifest.' },
      };
    }
  }
  for (const [suffix, { sizeBytes }] of siblingsOf(path)) {
    if (suffix === '-shm' || sizeBytes === 0) continue;
    yield {
      gap: {
        code: 'sibling',
        message: `There is a ${suffix} file beside it: whoever opens the backup here gets what that says. Move it away.`,
      },
    };
  }
  onProgress({ phase: 'check', doneBytes: 0, totalBytes });
  yield* weighCheck(checkWithoutTraces(path, header, scratchParent), manifest);
}

export function* weighCheck(check: Check, manifest: Recorded | undefined): Generator<Weighed> {
  if (manifest !== undefined && check.contents !== undefined) {
    for (const damage of differingContents(manifest, check.contents)) yield { damage };
  }
  for (const finding of check.findings) {
    yield check.status === 'damaged' ? { damage: finding } : { gap: finding };
  }
  for (const remark of check.remarks) yield { remark };
}

/** What a manifest, or an entry of one, says of the content of a database. */
export type Recorded = Pick<Manifest, 'facts' | 'tables'>;

/** What of a manifest does not hold for what a file contains. */
export function differingContents(manifest: Recorded, actual: Contents): Finding[] {
  const rows = new Map(actual.tables.map((table) => [table.name, table.rows]));
  const miscounted = (manifest.tables ?? []).filter(({ name, rows: recorded }) => {
    const counted = rows.get(name);
    return recorded !== undefined && counted !== undefined && counted !== recorded;
  });
  return [
    ...differingFacts(manifest.facts, actual.facts),
    ...miscounted.map(({ name, rows: recorded }) => ({
      code: 'rows-differ',
      message: `${name.slice(0, 200)} has ${rows.get(name)} rows, but ${recorded} were backed up.`,
    })),
  ];
}

/**
 * A file in rollback mode without siblings can be read where it is. Any other would get a `-wal` and a `-shm` beside it,
 * or be changed by what lies there, so a private copy is checked instead.
 */
function checkWithoutTraces(
  path: string,
  header: Extract<Header, { kind: 'sqlite' }>,
  scratchParent: string,
): Check {
  if (header.journalMode === 'rollback' && siblingsOf(path).size === 0) {
    return checkDatabase(path, { access: 'read-only', foreignKeys: true });
  }
  const scratch = makePrivateFolder(scratchParent);
  try {
    const copy = join(scratch.path, 'copy.db');
    copyFileSync(path, copy, constants.COPYFILE_FICLONE);
    return checkDatabase(copy, { access: 'private', foreignKeys: true });
  } catch (error) {
    throw explain(error, 'target', scratchParent);
  } finally {
    scratch.remove();
  }
}
