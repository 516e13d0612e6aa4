/*
 * A bounded look into a database whose content may come from a stranger: names, counts and first rows. Long values are
 * cut and say how long they are. Only ordinary tables and stored columns are read: a view, a virtual table or a computed
 * column would run what the file says.
 */
import type Database from 'better-sqlite3';
import { BackupError } from '../errors.ts';
import { explained, isDamage, isNotRunnable, openSource, quoted } from './driver.ts';
import { readSchemaPages, type SchemaPages } from './schemaPages.ts';

export interface TableGlance {
  /** What `peekRows` takes. */
  id: number;
  /** Cut after `longestName` characters. */
  name: string;
  /** Present when the name is cut: its length. */
  nameLength?: number;
  kind: 'table' | 'view' | 'virtual';
  /** Undefined for what is no ordinary table, and where there was no time to count. */
  rows?: number;
  /** There are more than `rows`. */
  isMore?: true;
  /** SQLite met damage when it counted. */
  isDamaged?: true;
}

export interface Glance {
  tables: TableGlance[];
  /** Of tables and views in all. */
  total: number;
  indexes: number;
  triggers: number;
  journalMode: string;
  encoding: string;
  pageSize: number;
  pageCount: number;
  userVersion: number;
}

export interface Cell {
  kind: 'null' | 'number' | 'text' | 'blob';
  text: string;
  /** Present when the text is only the beginning: the size of the whole value. */
  bytes?: number;
}

export interface FirstRows {
  table: string;
  columns: string[];
  /** How many columns more there are than are shown. */
  moreColumns: number;
  /** Computed columns, which are not shown. */
  computed: number;
  rows: Cell[][];
  /** There are rows after these. */
  isMore: boolean;
}

const busyTimeoutMs = 5000;
const longestName = 200;
const mostRowsCounted = 1_000_000;
const countingMs = 1500;
const mostColumns = 100;
const longestText = 200;
const longestBlob = 16;
/** A longer value is not read at all. */
const longestReadBytes = 1_000_000;

/** Of more tables and views, only what is recorded says how many rows they have: see `readSchemaPages`. */
const mostParsed = 2000;

const isShown = "type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/** The tables from the number `from` on, in the order of their names, at most `most` of them. */
export function peek(
  path: string,
  { from, most, recorded }: { from: number; most: number; recorded: ReadonlyMap<string, number> },
): Glance {
  const pages = readSchemaPages(path);
  if (pages !== undefined && pages.entries.length > mostParsed)
    return glanceOfMany(pages, { from, most, recorded });
  return withDatabase(path, (db) => {
    const pragma = (name: string): unknown => db.pragma(name, { simple: true });
    const count = (where: string): number =>
      Number(db.prepare(`SELECT count(*) FROM sqlite_schema WHERE ${where}`).pluck().get());
    const found = db
      .prepare(
        `SELECT rowid AS id, type, substr(name, 1, ${longestName}) AS name, length(name) AS length, rootpage
         FROM sqlite_schema WHERE ${isShown} ORDER BY sqlite_schema.name, rowid LIMIT ? OFFSET ?`,
      )
      .all(most, from) as Record<string, unknown>[];
    const endsAt = performance.now() + countingMs;
    return {
      tables: found.map((row) => glance(db, row, recorded, endsAt)),
      total: count(isShown),
      indexes: count("type = 'index'"),
      triggers: count("type = 'trigger'"),
      journalMode: String(pragma('journal_mode')),
      encoding: String(pragma('encoding')),
      pageSize: Number(pragma('page_size')),
      pageCount: Number(pragma('page_count')),
      userVersion: Number(pragma('user_version')),
    };
  });
}

/** The same for a schema that takes SQLite long to parse. */
function glanceOfMany(
  { entries, pageSize, pageCount, userVersion }: SchemaPages,
  { from, most, recorded }: { from: number; most: number; recorded: ReadonlyMap<string, number> },
): Glance {
  const count = (type: string): number => entries.filter((one) => one.type === type).length;
  const shown = entries.filter(
    ({ type, name }) => (type === 'table' || type === 'view') && !/^sqlite_/i.test(name),
  );
  shown.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id));
  return {
    tables: shown.slice(from, from + most).map(({ id, type, name, rootPage }) => {
      const rows = recorded.get(name);
      return {
        id,
        name: name.slice(0, longestName),
        ...(name.length > longestName && { nameLength: name.length }),
        kind: type === 'view' ? 'view' : rootPage > 0 ? 'table' : 'virtual',
        ...(rows !== undefined && { rows }),
      };
    }),
    total: shown.length,
    indexes: count('index'),
    triggers: count('trigger'),
    ...{ journalMode: 'delete', encoding: 'UTF-8', pageSize, pageCount, userVersion },
  };
}

function glance(
  db: Database.Database,
  row: Record<string, unknown>,
  recorded: ReadonlyMap<string, number>,
  endsAt: number,
): TableGlance {
  const [name, length, id] = [String(row['name']), Number(row['length']), Number(row['id'])];
  const kind =
    row['type'] === 'view' ? 'view' : Number(row['rootpage']) > 0 ? 'table' : ('virtual' as const);
  const known = recorded.get(name);
  return {
    id,
    name,
    ...(length > longestName && { nameLength: length }),
    kind,
    ...(kind !== 'table'
      ? {}
      : known !== undefined
        ? { rows: known }
        : performance.now() < endsAt
          ? countUpToMost(db, id)
          : {}),
  };
}

