/** `VACUUM INTO`: the method compact. */
import type Database from 'better-sqlite3';
import { BackupError, explain } from '../errors.ts';
import type { Facts } from '../manifest/manifest.ts';
import { readFacts } from './contents.ts';
import { explained, isMissingFeature, isNotRunnable, openSource, sideOf } from './driver.ts';
import { readHeader } from './header.ts';
import { checkIntegrity } from './integrity.ts';
import { checksumBytes } from './pageChecksums.ts';

interface CompactOptions {
  busyTimeoutMs: number;
  shownAs: string;
  check: boolean;
  /** Runs the part in which SQLite holds the database. It may run it again once `to` is empty. */
  watched?: ((run: () => void) => void) | undefined;
}

/**
 * Writes a compacted copy of a live database into the existing empty file `to`. It is one committed state, but which one
 * is only known to lie between the two facts returned. Cannot be interrupted but by ending the process. VACUUM copies
 * what it finds, without a word about what damage has hidden, so with `check` a damaged source is refused before.
 */
export function compactInto(
  path: string,
  to: string,
  { busyTimeoutMs, shownAs, check, watched = (run) => run() }: CompactOptions,
): { before: Facts; after: Facts } {
  refuseReservedBytes(path, shownAs);
  const db = explained(shownAs, () => openSource(path, busyTimeoutMs));
  try {
    const before = explained(shownAs, () => readFacts(db));
    if (check) explained(shownAs, () => refuseDamaged(db, shownAs));
    // The copy is synced like this read-only connection, which writes nothing else: the caller syncs it before publishing.
    db.pragma('synchronous = off');
    try {
      const vacuum = db.prepare('VACUUM INTO ?');
      watched(() => vacuum.run(to));
    } catch (error) {
      if (isNotRunnable(error)) throw cannotCompact(error, shownAs);
      throw explain(error, sideOf(error), sideOf(error) === 'target' ? to : shownAs);
    }
    return { before, after: explained(shownAs, () => readFacts(db)) };
  } finally {
    db.close();
  }
}

/** VACUUM keeps the room that each page has for an extension of SQLite, and not what is in it. */
function refuseReservedBytes(path: string, shownAs: string): void {
  const header = readHeader(path);
  if (header.kind !== 'sqlite' || header.reservedBytes !== checksumBytes) return;
  throw new BackupError(
    'feature-missing',
    `${shownAs} cannot be compacted: each of its pages ends with 8 extra bytes, such as a checksum. Compacting would lose them, and its application could not read the copy.`,
    { path: shownAs, hint: 'Use the method exact, which copies page for page.' },
  );
}

function refuseDamaged(db: Database.Database, path: string): void {
  const { status, findings } = checkIntegrity(db);
  if (status !== 'damaged') return;
  const [first] = findings;
  throw new BackupError('corrupt', `${path} is damaged: ${first?.message ?? 'its check failed'}.`, {
    path,
    hint: 'The method exact keeps a copy of all there is. Restore the database from an older backup.',
    facts: { reason: 'SQLITE_CORRUPT' },
  });
}

function cannotCompact(error: Error, path: string): BackupError {
  const why = isMissingFeature(error) ? ', which only its application has' : '';
  return new BackupError(
    'feature-missing',
    `${path} cannot be compacted here: ${error.message}${why}.`,
    { path, hint: 'Use the method exact, which copies page for page.', cause: error },
  );
}
