/** The second half of a snapshot: private copies are checked, hashed and brought to the disk. */
import { statSync } from 'node:fs';
import { type BackupError, explain } from '../errors.ts';
import { digestCopy, type Purpose } from '../files/digests.ts';
import { syncFileBeside } from '../files/sync.ts';
import type { SnapshotHooks } from '../job.ts';
import { boundTables, type Finding, type Manifest } from '../manifest/manifest.ts';
import { type Check, checkDatabase } from '../sqlite/check.ts';
import { type Copied, sum } from './copying.ts';
import { isFull, removeUnfinished } from './room.ts';
import { isOfMissingRows } from './pinWatch.ts';

export interface Proved extends Omit<Copied, 'digests'> {
  /** Undefined when no check was asked for, or when it could not run. */
  check: Check | undefined;
  /** Why the check that was asked for could not run. */
  notChecked?: Finding;
  sha256: string;
  /** Only of what is to be packed. */
  crc32?: number;
  sizeBytes: number;
}

interface ProveRequest {
  /** The folder that a person knows, for messages. */
  folder: string;
  /** Whether SQLite is to check each copy. */
  verify: boolean;
  /** A copy that will be published must reach the disk. */
  purpose: Purpose;
  onProgress: SnapshotHooks['onProgress'];
  /** For a copy that the disk has no room for after all; the others go on. */
  fail: (one: { database: string }, error: BackupError) => void;
}

/** Each keeps a file open. */
const mostSyncs = 4;

/** Checks and hashes the copies, and writes them to the disk itself when they are to stay as they are. */
export async function prove(copied: Copied[], request: ProveRequest): Promise<Proved[]> {
  const { folder, verify, purpose, onProgress, fail } = request;
  const totalBytes = sum(copied.map(({ copy }) => statSync(copy).size));
  const proved: Proved[] = [];
  const syncs: Promise<void>[] = [];
  let before = 0;
  for (const [index, { digests, ...one }] of copied.entries()) {
    const sizeBytes = statSync(one.copy).size;
    // The disk brings several at once in little more time than one.
    for (const { copy } of copied.slice(syncs.length, index + mostSyncs)) {
      const syncing = purpose === 'publish' ? syncFileBeside(copy) : Promise.resolve();
      syncing.catch(() => undefined); // It is awaited below; until then a failure must not count as unhandled.
      syncs.push(syncing);
    }
    let checked: Pick<Proved, 'check' | 'notChecked'> = { check: undefined };
    if (verify) {
      onProgress({ phase: 'check', doneBytes: before, totalBytes });
      checked = checkCopy(one.copy, folder);
    }
    const onRead = (bytes: number): void =>
      onProgress({ phase: 'hash', doneBytes: before + bytes, totalBytes });
    try {
      const toDigest = { path: one.copy, purpose, isUnread: one.isCloned && !verify };
      const digested = await (digests?.(onRead) ?? digestCopy(toDigest, onRead));
      await syncs[index];
      proved.push({ ...one, ...digested, ...checked, sizeBytes });
    } catch (error) {
      // Some file systems, as those of a network, say it as late as this.
      const known = explain(error, 'target', folder);
      if (!isFull(known)) throw error;
      removeUnfinished(one.copy);
      fail(one, known);
    }
    before += sizeBytes;
  }
  return proved;
}

/** The copy is complete by now: what keeps it from being checked is no reason to be without a backup. */
function checkCopy(copy: string, folder: string): Pick<Proved, 'check' | 'notChecked'> {
  try {
    return { check: checkDatabase(copy, { access: 'read-only' }) };
  } catch (error) {
    const { message } = explain(error, 'target', folder);
    const notChecked = { code: 'not-checked', message: `SQLite's check could not run: ${message}` };
    return { check: undefined, notChecked };
  }
}

/** What a manifest says of a copy beyond its bytes. */
export function describeContents({
  contents,
  journalMode,
  check,
  source,
  warnings,
  notChecked,
}: Proved): Pick<
  Manifest,
  'facts' | 'verdict' | 'tables' | 'tablesOmitted' | 'migrations' | 'permissions'
> {
  const lost = warnings.filter(isOfMissingRows);
  return {
    facts: { ...contents.facts, journalMode },
    verdict:
      check === undefined
        ? { status: 'unchecked', findings: notChecked === undefined ? [] : [notChecked] }
        : {
            status: check.status === 'ok' && lost.length > 0 ? 'partial' : check.status,
            checkedAt: new Date().toISOString(),
            findings: [...lost, ...check.findings, ...check.remarks],
            // With files lost, it is not known that all rows are there.
            ...(lost.length === 0 && check.outOfStep.length > 0 && { outOfStep: check.outOfStep }),
          },
    ...boundTables(check?.contents?.tables ?? contents.tables),
    ...(contents.migrations.length > 0 && { migrations: contents.migrations }),
    ...(source.permissions !== undefined && { permissions: source.permissions }),
  };
}
