/*
 * What differs between two databases: schema by statement, data by row. Only numbers and names leave; values never do.
 * Only ordinary tables are read: a view or a virtual table would run what the file says.
 */
import { readSchemaText } from '../sqlite/contents.ts';
import { explained, isDamage, quoted } from '../sqlite/driver.ts';
import { openPair, type Pair, type Side } from '../sqlite/pair.ts';
import { withReadable } from '../sqlite/readable.ts';
import { lookTwice } from '../sqlite/secondLook.ts';
import { damagedSides, reasonOf, TooLate } from './failures.ts';
import { foldName, identityOf, readTable, type Table, unsharedColumns } from './identity.ts';
import { compareRows, countRows, defineFunctions } from './rows.ts';

export interface TableDifference {
  /** As the left side spells it, if it has the table. */
  name: string;
  /** Rows that have no partner on the other side: by their key, or by their content where they have no key. */
  onlyLeft: number;
  onlyRight: number;
  /** Rows with the same key and another value in a column that both sides have. */
  changed: number;
  /** False when the numbers could not be found out; `notCompared` says why. */
  compared: boolean;
  /** The side that has the table, when the other one does not, not even an empty one. */
  only?: 'left' | 'right';
}

export interface Comparison {
  schema: {
    same: boolean;
    /** Statements only on the left with `- `, only on the right with `+ `, in the order of their names. */
    diff: string;
  };
  tables: TableDifference[];
  notCompared: { name: string; reason: string }[];
  /** The sides in which damage was met. Their other tables are compared all the same. */
  damaged: ('left' | 'right')[];
}

const busyTimeoutMs = 5000;
/** Ample for gigabytes, and an end for a file made to keep the reading busy. */
const defaultDeadlineMs = 15 * 60 * 1000;

/** What the two sides are called where the reasons speak of them. */
export type SideNames = readonly [left: string, right: string];

export interface CompareOptions {
  sides?: SideNames;
  /** When the tables are read for this time, those that are left are not compared. */
  deadlineMs?: number | undefined;
}

/**
 * Compares two databases, each at one instant. `onProgress` gets tables done and in all, with fractions for the table at
 * work. Throws a BackupError when one of them cannot be read at all.
 */
export function compareDatabases(
  left: string,
  right: string,
  onProgress: (done: number, total: number) => void,
  { sides = ['the left', 'the right'], deadlineMs = defaultDeadlineMs }: CompareOptions = {},
): Comparison {
  return withReadable([left, right], ([leftPath = left, rightPath = right]) => {
    const places = [
      { path: leftPath, shownAs: left },
      { path: rightPath, shownAs: right },
    ] as const;
    const endsAt = performance.now() + deadlineMs;
    const work: Work = { names: sides, endsAt, onProgress, isDamageSeen: false };
    const compare = (): Comparison => {
      const pair = openPair(...places, busyTimeoutMs);
      try {
        return comparePair(pair, work);
      } finally {
        pair.close();
      }
    };
    return lookTwice(places, compare, () => work.isDamageSeen);
  });
}

/** The schema of one database as sorted text, for a diff editor. */
export function schemaOf(database: string): string {
  return withReadable([database], ([path = database]) =>
    lookTwice(
      [{ path, shownAs: database }],
      () => explained(database, () => readSchemaText(path, busyTimeoutMs)),
      () => false,
    ),
  );
}

interface SchemaEntry {
  type: string;
  name: string;
  sql: string;
  rootpage: number;
}

interface Work {
  names: SideNames;
  /** By the clock of `performance`. */
  endsAt: number;
  onProgress: (done: number, total: number) => void;
  isDamageSeen: boolean;
}

function comparePair(pair: Pair, work: Work): Comparison {
  const left = schemaEntries(pair.left);
  const right = schemaEntries(pair.right);
  const found: Comparison = {
    schema: compareSchema(left, right),
    tables: [],
    notCompared: [],
    damaged: [],
  };
  const tables = byName(left, right, 'table');
  const progress = watchRows(pair, tables.length, work);
  for (const { name, ...entries } of tables) {
    const virtual = sidesWhere(entries, ({ rootpage }) => rootpage === 0);
    if (virtual.length === 0) compareTable(pair, name, entries, found, work, progress);
    else
      found.notCompared.push({
        name,
        reason: kindReason('a virtual table', virtual, entries, work),
      });
    progress.nextTable();
  }
  for (const { name, ...entries } of byName(left, right, 'view')) {
    const reason = kindReason(
      'a view',
      sidesWhere(entries, () => true),
      entries,
      work,
    );
    found.notCompared.push({ name, reason });
  }
  return found;
}

type Entries = Partial<Record<'left' | 'right', SchemaEntry>>;

