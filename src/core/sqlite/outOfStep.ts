/*
 * What integrity_check says, sorted: damage, or derived data that is out of step with rows that are all there. The words
 * are those of SQLite's pragma.c and of its full-text modules; what is not known here is damage.
 */
import type Database from 'better-sqlite3';
import type { Finding, OutOfStep } from '../manifest/manifest.ts';
import { isDamage, isNotRunnable, quoted } from './driver.ts';
import { finding, messageOf } from './finding.ts';
import { contentTableOf, type VirtualTable, virtualTables } from './virtualTables.ts';

interface Derived {
  what: 'index' | 'full-text' | 'rules';
  name: string;
  /** Of an index. */
  table?: string;
  first: string;
  count: number;
}

const ofIndex =
  /^(?:row -?\d+ missing from index |row -?\d+ values differ from index |rowid not at end-of-record for row -?\d+ of index |wrong # of entries in index |non-unique entry in index )([\s\S]*)$/;
const impreciseIndex = /^index ([\s\S]*) stores an imprecise floating-point value for row -?\d+$/;
const ofRules = /^(?:NULL|NUMERIC|TEXT|non-\w+) value in ([\s\S]*)$/;
const ofCheck = /^CHECK constraint failed in ([\s\S]*)$/;
const ofFullText = [
  /^malformed inverted index for FTS\d table main\.([\s\S]*)$/,
  /^fts5: (?:corruption|corrupt structure record|checksum mismatch)[^"]* table "([\s\S]*)"$/,
];

/** SQLite could not read a page, which it words like damage. The codes of damage are CORRUPT and NOTADB. */
const unreadPage = /unable to get the page\. error code=(\d+)|failed to get page \d+/;
const damageCodes = new Set([11, 26]);

const mostDamage = 100;
const mostOutOfStep = 100;

export class SortedMessages {
  readonly damage: Finding[] = [];
  /** Messages about derived data. */
  derivedCount = 0;
  readonly #db: Database.Database;
  readonly #derived = new Map<string, Derived>();
  readonly #indexes: Map<string, string>;
  readonly #tables: Set<string>;
  readonly #virtual: Map<string, VirtualTable>;

  constructor(db: Database.Database) {
    this.#db = db;
    const entries = db.prepare('SELECT type, name, tbl_name FROM sqlite_schema').raw().all();
    const named = (entries as unknown[][]).map((entry) => entry.map(String));
    this.#indexes = new Map(
      named.flatMap(([type, name = '', table = '']) => (type === 'index' ? [[name, table]] : [])),
    );
    this.#tables = new Set(named.flatMap(([type, name = '']) => (type === 'table' ? [name] : [])));
    this.#virtual = new Map(virtualTables(db).map((table) => [table.name, table]));
  }

  get isFull(): boolean {
    return this.damage.length >= mostDamage;
  }

  add(message: string): void {
    if (message === 'ok') return;
    const code = Number(unreadPage.exec(message)?.[1] ?? NaN);
    // What is on that page is not known.
    if (unreadPage.test(message) && !damageCodes.has(code & 0xff)) throw new Error(message);
    const derived = this.#derivedBy(message);
    if (derived === undefined) {
      this.damaged('integrity', message);
      return;
    }
    this.derivedCount++;
    const key = `${derived.what} ${derived.name}`;
    const known = this.#derived.get(key);
    if (known === undefined) this.#derived.set(key, { ...derived, first: message, count: 1 });
    else known.count++;
  }

  damaged(code: string, message: string): void {
    this.damage.push(finding(code, message));
  }

  #derivedBy(message: string): Omit<Derived, 'first' | 'count'> | undefined {
    const index = (ofIndex.exec(message) ?? impreciseIndex.exec(message))?.[1];
    const table = index === undefined ? undefined : this.#indexes.get(index);
    if (index !== undefined && table !== undefined) return { what: 'index', name: index, table };
    const column = ofRules.exec(message)?.[1];
    const ruled =
      column === undefined
        ? ofCheck.exec(message)?.[1]
        : [...this.#tables].find((name) => column.startsWith(`${name}.`));
    if (ruled !== undefined && this.#tables.has(ruled)) return { what: 'rules', name: ruled };
    for (const words of ofFullText) {
      const name = words.exec(message)?.[1];
      if (name !== undefined && this.#virtual.has(name)) return { what: 'full-text', name };
    }
    return undefined;
  }

  /**
   * What is out of step while all rows that it is derived from can be read. Where they cannot, it is damage; where a
   * missing feature keeps them from being read, it is among the `gaps`.
   */
  outOfStep(): { outOfStep: OutOfStep[]; findings: Finding[]; gaps: Finding[] } {
    const found: Derived[] = [];
    const gaps: Finding[] = [];
    const scanned = new Map<string, 'read' | 'not-read' | 'damaged'>();
    for (const one of this.#derived.values()) {
      const rows = this.#rowsOf(one);
      if (rows === undefined) {
        this.damaged('integrity', `${one.first}, and it cannot be built again from its rows`);
        continue;
      }
      const state = scanned.get(rows) ?? this.#scan(rows);
      scanned.set(rows, state);
      if (state === 'damaged') this.damaged('integrity', one.first);
      else if (state === 'not-read') gaps.push(finding('table-not-checkable', one.first));
      else found.push(one);
    }
    const bounded = found.slice(0, mostOutOfStep);
    return { outOfStep: bounded.map(entryOf), findings: bounded.map(findingOf), gaps };
  }

  /** The table with the rows that something is derived from. */
  #rowsOf({ what, name, table = name }: Derived): string | undefined {
    if (what !== 'full-text') return table;
    const virtual = this.#virtual.get(name);
    return virtual === undefined ? undefined : contentTableOf(this.#db, virtual);
  }

  #scan(table: string): 'read' | 'not-read' | 'damaged' {
    // The tables of a view have been looked at by themselves.
    if (!this.#tables.has(table)) return 'read';
    const findings = scanTable(this.#db, table);
    if (findings === undefined) return 'not-read';
    this.damage.push(...findings);
    return findings.length > 0 ? 'damaged' : 'read';
  }
}

/** Reads every stored value of a table without its indexes. Undefined when a missing feature keeps it from being read. */
export function scanTable(db: Database.Database, table: string): Finding[] | undefined {
  try {
    const columns = db.pragma(`table_xinfo(${quoted(table)})`) as {
      name: string;
      hidden: number;
    }[];
    // The bytes of a value have to be read to be counted as text of another kind; no value has to fit in here.
    const read = columns
      .filter(({ hidden }) => hidden === 0)
      .map(({ name }) => `total(length(CAST(${quoted(name)} AS BLOB)))`);
    db.prepare(`SELECT count(*), ${read.join(', ')} FROM ${quoted(table)} NOT INDEXED`).get();
    return [];
  } catch (error) {
    if (isNotRunnable(error)) return undefined;
    if (!isDamage(error)) throw error;
    return [finding('unreadable', `${table}: ${messageOf(error)}`)];
  }
}

/** Rows are found by their id, which has to ascend. A table WITHOUT ROWID has none. */
export function rowOrderFindings(db: Database.Database, table: string): Finding[] {
  try {
    const columns = db.pragma(`table_xinfo(${quoted(table)})`) as { name: string }[];
    const taken = new Set(columns.map(({ name }) => name.toLowerCase()));
    const id = ['rowid', '_rowid_', 'oid'].find((name) => !taken.has(name));
    if (id === undefined) return [];
    const disordered = db
      .prepare(
        `SELECT count(*) FROM (SELECT ${id} AS id, lag(${id}) OVER () AS before FROM ${quoted(table)} NOT INDEXED)
          WHERE before >= id`,
      )
      .pluck()
      .get();
    return disordered === 0 ? [] : [finding('integrity', `${table}: rows are out of order`)];
  } catch (error) {
    if (isNotRunnable(error)) return [];
    if (!isDamage(error)) throw error;
    return [finding('unreadable', `${table}: ${messageOf(error)}`)];
  }
}

const longestName = 200;

function mendOf({ what, name }: Derived): string | undefined {
  if (what === 'rules') return undefined;
  if (what === 'index') return name.length > longestName ? 'REINDEX' : `REINDEX ${quoted(name)}`;
  return `INSERT INTO ${quoted(name)}(${quoted(name)}) VALUES('rebuild')`;
}

function entryOf(one: Derived): OutOfStep {
  const { what, name, table } = one;
  const mend = mendOf(one);
  return {
    what,
    name: name.slice(0, longestName),
    ...(table !== undefined && { table: table.slice(0, longestName) }),
    ...(mend !== undefined && mend.length < 1000 && { mend }),
  };
}

function findingOf(one: Derived): Finding {
  const { what, name, table, first, count } = one;
  const messages = count > 1 ? `${first}, and ${count - 1} more` : first;
  const mend = mendOf(one);
  const shown = name.slice(0, longestName);
  switch (what) {
    case 'index':
      return finding(
        'out-of-step',
        `Rows complete, but index ${shown} of ${table?.slice(0, longestName)} is out of step with them (${messages}). ${mend} fixes it${first.startsWith('non-unique') ? ' once the duplicate rows are removed' : ''}.`,
      );
    case 'full-text':
      return finding(
        'out-of-step',
        `Rows complete, but full-text index ${shown} is out of step with them (${messages}). ${mend} fixes it.`,
      );
    case 'rules':
      return finding(
        'out-of-step',
        `Rows complete, but values in ${shown} break a rule of the table (${messages}). Correct these values, or the rule.`,
      );
  }
}
