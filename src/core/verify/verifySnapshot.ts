/** Is a backup still what was backed up? Returns all that was found and never throws for damage. */
import { constants, copyFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explain, isBackupError } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { resolveRegularFile } from '../files/paths.ts';
import { makePrivateFolder } from '../files/workplace.ts';
import type { Progress } from '../job.ts';
import type { Finding, ParsedManifest } from '../manifest/manifest.ts';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { type Check, checkDatabase } from '../sqlite/check.ts';
import { type Header, readHeader } from '../sqlite/header.ts';
import { siblingsOf } from '../sqlite/siblings.ts';
import { manifestRemarks, type Verdict, verdict, weighCheck, type Weighed } from './verdict.ts';

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