/** The tables, or views, of both sides, in the order of their names. */
function byName(
  left: SchemaEntry[],
  right: SchemaEntry[],
  type: string,
): (Entries & { name: string })[] {
  const found = new Map<string, Entries & { name: string }>();
  for (const [side, entries] of [
    ['left', left],
    ['right', right],
  ] as const) {
    for (const entry of entries.filter((one) => one.type === type)) {
      const folded = foldName(entry.name);
      found.set(folded, { name: entry.name, ...found.get(folded), [side]: entry });
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

function sidesWhere(
  entries: Entries,
  holds: (entry: SchemaEntry) => boolean,
): ('left' | 'right')[] {
  return (['left', 'right'] as const).filter((side) => {
    const entry = entries[side];
    return entry !== undefined && holds(entry);
  });
}

function kindReason(
  kind: string,
  sides: ('left' | 'right')[],
  entries: Entries,
  { names }: Work,
): string {
  const [side, other] = sides;
  if (side === undefined || other !== undefined) return kind;
  const name = names[side === 'left' ? 0 : 1];
  const isAlone = entries.left === undefined || entries.right === undefined;
  return isAlone ? `${kind} that only ${name} has` : `${kind} in ${name}`;
}

interface TableProgress {
  onRow: () => void;
  /** How many rows are about to be read, as far as that is known. */
  expect: (rows: number) => void;
  nextTable: () => void;
}

const rowsPerLook = 1000;

/** Counts the rows that are read, tells how far the work is, and ends it when its time is over. */
function watchRows(pair: Pair, tables: number, { endsAt, onProgress }: Work): TableProgress {
  let [table, done, expected] = [0, 0, 0];
  const look = (): void => {
    if (performance.now() > endsAt) throw new TooLate();
    onProgress(table + (expected > 0 ? Math.min(done / expected, 1) : 0), tables);
  };
  const onRow = (): void => {
    done++;
    if (done % rowsPerLook === 0) look();
  };
  defineFunctions(pair, onRow);
  return {
    onRow,
    expect: (rows) => {
      expected = rows;
      look();
    },
    nextTable: () => {
      table++;
      [done, expected] = [0, 0];
      onProgress(table, tables);
    },
  };
}

function compareTable(
  pair: Pair,
  name: string,
  entries: Entries,
  found: Comparison,
  work: Work,
  progress: TableProgress,
): void {
  const { names } = work;
  const only = onlySideOf(entries);
  const none = { name, onlyLeft: 0, onlyRight: 0, changed: 0, ...(only && { only }) };
  const skip = (reason: string): void => {
    found.notCompared.push({ name, reason });
    found.tables.push({ ...none, compared: false });
  };
  if (!pair.isHeld()) return skip('the comparison ended at an earlier failure');
  try {
    if (only !== undefined) {
      const table = readTable(pair[only], entries[only]?.name ?? name);
      progress.expect(rowRangeOf(table));
      const rows = countRows(table);
      found.tables.push({
        ...none,
        ...(only === 'left' ? { onlyLeft: rows } : { onlyRight: rows }),
        compared: true,
      });
      return;
    }
    const left = readTable(pair.left, entries.left?.name ?? name);
    const right = readTable(pair.right, entries.right?.name ?? name);
    const identity = identityOf(left, right);
    found.notCompared.push(...unsharedColumns(left, right, names));
    if (identity.columns.length === 0) return skip('the two sides have no column in common');
    progress.expect(rowRangeOf(left) + rowRangeOf(right));
    const counts = compareRows(pair, left, right, identity, progress.onRow);
    found.tables.push({ name, ...counts, compared: true });
  } catch (error) {
    if (!isDamage(error)) return skip(reasonOf(error));
    work.isDamageSeen = true;
    const sides = only === undefined ? damagedSides(pair, entries) : [only];
    const sideNames = sides.map((side) => names[side === 'left' ? 0 : 1]);
    found.damaged = (['left', 'right'] as const).filter(
      (side) => found.damaged.includes(side) || sides.includes(side),
    );
    skip(`damaged in ${sides.length > 0 ? sideNames.join(' and ') : names.join(' or ')}`);
  }
}

function onlySideOf({ left, right }: Entries): 'left' | 'right' | undefined {
  if (right === undefined) return 'left';
  return left === undefined ? 'right' : undefined;
}

/** At most so many rows; 0 when that cannot be told quickly. */
function rowRangeOf({ side, name, rowid, hint }: Table): number {
  if (rowid === undefined) return 0;
  const end = (which: string): string =>
    `(SELECT CAST(${which}(${rowid}) AS REAL) FROM ${side.schema}.${quoted(name)} ${hint})`;
  const [row] = side.rows(`SELECT ${end('max')} - ${end('min')} + 1 AS rows`);
  return Number(row?.['rows'] ?? 0);
}

function schemaEntries({ rows, schema, path }: Side): SchemaEntry[] {
  const sql = `SELECT type, name, sql, rootpage FROM ${schema}.sqlite_schema ORDER BY name, type`;
  return explained(path, () => rows(sql))
    .filter(({ name }) => typeof name === 'string')
    .map(({ type, name, sql: definition, rootpage }) => ({
      type: String(type),
      name: name as string,
      sql: typeof definition === 'string' ? definition : '',
      rootpage: Number(rootpage),
    }));
}

function compareSchema(left: SchemaEntry[], right: SchemaEntry[]): Comparison['schema'] {
  const key = ({ type, name, sql }: SchemaEntry): string => JSON.stringify([type, name, sql]);
  const [leftKeys, rightKeys] = [new Set(left.map(key)), new Set(right.map(key))];
  const lines = [
    ...left.filter((entry) => !rightKeys.has(key(entry))).map((entry) => ({ entry, sign: '-' })),
    ...right.filter((entry) => !leftKeys.has(key(entry))).map((entry) => ({ entry, sign: '+' })),
  ]
    .filter(({ entry }) => entry.sql !== '')
    .sort((a, b) => (a.entry.name < b.entry.name ? -1 : a.entry.name > b.entry.name ? 1 : 0))
    .flatMap(({ entry, sign }) => entry.sql.split('\n').map((line) => `${sign} ${line}`));
  return { same: lines.length === 0, diff: lines.join('\n') };
}
