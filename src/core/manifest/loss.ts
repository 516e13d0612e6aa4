/** One rule for what counts as a loss of rows between two states of a database. Pure: no file is looked at. */
import { timeOf } from './lineage.ts';
import type { RecordedLoss, Released, TableFacts } from './manifest.ts';

export interface Loss {
  /** As it is called now, or was called last. */
  table: string;
  before: number;
  /** Undefined when the table is gone, or has another name: these two cannot be told apart. */
  now?: number | undefined;
  /** Where it is these columns that are gone, and not rows. */
  columns?: string[];
}

/** What a manifest knows of the tables; `rows` is missing where they were not counted. */
export interface KnownTables {
  tables?: TableFacts[] | undefined;
  /** How many tables are not listed. */
  tablesOmitted?: number | undefined;
  /** The columns of a table in their order, without generated ones; undefined where they were not looked at. */
  columns?: Record<string, string[]> | undefined;
}

/** More than so many rows are a loss when they are more than a tenth; so is any fall by more than half. */
const fewestRows = 1000;

/**
 * The tables that have lost rows: emptied or gone, fallen by more than half, or by more than 1,000 rows and a tenth. A
 * table whose rows were not counted, before or now, gives no verdict.
 */
export function findLosses(before: KnownTables, now: KnownTables): Loss[] {
  if (before.tables === undefined || now.tables === undefined) return [];
  const isDerived = derivedIn(before.tables);
  const known = new Map(now.tables.map((table) => [foldCase(table.name), table]));
  const isComplete = (now.tablesOmitted ?? 0) === 0;
  return before.tables.flatMap(({ name, rows }): Loss[] => {
    if (rows === undefined || rows === 0 || isDerived(name)) return [];
    const table = known.get(foldCase(name));
    if (table === undefined) return isComplete ? [{ table: name, before: rows }] : [];
    return table.rows !== undefined && isLoss(rows, table.rows)
      ? [{ table: table.name, before: rows, now: table.rows }]
      : [];
  });
}

/**
 * The tables with rows that have lost columns. A column with another name in the same place has been renamed, and a table
 * that has lost rows as well is in `findLosses`.
 */
export function findLostColumns(before: KnownTables, now: KnownTables): Loss[] {
  const columnsNow = new Map(
    Object.entries(now.columns ?? {}).map(([table, columns]) => [foldCase(table), columns]),
  );
  const rowsNow = new Map(now.tables?.map(({ name, rows }) => [foldCase(name), rows]));
  return (before.tables ?? []).flatMap(({ name, rows = 0 }): Loss[] => {
    const columns = columnsNow.get(foldCase(name));
    const left = rowsNow.get(foldCase(name));
    if (columns === undefined || rows === 0 || left === undefined || isLoss(rows, left)) return [];
    const gone = goneFrom(before.columns?.[name] ?? [], columns);
    return gone.length === 0 ? [] : [{ table: name, before: rows, now: left, columns: gone }];
  });
}

function goneFrom(before: readonly string[], now: readonly string[]): string[] {
  const gaps = newBehind(now, before);
  return [...newBehind(before, now)].flatMap(([place, gone]) =>
    gone.length > (gaps.get(place)?.length ?? 0) ? gone : [],
  );
}

/** The columns that `others` have not, each list by the common column that it stands behind. */
function newBehind(columns: readonly string[], others: readonly string[]): Map<string, string[]> {
  const common = new Set(others.map(foldCase));
  const found = new Map<string, string[]>();
  let place = '';
  for (const column of columns) {
    if (common.has(foldCase(column))) place = foldCase(column);
    else found.set(place, [...(found.get(place) ?? []), column]);
  }
  return found;
}

function isLoss(before: number, now: number): boolean {
  const lost = before - now;
  return now === 0 || lost > before / 2 || (lost > fewestRows && lost > before / 10);
}

/** SQLite's names of tables have no case, as far as the letters of ASCII go. */
function foldCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * The tables in which the full-text and r-tree modules keep what they derive: their rows come and go as an index is merged.
 * The rows of the text itself (`_content`, `_docsize`, `_rowid`) count.
 */
function derivedIn(tables: readonly TableFacts[]): (name: string) => boolean {
  const names = new Set(tables.map(({ name }) => foldCase(name)));
  const families = [
    { of: ['_data', '_idx', '_config'], derived: ['_data', '_idx', '_config'] },
    { of: ['_segments', '_segdir'], derived: ['_segments', '_segdir', '_stat'] },
    { of: ['_node', '_parent', '_rowid'], derived: ['_node', '_parent'] },
  ];
  return (name) => {
    const folded = foldCase(name);
    return families.some(({ of, derived }) => {
      const suffix = derived.find((end) => folded.endsWith(end));
      if (suffix === undefined) return false;
      const stem = folded.slice(0, -suffix.length);
      return of.every((end) => names.has(stem + end));
    });
  };
}

/** The losses that the backup itself has found, and not an earlier one. */
export function ownLosses({
  createdAt,
  losses = [],
  released = [],
}: {
  createdAt: string;
  losses?: RecordedLoss[] | undefined;
  released?: Released[] | undefined;
}): RecordedLoss[] {
  return openLosses(losses, released).filter(({ at }) => at === createdAt);
}

/** Of each table the newest loss, as long as a person has not released the table. */
export function openLosses(
  losses: readonly RecordedLoss[],
  released: readonly Released[],
): RecordedLoss[] {
  const letGo = new Set(released.map(tableKey));
  const newest = new Map<string, RecordedLoss>();
  for (const loss of losses) {
    const key = tableKey(loss);
    const known = newest.get(key);
    if (letGo.has(key) || (known !== undefined && timeOf(known.at) >= timeOf(loss.at))) continue;
    newest.set(key, loss);
  }
  return [...newest.values()];
}

/** Names a table of a database. */
export function tableKey({ database, table }: Released): string {
  return `${database}\0${foldCase(table)}`;
}

/** How much was lost, for an order that begins with the worst. */
export function lostRows({ before, now = 0 }: Loss): number {
  return before - now;
}

/** `users had 5,000 rows at the last backup, now 0`; `when` is for another time. */
export function lossText(
  { table, before, now, columns }: Loss,
  when = 'at the last backup',
): string {
  if (columns !== undefined)
    return columns.length === 1
      ? `${table} no longer has the column ${columns.join()}`
      : `${table} no longer has the columns ${columns.join(', ')}`;
  const rows = (count: number): string =>
    `${count.toLocaleString('en')} ${count === 1 ? 'row' : 'rows'}`;
  return now === undefined
    ? `${table} had ${rows(before)} ${when}; the table was deleted or renamed`
    : `${table} had ${rows(before)} ${when}, now ${now.toLocaleString('en')}`;
}
