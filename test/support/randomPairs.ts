/** Random pairs of databases with different schemas. */
import Database from 'better-sqlite3';

type Random = () => number;

/** The same numbers for the same seed, from 0 to below 1. */
function randomFrom(seed: number): Random {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface ColumnPlan {
  name: string;
  type: string;
  collation: string;
}

export interface TablePlan {
  name: string;
  columns: ColumnPlan[];
  /** Names of columns. */
  key: string[];
  /** As a constraint of the column itself, in descending order: the one case in which INTEGER is no row id. */
  isDescending: boolean;
  withoutRowid: boolean;
  isStrict: boolean;
  generated: 'none' | 'VIRTUAL' | 'STORED';
  hasIndex: boolean;
}

const types = ['', 'INTEGER', 'INT', 'integer', 'TEXT', 'VARCHAR(9)', 'REAL', 'BLOB', 'NUMERIC'];
const strictTypes = ['INTEGER', 'INT', 'TEXT', 'REAL', 'BLOB', 'ANY'];
const collations = ['', '', '', 'NOCASE', 'RTRIM'];
const columnNames = ['id', 'a', 'b', 'Name', 'rowid'];
const values = [
  ...['NULL', '0', '1', '1', '2', '3', '-1', '1.0', '2.0', '1.5', "'1'", "'01'", "'1.0'", "'a'"],
  ...["'A'", "'a '", "'é'", "'É'", "'😀'", "''", "x'61'", "x''", "'b'", '9007199254740993'],
  ...['9007199254740992.0', "('x' || char(0) || 'y')", "('x' || char(0) || 'Y')"],
];

function pick<T>(random: Random, from: readonly T[]): T {
  const one = from[Math.floor(random() * from.length)];
  if (one === undefined) throw new Error('Nothing to pick from');
  return one;
}

const chance = (random: Random, share: number): boolean => random() < share;

function planTable(random: Random, name: string): TablePlan {
  const isStrict = chance(random, 0.1);
  const names = columnNames.filter((one) => chance(random, one === 'rowid' ? 0.1 : 0.7));
  const columns = (names.length > 0 ? names : ['a']).map((one) => ({
    name: one,
    type: pick(random, isStrict ? strictTypes : types),
    collation: pick(random, collations),
  }));
  return keyed(random, {
    ...{ name, columns, isStrict, key: [], isDescending: false, withoutRowid: false },
    generated: pick(random, ['none', 'none', 'none', 'none', 'VIRTUAL', 'STORED'] as const),
    hasIndex: chance(random, 0.3),
  });
}

/** The same table with another key. */
function keyed(random: Random, table: TablePlan): TablePlan {
  const shuffled = table.columns
    .map(({ name }) => ({ name, at: random() }))
    .sort((a, b) => a.at - b.at);
  const key = shuffled.slice(0, pick(random, [0, 1, 1, 1, 2, 3])).map(({ name }) => name);
  return {
    ...table,
    key,
    isDescending: key.length === 1 && chance(random, 0.2),
    withoutRowid: key.length > 0 && chance(random, 0.35),
  };
}

/** What became of a table on the other side. */
function changedPlan(random: Random, table: TablePlan): TablePlan {
  let plan: TablePlan = { ...table, columns: table.columns.map((column) => ({ ...column })) };
  const otherCase = (name: string): string => pick(random, [name.toUpperCase(), name]);
  if (chance(random, 0.3)) {
    plan.name = otherCase(plan.name);
    const renamed = new Map(plan.columns.map(({ name }) => [name, otherCase(name)]));
    const nameOf = (name: string): string => renamed.get(name) ?? name;
    plan.columns = plan.columns.map((column) => ({ ...column, name: nameOf(column.name) }));
    plan.key = plan.key.map(nameOf);
  }
  for (const column of plan.columns) {
    if (chance(random, 0.2)) column.type = pick(random, plan.isStrict ? strictTypes : types);
    if (chance(random, 0.15)) column.collation = pick(random, collations);
  }
  if (chance(random, 0.15)) plan.columns.reverse();
  if (chance(random, 0.15)) plan.key = [...plan.key].reverse();
  if (chance(random, 0.15)) plan.withoutRowid = plan.key.length > 0 && !plan.withoutRowid;
  if (chance(random, 0.15)) plan = keyed(random, plan);
  if (chance(random, 0.15)) {
    plan.columns.push({ name: 'added', type: pick(random, strictTypes), collation: '' });
  }
  const dropped = plan.columns[0];
  if (dropped && plan.columns.length > 1 && chance(random, 0.1) && !plan.key.includes(dropped.name))
    plan.columns.shift();
  return plan;
}

export function sqlOf(plan: TablePlan): string {
  const isColumnKey = plan.isDescending;
  const columns = plan.columns.map(({ name, type, collation }) =>
    [
      ...[`"${name}"`, type, collation && `COLLATE ${collation}`],
      isColumnKey && plan.key[0] === name ? 'PRIMARY KEY DESC' : '',
    ].join(' '),
  );
  const first = plan.columns[0]?.name ?? '';
  const generated = plan.generated === 'none' ? [] : [`made ANY AS ("${first}") ${plan.generated}`];
  const key =
    plan.key.length > 0 && !isColumnKey
      ? [`PRIMARY KEY (${plan.key.map((name) => `"${name}"`).join(', ')})`]
      : [];
  const options = [plan.withoutRowid && 'WITHOUT ROWID', plan.isStrict && 'STRICT'].filter(Boolean);
  const index = plan.hasIndex ? `CREATE INDEX "${plan.name}_i" ON "${plan.name}" ("${first}")` : '';
  return `CREATE TABLE "${plan.name}" (${[...columns, ...generated, ...key].join(', ')}) ${options.join(', ')}; ${index}`;
}

type Literals = Map<string, string>;

interface PlannedRow {
  rowid: number;
  values: Literals;
}

function planRows(random: Random, { columns }: TablePlan): PlannedRow[] {
  return Array.from({ length: Math.floor(random() * 14) }, (_, index) => ({
    rowid: index + 1,
    values: new Map(columns.map(({ name }) => [name.toLowerCase(), pick(random, values)])),
  }));
}

function changedRows(random: Random, rows: PlannedRow[], plan: TablePlan): PlannedRow[] {
  const kept = rows.filter(() => chance(random, 0.85));
  const changed = kept.map(({ rowid, values: before }) => ({
    rowid: chance(random, 0.1) ? rowid + 1 : rowid,
    values: new Map(
      plan.columns.map(({ name }) => {
        const folded = name.toLowerCase();
        const value = before.get(folded);
        return [folded, value === undefined || chance(random, 0.08) ? pick(random, values) : value];
      }),
    ),
  }));
  return chance(random, 0.5) ? [...changed, ...planRows(random, plan).slice(0, 3)] : changed;
}

export interface PlannedPair {
  left: { encoding: string; tables: [TablePlan, PlannedRow[]][] };
  right: { encoding: string; tables: [TablePlan, PlannedRow[]][] };
}

export function planPair(seed: number): PlannedPair {
  const random = randomFrom(seed);
  const encodings = ['UTF-8', 'UTF-8', 'UTF-8', 'UTF-16le', 'UTF-16be'];
  const ofLeft = pick(random, encodings);
  const ofRight = chance(random, 0.7) ? ofLeft : pick(random, encodings);
  const pair: PlannedPair = {
    left: { encoding: ofLeft, tables: [] },
    right: { encoding: ofRight, tables: [] },
  };
  for (const name of ['one', 'two', 'three']) {
    const plan = planTable(random, name);
    const rows = planRows(random, plan);
    const other = chance(random, 0.25) ? plan : changedPlan(random, plan);
    if (chance(random, 0.95)) pair.left.tables.push([plan, rows]);
    if (chance(random, 0.95)) pair.right.tables.push([other, changedRows(random, rows, other)]);
  }
  return pair;
}

export function makeSide(path: string, { encoding, tables }: PlannedPair['left']): void {
  const db = new Database(path);
  try {
    db.pragma(`encoding = '${encoding}'`);
    db.pragma('journal_mode = off');
    db.pragma('synchronous = off');
    // A database without a table would be an empty file.
    db.pragma('user_version = 1');
    db.exec('BEGIN');
    for (const [plan, rows] of tables) {
      db.exec(sqlOf(plan));
      for (const row of rows) insert(db, plan, row);
    }
    db.exec('COMMIT');
  } finally {
    db.close();
  }
}

function insert(db: Database.Database, plan: TablePlan, row: PlannedRow): void {
  const rowid = hasRowid(plan) && !isRowidKey(plan) ? [[rowidOf(plan), String(row.rowid)]] : [];
  const columns = plan.columns.map(({ name }) => [
    name,
    row.values.get(name.toLowerCase()) ?? 'NULL',
  ]);
  const all = [...rowid, ...columns];
  const sql = `INSERT INTO "${plan.name}" (${all.map(([name]) => `"${name}"`).join(', ')})
    VALUES (${all.map(([, value]) => value).join(', ')})`;
  try {
    db.exec(sql);
  } catch (error) {
    // A key that is there already, or a value of a wrong type: the row is left out.
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (!/^SQLITE_(CONSTRAINT|MISMATCH)/.test(String(code))) throw error;
  }
}

export const hasRowid = (plan: TablePlan): boolean => !plan.withoutRowid;

export function isRowidKey({ key, columns, isDescending, withoutRowid }: TablePlan): boolean {
  const [only, ...more] = key;
  const type = columns.find(({ name }) => name === only)?.type.toUpperCase();
  return more.length === 0 && type === 'INTEGER' && !isDescending && !withoutRowid;
}

export function rowidOf(plan: TablePlan): string {
  if (isRowidKey(plan)) return plan.key[0] ?? '';
  return plan.columns.some(({ name }) => name.toLowerCase() === 'rowid') ? 'oid' : 'rowid';
}
