/** Is a backup still what was backed up? Returns all that was found; what keeps it from being looked at is no damage. */
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explain } from '../errors.ts';
import { copyWhole } from '../files/copying.ts';
import { sha256File } from '../files/digests.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import type { Progress } from '../job.ts';
import type { Finding, Manifest } from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { type Check, checkDatabase } from '../sqlite/check.ts';
import { type Header, readHeader } from '../sqlite/header.ts';
import { siblingsOf } from '../sqlite/siblings.ts';
import {
  manifestRemarks,
  type Verdict,
  verdict,
  weighCheck,
  weighCheckError,
  type Weighed,
  weighError,
  weighWarnings,
} from './verdict.ts';

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
  const weighed: Weighed[] = [];
  try {
    path = resolveRegularFile(backup);
    // What was seen before something failed counts.
    for (const one of weigh(path, onProgress, scratchParent)) weighed.push(one);
  } catch (error) {
    weighed.push(weighError(error, path));
  }
  return verdict(path, weighed);
}

function* weigh(
  path: string,
  onProgress: (progress: Progress) => void,
  scratchParent: string,
): Generator<Weighed> {
  const header = readHeader(path);
  const parsed = readManifestOf(path);
  yield* manifestRemarks(parsed);
  const manifest = parsed?.kind === 'manifest' ? parsed.manifest : undefined;
  yield* weighWarnings(manifest?.warnings);
  if (manifest !== undefined) yield* weighBytes(path, manifest, onProgress);
  if (header.kind === 'sqlite') yield* checkFile(path, header, manifest, onProgress, scratchParent);
  else if (header.kind === 'newer') {
    const message = 'The file needs a newer SQLite than this one.';
    yield { unchecked: { code: 'newer-format', message } };
  } else yield { damage: notADatabase(header) };
}

/** The file as bytes, against what was recorded. */
function* weighBytes(
  path: string,
  manifest: Manifest,
  onProgress: (progress: Progress) => void,
): Generator<Weighed> {
  const totalBytes = statSync(path).size;
  if (manifest.sizeBytes !== totalBytes) {
    const message = `The file has ${totalBytes} bytes; ${manifest.sizeBytes} were backed up.`;
    yield { damage: { code: 'size-mismatch', message } };
  }
  const actual = sha256File(path, (doneBytes) =>
    onProgress({ phase: 'hash', doneBytes, totalBytes }),
  );
  if (actual !== manifest.sha256)
    yield {
      damage: { code: 'hash-mismatch', message: 'The SHA-256 differs from the backup details.' },
    };
}

function notADatabase({ kind }: Exclude<Header, { kind: 'sqlite' | 'newer' }>): Finding {
  return kind === 'empty'
    ? { code: 'empty', message: 'The file is empty (0 bytes).' }
    : { code: 'not-a-database', message: 'The file does not begin as a SQLite database does.' };
}

function* checkFile(
  path: string,
  header: Extract<Header, { kind: 'sqlite' }>,
  manifest: Manifest | undefined,
  onProgress: (progress: Progress) => void,
  scratchParent: string,
): Generator<Weighed> {
  const totalBytes = header.sizeBytes;
  if (header.pageCount !== undefined && header.pageCount * header.pageSize !== totalBytes) {
    const expected = header.pageCount * header.pageSize;
    const message = `The file has ${totalBytes} bytes; its header says ${expected}.`;
    yield { damage: { code: 'size-mismatch', message } };
  }
  for (const [suffix, { sizeBytes }] of siblingsOf(path)) {
    if (suffix === '-shm' || sizeBytes === 0) continue;
    yield {
      gap: {
        code: 'sibling',
        message: `There is a ${suffix} file beside it: a program that opens the backup here also reads that file. Move it away.`,
      },
    };
  }
  onProgress({ phase: 'check', doneBytes: 0, totalBytes });
  let check: Check;
  try {
    check = checkWithoutTraces(path, header, scratchParent);
  } catch (error) {
    yield weighCheckError(error, path);
    return;
  }
  yield* weighCheck(check, manifest);
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
    try {
      copyWhole(path, copy, { isSynced: false });
    } catch (error) {
      throw explain(error, 'target', scratchParent);
    }
    return checkDatabase(copy, { access: 'private', foreignKeys: true });
  } finally {
    scratch.remove();
  }
}
