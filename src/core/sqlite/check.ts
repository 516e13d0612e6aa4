/** Integrity checks. Damage is a finding; only trouble with reading is thrown. */
import type Database from 'better-sqlite3';
import type { Finding, VerdictStatus } from '../manifest/manifest.ts';
import { type Contents, ordinaryTables, readContents } from './contents.ts';
import { isMissingFeature, isTrouble, open, openPrivate, quoted } from './driver.ts';

const mostFindings = 100;

export interface Check {
  status: Exclude<VerdictStatus, 'unchecked'>;
  findings: Finding[];
  /** Worth knowing, but no fault of the backup: rows that break the rules of their own table. */
  remarks: Finding[];
  /** With rows counted. Undefined when the file is damaged. */
  contents?: Contents;
}

/**
 * Runs `integrity_check` on a private file, or on one in rollback mode that is opened read-only, and counts rows. Damage
 * is a finding; only trouble with reading is an exception. Missing collations, functions or modules make the check
 * `partial`: each table is then checked alone.
 */
export function checkDatabase(
  path: string,
  {
    access,
    foreignKeys = false,
    busyTimeoutMs = 0,
  }: {
    access: 'private' | 'read-only';
    foreignKeys?: boolean;
    /** How long to wait where others may have the file open. */
    busyTimeoutMs?: number;
  },
): Check {
  let db: Database.Database | undefined;
  try {
    db =
      access === 'private'
        ? openPrivate(path)
        : open(path, { readonly: true, fileMustExist: true, timeout: busyTimeoutMs });
    db.pragma('trusted_schema = off');
    const integrity = checkIntegrity(db);
    // A damaged file may say anything of itself.
    if (integrity.status === 'damaged') return integrity;
    const remarks = [...integrity.remarks, ...(foreignKeys ? foreignKeyRemarks(db) : [])];
    return { ...integrity, remarks, contents: readContents(db, { countRows: true }) };
  } catch (error) {
    if (isTrouble(error)) throw error;
    return { status: 'damaged', findings: [damage(error)], remarks: [] };
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
    const reason = error instanceof Error ? error.message : String(error);
    return [finding('foreign-keys-not-checkable', `Foreign keys could not be checked: ${reason}.`)];
  }
  const atLeast = total >= mostOrphans ? 'at least ' : '';
  return [...orphans].map(([table, count]) =>
    finding(
      'foreign-keys',
      `${table}: ${atLeast}${count} rows refer to a parent that does not exist.`,
    ),
  );
}

type Integrity = Pick<Check, 'status' | 'findings' | 'remarks'>;

export function checkIntegrity(db: Database.Database): Integrity {
  try {
    const { findings, remarks } = integrityFindings(
      db.pragma(`integrity_check(${mostFindings})`, { simple: false }),
    );
    if (findings.length > 0) return { status: 'damaged', findings, remarks };
    const unknown = unknownModules(db);
    return { status: unknown.length > 0 ? 'partial' : 'ok', findings: unknown, remarks };
  } catch (error) {
    if (isTrouble(error)) throw error;
    if (!isMissingFeature(error)) {
      return { status: 'damaged', findings: [damage(error)], remarks: [] };
    }
    return checkTableByTable(db, error);
  }
}

function checkTableByTable(db: Database.Database, reason: Error): Integrity {
  const findings = [
    finding('not-fully-checkable', `Not everything could be checked: ${reason.message}.`),
    ...unknownModules(db),
  ];
  const remarks: Finding[] = [];
  let status: Integrity['status'] = 'partial';
  const found = (damages: Finding[]): void => {
    if (damages.length > 0) status = 'damaged';
    findings.push(...damages);
  };
  const names = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
    .pluck();
  const ordinary = new Set(ordinaryTables(db));
  for (const name of names.all()) {
    if (typeof name !== 'string') continue;
    try {
      const rows = db.pragma(`integrity_check(${quoted(name)})`, { simple: false });
      const one = integrityFindings(rows);
      found(one.findings);
      remarks.push(...one.remarks);
    } catch (error) {
      if (!isMissingFeature(error)) {
        found([damage(error)]);
        continue;
      }
      findings.push(finding('table-not-checkable', `${name}: ${error.message}.`));
      if (ordinary.has(name)) found(scanFindings(db, name));
    }
  }
  return {
    status,
    findings: findings.slice(0, mostFindings),
    remarks: remarks.slice(0, mostFindings),
  };
}

function scanFindings(db: Database.Database, table: string): Finding[] {
  try {
    scanTable(db, table);
    return [];
  } catch (error) {
    return isMissingFeature(error) ? [] : [damage(error)];
  }
}

/** Virtual tables of modules that only the application has: SQLite passes over them without a word. */
function unknownModules(db: Database.Database): Finding[] {
  const known = new Set(
    db.prepare('SELECT lower(name) FROM pragma_module_list').pluck().all() as string[],
  );
  const tables = db
    .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0")
    .all() as { name: unknown; sql: unknown }[];
  return tables.flatMap(({ name, sql }) => {
    const module = /\bUSING\s+["'`[]?(\w+)/i.exec(String(sql))?.[1];
    return module === undefined || known.has(module.toLowerCase())
      ? []
      : [finding('table-not-checkable', `${String(name)}: no such module: ${module}.`)];
  });
}

/** Reads every value of a table that the check cannot run on, so that at least its pages are proved readable. */
function scanTable(db: Database.Database, table: string): void {
  const stored = (db.pragma(`table_xinfo(${quoted(table)})`) as { name: string; hidden: number }[])
    .filter(({ hidden }) => hidden === 0)
    .map(({ name }) => quoted(name));
  const rows = db.prepare(`SELECT ${stored.join(', ')} FROM ${quoted(table)} NOT INDEXED`).raw();
  for (const row of rows.iterate()) void row;
}

/** Rows that break a rule of their table were let in by the application: they are in the database, and in the copy. */
const brokenRule = /^(CHECK constraint failed in|NULL value in) /;

function integrityFindings(rows: unknown): Pick<Integrity, 'findings' | 'remarks'> {
  const messages = (rows as { integrity_check: unknown }[])
    .map((row) => String(row.integrity_check))
    .filter((text) => text !== 'ok');
  return {
    findings: messages
      .filter((message) => !brokenRule.test(message))
      .map((message) => finding('integrity', message)),
    remarks: messages
      .filter((message) => brokenRule.test(message))
      .map((message) => finding('broken-rule', message)),
  };
}

function damage(error: unknown): Finding {
  return finding('unreadable', error instanceof Error ? error.message : String(error));
}

const longestMessage = 500;

/** Messages of SQLite may quote names of any length. */
function finding(code: string, message: string): Finding {
  return { code, message: message.slice(0, longestMessage) };
}
