/** Checks of whole files. Damage is a finding; what kept the check from running is thrown, and is no verdict. */
import type Database from 'better-sqlite3';
import type { Finding, OutOfStep, VerdictStatus } from '../manifest/manifest.ts';
import { type Contents, readContents } from './contents.ts';
import { isDamage, isNotRunnable, open, openPrivate } from './driver.ts';
import { finding, messageOf } from './finding.ts';
import { checkIntegrity, damagedBy, type Integrity } from './integrity.ts';
import { checksumFindings } from './pageChecksums.ts';
import { pageFindings } from './pageUse.ts';
import { lookTwice } from './secondLook.ts';

export interface Check {
  status: Exclude<VerdictStatus, 'unchecked'>;
  findings: Finding[];
  /** What does not fit the rows, which are all there. Then the status is `partial`. */
  outOfStep: OutOfStep[];
  /** Worth knowing, but no fault of the backup: foreign keys without a parent. */
  remarks: Finding[];
  /** With rows counted. Undefined when the file is damaged. */
  contents?: Contents;
}

/** The check looks each row up in each index. With 16 MB less, it reads a quarter more often for 1 GB. */
const checkCachePragma = 'cache_size = -48000';

interface CheckOptions {
  access: 'private' | 'read-only';
  foreignKeys?: boolean;
  /** How long to wait where others may have the file open. Without it, the file stands still. */
  busyTimeoutMs?: number;
}

/**
 * Runs `integrity_check` on a private file, or on one in rollback mode that is opened read-only, and counts rows. Damage
 * is a finding. Every other error (locked, full, a failed read, no memory, a defect of ours) is thrown: the file could not
 * be checked. Missing collations, functions or modules make the check `partial`: each table is then checked alone.
 */
export function checkDatabase(path: string, options: CheckOptions): Check {
  const check = lookTwice(
    [{ path, shownAs: path }],
    () => checkOnce(path, options),
    (found) => found.status === 'damaged',
  );
  const { status, findings, outOfStep, remarks, contents, pageUse } = check;
  const standsStill = options.busyTimeoutMs === undefined;
  const ofPages = pageUse !== undefined && standsStill ? pageFindings(path, pageUse) : [];
  if (ofPages.length > 0)
    return { status: 'damaged', findings: ofPages, outOfStep: [], remarks: [] };
  const ofChecksums = standsStill && status !== 'damaged' ? checksumFindings(path) : [];
  return {
    status: ofChecksums.length > 0 ? 'partial' : status,
    findings: [...findings, ...ofChecksums],
    outOfStep: ofChecksums.length > 0 ? [] : outOfStep,
    remarks,
    ...(contents !== undefined && { contents }),
  };
}

function checkOnce(
  path: string,
  { access, foreignKeys = false, busyTimeoutMs = 0 }: CheckOptions,
): Integrity & Pick<Check, 'remarks' | 'contents'> {
  let db: Database.Database | undefined;
  try {
    db =
      access === 'private'
        ? openPrivate(path)
        : open(path, { readonly: true, fileMustExist: true, timeout: busyTimeoutMs });
    db.pragma('trusted_schema = off');
    db.pragma(checkCachePragma);
    const integrity = checkIntegrity(db);
    // A damaged file may say anything of itself.
    if (integrity.status === 'damaged') return Object.assign(integrity, { remarks: [] });
    const remarks = foreignKeys ? foreignKeyRemarks(db) : [];
    // An index that is out of step has another count than its table.
    const withIndexes = integrity.outOfStep.length === 0;
    const contents = readContents(db, { countRows: withIndexes ? 'any' : 'without-indexes' });
    return Object.assign(integrity, { remarks, contents });
  } catch (error) {
    if (!isDamage(error)) throw error;
    return Object.assign(damagedBy(error), { remarks: [] });
  } finally {
    db?.close();
  }
}

const mostOrphans = 1000;

function foreignKeyRemarks(db: Database.Database): Finding[] {
  const orphans = new Map<string, number>();
  let total = 0;
  try {
    const rows = db.prepare('PRAGMA foreign_key_check').iterate() as Iterable<{ table: string }>;
    for (const { table } of rows) {
      orphans.set(table, (orphans.get(table) ?? 0) + 1);
      if (++total >= mostOrphans) break;
    }
  } catch (error) {
    // A foreign key to a table or column that does not exist: SQLite allows to declare it, and cannot check it.
    if (!isNotRunnable(error)) throw error;
    return [
      finding(
        'foreign-keys-not-checkable',
        `Foreign keys could not be checked: ${messageOf(error)}.`,
      ),
    ];
  }
  const atLeast = total >= mostOrphans ? 'at least ' : '';
  return [...orphans].map(([table, count]) =>
    finding(
      'foreign-keys',
      `${table}: ${atLeast}${count} rows refer to a parent that does not exist.`,
    ),
  );
}
