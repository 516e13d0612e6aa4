/** A live database held at one instant, and its page-for-page copy. */
import type Database from 'better-sqlite3';
import { BackupError, explain } from '../errors.ts';
import type { Facts } from '../manifest/manifest.ts';
import { pause } from '../pause.ts';
import { readFacts } from './contents.ts';
import { explained, openSource, sideOf } from './driver.ts';

/** A live database held at one instant. `release` must be called, and before any other access to the file. */
export interface Pin {
  /** Of the pinned instant; read when first asked for, so that several pins can be taken close together. */
  readonly facts: Facts;
  /**
   * Copies the pinned pages into the existing empty file `to`. `onStep` gets the pages done between two steps, and returns
   * how many may be copied until it is asked again (at least one is); what it throws ends the copying. Never reports a
   * copy that is not complete.
   */
  copyTo: (to: string, onStep: (donePages: number) => number) => Promise<void>;
  release(): void;
}

/**
 * Opens a live database read-only, waits at most `busyTimeoutMs` for a lock, and pins one instant of it. Nothing in the
 * database or its WAL changes; beside a WAL database SQLite may leave an empty `-wal` and a `-shm`. Errors speak of
 * `shownAs`, the path that the person knows.
 */
export function pin(path: string, busyTimeoutMs: number, shownAs: string = path): Pin {
  return explained(shownAs, () => {
    const db = openPinned(path, busyTimeoutMs);
    let facts: Facts | undefined;
    const factsOf = (): Facts => (facts ??= explained(shownAs, () => readFacts(db)));
    return {
      get facts() {
        return factsOf();
      },
      copyTo: (to, onStep) => copyPages(db, factsOf(), shownAs, to, onStep),
      release: () => db.close(),
    };
  });
}

function openPinned(path: string, busyTimeoutMs: number): Database.Database {
  const giveUpAt = performance.now() + busyTimeoutMs;
  for (;;) {
    const db = openSource(path, busyTimeoutMs);
    try {
      db.exec('BEGIN');
      // BEGIN alone takes no lock. This read does, and it raises the real BUSY, NOTADB or CORRUPT.
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
      return db;
    } catch (error) {
      db.close();
      if (!isInRecovery(error) || performance.now() > giveUpAt) throw error;
      pause(recoveryPauseMs);
    }
  }
}

const recoveryPauseMs = 10;

/**
 * Another connection is recovering the WAL, which takes a moment. SQLite tells a read-only connection so at once, without
 * waiting as it does for locks.
 */
function isInRecovery(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, 'code') === 'SQLITE_READONLY_RECOVERY';
}

async function copyPages(
  db: Database.Database,
  facts: Facts,
  source: string,
  to: string,
  onStep: (donePages: number) => number,
): Promise<void> {
  let reported: Database.BackupMetadata;
  try {
    reported = await db.backup(to, {
      progress({ totalPages, remainingPages }) {
        return Math.max(1, Math.floor(onStep(totalPages - remainingPages)));
      },
    });
  } catch (error) {
    throw explain(error, sideOf(error), sideOf(error) === 'target' ? to : source);
  }
  // A backup that was locked out reports success with zero pages.
  if (reported.totalPages !== facts.pageCount || reported.remainingPages !== 0) {
    throw new BackupError(
      'incomplete',
      `${source} was not copied completely: ${reported.totalPages} of ${facts.pageCount} pages.`,
      { path: source, hint: 'Try again.' },
    );
  }
  onStep(facts.pageCount);
}