function countUpToMost(
  db: Database.Database,
  id: number,
): Pick<TableGlance, 'rows' | 'isMore' | 'isDamaged'> {
  const table = quoted(fullName(db, id));
  // The second form avoids indexes, which may use a collation that is missing here.
  for (const hint of ['', 'NOT INDEXED']) {
    try {
      const rows = Number(
        db
          .prepare(
            `SELECT count(*) FROM (SELECT 1 FROM ${table} ${hint} LIMIT ${mostRowsCounted + 1})`,
          )
          .pluck()
          .get(),
      );
      return rows > mostRowsCounted ? { rows: mostRowsCounted, isMore: true } : { rows };
    } catch (error) {
      if (isDamage(error)) return { isDamaged: true };
      if (!isNotRunnable(error)) throw error;
    }
  }
  return {};
}

/** Rows of the table with this id, or of this name, from the number `from` on, as they lie in the file. */
export function peekRows(
  path: string,
  { table, from, most }: { table: number | string; from: number; most: number },
): FirstRows {
  return withDatabase(path, (db) => {
    const name = typeof table === 'number' ? fullName(db, table) : ordinaryName(db, path, table);
    const all = db.prepare('SELECT name, hidden FROM pragma_table_xinfo(?)').all(name) as {
      name: string;
      hidden: number;
    }[];
    const stored = all.filter(({ hidden }) => hidden === 0 || hidden === 3);
    const shown = stored.slice(0, mostColumns).map((column) => column.name);
    const found =
      shown.length === 0
        ? []
        : (db
            .prepare(
              `SELECT ${shown.map(cellSql).join(', ')} FROM ${quoted(name)} NOT INDEXED LIMIT ? OFFSET ?`,
            )
            .safeIntegers()
            .raw()
            .all(most + 1, from) as unknown[][]);
    return {
      table: cut(name),
      columns: shown.map(cut),
      moreColumns: stored.length - shown.length,
      computed: all.filter(({ hidden }) => hidden === 2).length,
      rows: found.slice(0, most).map((row) => shown.map((_, index) => cellOf(row, index * 3))),
      isMore: found.length > most,
    };
  });
}

/** Type, size and beginning of a value: three columns of the result. */
function cellSql(name: string): string {
  const column = quoted(name);
  const isShort = `octet_length(${column}) <= ${longestReadBytes}`;
  return `typeof(${column}), octet_length(${column}), CASE typeof(${column})
    WHEN 'text' THEN iif(${isShort}, substr(${column}, 1, ${longestText + 1}), '')
    WHEN 'blob' THEN iif(${isShort}, hex(substr(${column}, 1, ${longestBlob})), '')
    ELSE ${column} END`;
}

function cellOf(row: unknown[], at: number): Cell {
  const [type, bytes, value] = row.slice(at, at + 3);
  const size = Number(bytes);
  switch (type) {
    case 'null':
      return { kind: 'null', text: 'NULL' };
    case 'text': {
      const text = String(value);
      return text.length > longestText || size > longestReadBytes
        ? { kind: 'text', text: cut(text), bytes: size }
        : { kind: 'text', text };
    }
    case 'blob':
      return {
        kind: 'blob',
        text: String(value),
        ...((size > longestBlob || size > longestReadBytes) && { bytes: size }),
      };
    default:
      return { kind: 'number', text: String(value) };
  }
}

/** The statements of the schema in the order of their names, up to so many characters, and whether that is all. */
export function peekSchema(path: string, most: number): { text: string; isAll: boolean } {
  return withDatabase(path, (db) => {
    const statements = db
      .prepare(
        `SELECT substr(sql, 1, ${most}), length(sql) FROM sqlite_schema
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC, name`,
      )
      .raw()
      .iterate() as IterableIterator<[string, number]>;
    const parts: string[] = [];
    let left = most;
    for (const [sql, length] of statements) {
      if (sql.length > left || length > sql.length) {
        parts.push(sql.slice(0, left));
        return { text: parts.join('\n\n'), isAll: false };
      }
      parts.push(`${sql};`);
      left -= sql.length;
    }
    return { text: parts.join('\n\n'), isAll: true };
  });
}

function fullName(db: Database.Database, id: number): string {
  const name: unknown = db
    .prepare("SELECT name FROM sqlite_schema WHERE rowid = ? AND type = 'table' AND rootpage > 0")
    .pluck()
    .get(id);
  if (typeof name === 'string') return name;
  throw new BackupError('bad-name', `There is no ordinary table with the number ${id}.`);
}

function ordinaryName(db: Database.Database, path: string, name: string): string {
  const found: unknown = db
    .prepare(
      `SELECT name FROM sqlite_schema
       WHERE type = 'table' AND rootpage > 0 AND name = ? COLLATE NOCASE`,
    )
    .pluck()
    .get(name);
  if (typeof found === 'string') return found;
  throw new BackupError('bad-name', `${path} has no ordinary table ${JSON.stringify(name)}.`, {
    hint: 'Leave the table out to see which there are.',
  });
}

function cut(text: string): string {
  // Half of a character would be another one.
  return text.length > longestText
    ? text.slice(0, longestText).replace(/[\ud800-\udbff]$/, '')
    : text;
}

function withDatabase<T>(path: string, use: (db: Database.Database) => T): T {
  return explained(path, () => {
    const db = openSource(path, busyTimeoutMs);
    try {
      return use(db);
    } finally {
      db.close();
    }
  });
}
