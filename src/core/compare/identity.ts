/*
 * By what the rows of a table are known on both sides. SQLite is asked for the keys: `INTEGER PRIMARY KEY` is the row id,
 * `INT PRIMARY KEY` and `INTEGER PRIMARY KEY DESC` are not.
 */
import { quoted } from '../sqlite/driver.ts';
import type { Side } from '../sqlite/pair.ts';

/** A table as one side has it. */
export interface Table {
  side: Side;
  name: string;
  columns: Column[];
  /** Names of the columns of the primary key in their order, folded. */
  key: string[];
  /** Of the key's columns, folded. */
  collations: Map<string, string>;
  /** The primary key is the row id. */
  isRowidKey: boolean;
  /** Quoted; undefined for a table WITHOUT ROWID, and where columns have taken all its names. */
  rowid: string | undefined;
  /** How to read the table itself: an index may be out of step, or need what only the application has. */
  hint: string;
}

interface Column {
  name: string;
  folded: string;
  type: string;
  /** False for a generated column: its values follow from the others. */
  isStored: boolean;
}

/** SQLite's names have no case, but only in ASCII. */
export function foldName(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

export function readTable(side: Side, name: string): Table {
  const { rows, schema } = side;
  const found = rows(
    'SELECT name, type, pk, hidden FROM pragma_table_xinfo(?, ?)',
    name,
    schema,
  ).map((row) => ({
    name: String(row['name']),
    folded: foldName(String(row['name'])),
    type: String(row['type']),
    isStored: row['hidden'] === 0,
    pk: Number(row['pk']),
  }));
  const keyColumns = found.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
  const [index] = rows(
    "SELECT name FROM pragma_index_list(?, ?) WHERE origin = 'pk'",
    name,
    schema,
  ).map((row) => String(row['name']));
  const parts =
    index === undefined
      ? []
      : rows('SELECT cid, name, coll, key FROM pragma_index_xinfo(?, ?)', index, schema);
  const isRowidKey = index === undefined && keyColumns.length === 1;
  const hasRowid = index === undefined || parts.some(({ cid }) => cid === -1);
  // With a hint SQLite does not say that a collation is missing.
  if (!hasRowid) rows(`SELECT count(*) FROM ${schema}.${quoted(name)} LIMIT 0`);
  const free = ['rowid', '_rowid_', 'oid'].find((one) =>
    found.every(({ folded }) => folded !== one),
  );
  const rowid = isRowidKey ? keyColumns[0]?.name : hasRowid ? free : undefined;
  return {
    side,
    name,
    columns: found.map(({ pk: _pk, ...column }) => column),
    key: keyColumns.map(({ folded }) => folded),
    collations: collationsOf(parts, keyColumns.length),
    isRowidKey,
    rowid: rowid === undefined ? undefined : quoted(rowid),
    hint: hasRowid ? 'NOT INDEXED' : `INDEXED BY ${quoted(index)}`,
  };
}

function collationsOf(parts: Record<string, unknown>[], keyLength: number): Map<string, string> {
  const key = parts.filter((part) => part['key'] === 1);
  // A column that is in its key twice, with two collations, is told apart by both.
  if (key.length !== keyLength) return new Map();
  return new Map(key.map(({ name, coll }) => [foldName(String(name)), String(coll).toUpperCase()]));
}

/** A column that both sides store. */
export interface SharedColumn {
  /** Quoted, as each side calls it. */
  left: string;
  right: string;
  /**
   * For a part of the key whose type differs. Text on one side only: 1 and '1' are the same key, unchanged. Otherwise 1
   * and 1.0 are.
   */
  keyAs?: 'text' | 'number';
}

export interface KeyColumn extends SharedColumn {
  collation: string;
}

/** How the rows of two tables are told apart. */
export interface Identity {
  columns: SharedColumn[];
  /** Empty when the sides do not have the same primary key: then rows are known by their content. */
  key: KeyColumn[];
  /** Both sides keep a row with this key in one place, so that each row has at most one partner, quickly found. */
  isPlace: boolean;
}

const builtIn = ['BINARY', 'NOCASE', 'RTRIM'];

export function identityOf(left: Table, right: Table): Identity {
  const ofRight = new Map(right.columns.map((column) => [column.folded, column]));
  const shared = left.columns.flatMap((column) => {
    const other = ofRight.get(column.folded);
    return column.isStored && other?.isStored ? [{ column, other }] : [];
  });
  const hasKey =
    left.key.length > 0 &&
    left.key.length === right.key.length &&
    left.key.every((name) => right.key.includes(name));
  const columns = shared.map(({ column, other }) => {
    // Of one type SQLite compares as it stores; ANY means two things.
    const isAlike =
      column.type.toUpperCase() === other.type.toUpperCase() && !/^any$/i.test(column.type);
    const isRetyped = hasKey && left.key.includes(column.folded) && !isAlike;
    const isText = isTextType(column.type) !== isTextType(other.type);
    return {
      ...{ folded: column.folded, left: quoted(column.name), right: quoted(other.name), isAlike },
      ...(isRetyped && { keyAs: isText ? ('text' as const) : ('number' as const) }),
    };
  });
  const key = columns
    .filter(({ folded }) => hasKey && left.key.includes(folded))
    .map((column) => ({ ...column, ...collationOf(left, right, column.folded) }));
  const isPlace =
    (left.isRowidKey && right.isRowidKey) ||
    (left.rowid === undefined &&
      right.rowid === undefined &&
      key.every(({ isAlike, isShared }) => isAlike && isShared));
  return { columns, key, isPlace: hasKey && isPlace };
}

/** Where the sides differ, or only the application knows the order, the bytes decide. */
function collationOf(
  left: Table,
  right: Table,
  column: string,
): { collation: string; isShared: boolean } {
  const [one, other] = [left, right].map(({ collations }) => collations.get(column));
  const isShared = one !== undefined && one === other && builtIn.includes(one);
  return { collation: isShared ? one : 'BINARY', isShared };
}

/** https://sqlite.org/datatype3.html#determination_of_column_affinity */
function isTextType(type: string): boolean {
  return !/int/i.test(type) && /char|clob|text/i.test(type);
}

/** The columns of which one side has no stored values, with the reason. */
export function unsharedColumns(
  left: Table,
  right: Table,
  sideNames: readonly [string, string],
): { name: string; reason: string }[] {
  const reasons = (one: Table, other: Table, names: readonly [string, string]) =>
    one.columns
      .filter(({ isStored }) => isStored)
      .flatMap(({ name, folded }) => {
        const partner = other.columns.find((column) => column.folded === folded);
        if (partner?.isStored) return [];
        const reason =
          partner === undefined
            ? `a column that only ${names[0]} has`
            : `a generated column in ${names[1]}`;
        return [{ name: `${one.name}.${name}`, reason }];
      });
  return [
    ...reasons(left, right, sideNames),
    ...reasons(right, left, [sideNames[1], sideNames[0]]),
  ];
}
