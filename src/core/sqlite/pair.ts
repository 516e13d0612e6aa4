/** Two databases whose rows can be asked for in one statement. */
import type Database from 'better-sqlite3';
import { explained, openSource } from './driver.ts';

type Row = Record<string, unknown>;

/** One of the two databases, held at one instant. */
export interface Side {
  /** The path that the person knows. */
  path: string;
  /** Name of its schema in `rows`. */
  schema: string;
  rows: (sql: string, ...parameters: unknown[]) => Row[];
}

/** How a table is read. Names are quoted. */
export interface Source {
  table: string;
  columns: string[];
  /** A name of the row id, which may be one of the columns; undefined when none can be used. */
  rowid: string | undefined;
  /** `NOT INDEXED`, or the index that is the table. */
  hint: string;
}

export interface Pair {
  left: Side;
  right: Side;
  /** Runs SQL over tables of both sides, under the names that `withTables` gives. */
  rows: (sql: string) => Row[];
  /** Defines a function of SQL that is called anew for each row. What it throws ends the statement. */
  define: (name: string, action: (...values: unknown[]) => unknown) => void;
  /**
   * Calls `use` with what to write after FROM for each of two tables. A table in another encoding is copied first, which
   * calls `onRow` for each row; the columns of a copy have no type.
   */
  withTables: <T>(
    left: Source,
    right: Source,
    onRow: () => void,
    use: (left: From, right: From) => T,
  ) => T;
  /** False once SQLite has let go of the instant, as it does when it runs out of memory or disk. */
  isHeld: () => boolean;
  close: () => void;
}

export interface From {
  name: string;
  hint: string;
}

/** Larger than for a copy: what differs is sorted in memory of this size. */
const cachePragma = 'cache_size = -64000';

export interface Place {
  path: string;
  /** The path that the person knows. */
  shownAs: string;
}

/** Opens two databases read-only. Errors speak of `shownAs`. */
export function openPair(left: Place, right: Place, busyTimeoutMs: number): Pair {
  const db = openSide(left, busyTimeoutMs);
  try {
    if (!attach(db, right, busyTimeoutMs)) return openApart(db, left, right, busyTimeoutMs);
    db.exec('BEGIN');
    hold(db, 'main', left);
    hold(db, 'other', right);
    return {
      ...pairOn(db, [db]),
      left: sideOf(db, 'main', left),
      right: sideOf(db, 'other', right),
      withTables: (ofLeft, ofRight, _onRow, use) =>
        use(fromOf('main', ofLeft), fromOf('other', ofRight)),
    };
  } catch (error) {
    db.close();
    throw error;
  }
}

function openSide(place: Place, busyTimeoutMs: number): Database.Database {
  const db = explained(place.shownAs, () => openSource(place.path, busyTimeoutMs));
  try {
    db.pragma(cachePragma);
    // Before another database is attached: then an error can only be about this one.
    hold(db, 'main', place);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Within a transaction, holds the instant; raises the real BUSY, NOTADB or CORRUPT. */
function hold(db: Database.Database, schema: string, { shownAs }: Place): void {
  explained(shownAs, () => db.prepare(`SELECT count(*) FROM ${schema}.sqlite_schema`).get());
}

/** False when the other database has another encoding, which SQLite refuses. */
function attach(db: Database.Database, place: Place, busyTimeoutMs: number): boolean {
  try {
    explained(place.shownAs, () => db.prepare('ATTACH ? AS other').run(place.path));
    return true;
  } catch (error) {
    const other = openSide(place, busyTimeoutMs);
    try {
      const isSame = explained(place.shownAs, () => encodingOf(other) === encodingOf(db));
      if (isSame) throw error;
      return false;
    } finally {
      other.close();
    }
  }
}

function encodingOf(db: Database.Database): unknown {
  return db.pragma('encoding', { simple: true });
}

/** Two connections. The tables of one side are copied into the other's temporary database, one at a time. */
function openApart(
  ofLeft: Database.Database,
  left: Place,
  right: Place,
  busyTimeoutMs: number,
): Pair {
  const ofRight = openSide(right, busyTimeoutMs);
  try {
    for (const [db, place] of [
      [ofLeft, left],
      [ofRight, right],
    ] as const) {
      db.exec('BEGIN');
      hold(db, 'main', place);
    }
    return pairApart(ofLeft, left, ofRight, right);
  } catch (error) {
    ofRight.close();
    throw error;
  }
}

function pairApart(
  ofLeft: Database.Database,
  left: Place,
  ofRight: Database.Database,
  right: Place,
): Pair {
  const rightEncoding = explained(right.shownAs, () => encodingOf(ofRight));
  // What is copied becomes valid text, so that is not done to UTF-8, where invalid text is met most.
  const isCopied = {
    left: rightEncoding === 'UTF-8',
    right: rightEncoding !== 'UTF-8',
  };
  const base = isCopied.left ? ofRight : ofLeft;
  return {
    ...pairOn(base, [ofLeft, ofRight]),
    left: sideOf(ofLeft, 'main', left),
    right: sideOf(ofRight, 'main', right),
    withTables: (one, other, onRow, use) => {
      const [copied, from] = isCopied.left ? [one, ofLeft] : [other, ofRight];
      try {
        copyRows(from, copied, base, onRow);
        const copy = { name: copyName, hint: '' };
        return isCopied.left ? use(copy, fromOf('main', other)) : use(fromOf('main', one), copy);
      } finally {
        if (base.inTransaction) base.exec(`DROP TABLE IF EXISTS ${copyName}`);
      }
    },
  };
}

const copyName = 'temp.copied';

function copyRows(
  from: Database.Database,
  { table, columns, rowid, hint }: Source,
  to: Database.Database,
  onRow: () => void,
): void {
  const isColumn = rowid !== undefined && columns.includes(rowid);
  const isImplicit = rowid !== undefined && /^"(rowid|_rowid_|oid)"$/.test(rowid);
  const key = rowid === undefined || isImplicit ? [] : [`${rowid} INTEGER PRIMARY KEY`];
  const others = columns.filter((one) => one !== rowid);
  to.exec(`CREATE TEMP TABLE copied (${[...key, ...others].join(', ') || 'none'})`);
  const all = isColumn || rowid === undefined ? columns : [rowid, ...columns];
  const insert = to.prepare(
    `INSERT INTO ${copyName} (${all.join(', ')}) VALUES (${all.map(() => '?').join(', ')})`,
  );
  const rows = from
    .prepare(`SELECT ${all.join(', ')} FROM main.${table} ${hint}`)
    .raw()
    .safeIntegers();
  for (const row of rows.iterate()) {
    onRow();
    insert.run(row);
  }
}

function fromOf(schema: string, { table, hint }: Source): From {
  return { name: `${schema}.${table}`, hint };
}

function sideOf(db: Database.Database, schema: string, { shownAs }: Place): Side {
  return {
    path: shownAs,
    schema,
    rows: (sql, ...parameters) => db.prepare(sql).all(...parameters) as Row[],
  };
}

function pairOn(
  base: Database.Database,
  all: Database.Database[],
): Pick<Pair, 'rows' | 'define' | 'isHeld' | 'close'> {
  return {
    rows: (sql) => base.prepare(sql).all() as Row[],
    define: (name, action) => {
      const options = { varargs: true, safeIntegers: true, directOnly: true };
      for (const db of all) db.function(name, options, action);
    },
    isHeld: () => all.every((db) => db.inTransaction),
    close: () => {
      for (const db of all) db.close();
    },
  };
}
