/*
 * SQLite's integrity_check on an open database. What it leaves out because the application brings along a collation, a
 * function or a tokenizer is looked at in other ways: each table alone, the rows without indexes, the pages by dbstat.
 */
import type Database from 'better-sqlite3';
import type { Finding, OutOfStep, VerdictStatus } from '../manifest/manifest.ts';
import { isDamage, isMissingFeature, isNotRunnable, quoted } from './driver.ts';
import { finding, messageOf } from './finding.ts';
import { rowOrderFindings, scanTable, SortedMessages } from './outOfStep.ts';
import { type PageUse, pageUseOf } from './pageUse.ts';
import { missingTokenizer, tablesOfUnknownModules, virtualTables } from './virtualTables.ts';

export interface Integrity {
  status: Exclude<VerdictStatus, 'unchecked'>;
  findings: Finding[];
  /** What does not fit the rows, which are all there. Then the status is `partial`. */
  outOfStep: OutOfStep[];
  /** Which pages are in use, where SQLite's check could not account for all of them. */
  pageUse?: PageUse;
}

const mostFindings = 100;
const mostMessages = 100;
/** SQLite's default for the check of one table. */
const mostMessagesOfTable = 100;
const allMessages = 2_000_000_000;

/** Damage is in the result. Throws what kept the check from running, which says nothing about the content. */
export function checkIntegrity(db: Database.Database): Integrity {
  try {
    const unread = tablesOfUnknownModules(db).map(({ name, module }) =>
      finding('table-not-checkable', `${name}: no such module: ${module}.`),
    );
    let sorted = new SortedMessages(db);
    let stopped = run(db, `integrity_check(${mostMessages})`, sorted);
    if (sorted.damage.length === 0 && sorted.derivedCount >= mostMessages) {
      // More may lie behind what derived data alone has to say.
      sorted = new SortedMessages(db);
      stopped = run(db, `integrity_check(${allMessages})`, sorted);
    }
    if (stopped === undefined || sorted.damage.length > 0) return result(sorted, unread);
    return checkTableByTable(db, stopped, unread);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return damagedBy(error);
  }
}

export function damagedBy(error: unknown): Integrity {
  return {
    status: 'damaged',
    findings: [finding('unreadable', messageOf(error))],
    outOfStep: [],
  };
}

/** Sorts the messages as they come. Returns the error of a check that cannot run to its end here. */
function run(db: Database.Database, check: string, sorted: SortedMessages): Error | undefined {
  try {
    for (const row of db.prepare(`PRAGMA ${check}`).raw().iterate()) {
      sorted.add(String((row as unknown[])[0]));
      if (sorted.isFull) return undefined;
    }
    return undefined;
  } catch (error) {
    if (isNotRunnable(error)) return error;
    if (!isDamage(error)) throw error;
    sorted.damaged('unreadable', messageOf(error));
    return undefined;
  }
}

function result(sorted: SortedMessages, gaps: Finding[]): Integrity {
  const { outOfStep, findings, gaps: unread } = sorted.outOfStep();
  const { damage } = sorted;
  if (damage.length > 0) return { status: 'damaged', findings: firstOf(damage), outOfStep: [] };
  const all = [...findings, ...unread, ...gaps];
  const status = all.length > 0 ? 'partial' : 'ok';
  // Rows that could not be read are not known to be complete.
  const isComplete = unread.length === 0;
  return {
    status,
    findings: firstOf(all),
    outOfStep: isComplete ? outOfStep : [],
  };
}

function firstOf(findings: Finding[]): Finding[] {
  return findings.slice(0, mostFindings);
}

function checkTableByTable(db: Database.Database, reason: Error, unread: Finding[]): Integrity {
  const sorted = new SortedMessages(db);
  const gaps = [
    finding('not-fully-checkable', `Not everything could be checked: ${reason.message}.`),
    ...unread,
  ];
  const unchecked = new Set<string>();
  let areRowsRead = true;
  const isUnread = (name: string, why: string): void => {
    gaps.push(finding('table-not-checkable', `${name}: ${why}.`));
    unchecked.add(name);
  };
  const virtual = new Map(virtualTables(db).map((table) => [table.name, table]));
  const names = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
    .pluck();
  for (const name of names.all()) {
    if (typeof name !== 'string') continue;
    const before = sorted.derivedCount;
    const stopped = run(db, `integrity_check(${quoted(name)})`, sorted);
    const table = virtual.get(name);
    if (stopped === undefined) {
      if (sorted.derivedCount - before >= mostMessagesOfTable)
        gaps.push(finding('table-not-checkable', `${name}: there is more to it than this.`));
    } else if (table !== undefined) {
      const missing = isMissingFeature(stopped) ? stopped : missingTokenizer(db, table);
      // The module is here, and it cannot make sense of what it finds.
      if (missing === undefined) sorted.damaged('unreadable', `${name}: ${stopped.message}`);
      else isUnread(name, missing.message);
    } else {
      isUnread(name, stopped.message);
      const findings = scanTable(db, name);
      areRowsRead &&= findings !== undefined;
      sorted.damage.push(...(findings ?? []), ...rowOrderFindings(db, name));
    }
  }
  const pageUse = lookAtPages(db, unchecked, sorted);
  const all = result(sorted, gaps);
  return {
    status: all.status,
    findings: all.findings,
    outOfStep: areRowsRead ? all.outOfStep : [],
    ...(all.status !== 'damaged' && pageUse !== undefined && { pageUse }),
  };
}

/** The structure of the whole file: by SQLite's own check, which needs no function, or else by what its pages say. */
function lookAtPages(
  db: Database.Database,
  unchecked: ReadonlySet<string>,
  sorted: SortedMessages,
): PageUse | undefined {
  const structure = new SortedMessages(db);
  const stopped = run(db, `quick_check(${mostMessages})`, structure);
  sorted.damage.push(...structure.damage);
  if (stopped === undefined || sorted.damage.length > 0) return undefined;
  const { findings, miscounted, use } = pageUseOf(db, unchecked);
  sorted.damage.push(...findings);
  for (const index of miscounted) sorted.add(`wrong # of entries in index ${index}`);
  return use;
}
