/** Virtual tables: which modules they need, and full-text indexes, whose rows are in tables of their own. */
import type Database from 'better-sqlite3';
import { isNotRunnable, quoted } from './driver.ts';

export interface VirtualTable {
  name: string;
  /** In lower case. */
  module: string;
  sql: string;
}

const quotedName = `"(?:[^"]|"")*"|'(?:[^']|'')*'|\`(?:[^\`]|\`\`)*\`|\\[[^\\]]*\\]`;
const definition = new RegExp(
  `^CREATE\\s+VIRTUAL\\s+TABLE\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?(?:${quotedName}|[^\\s"'\`[(.]+)\\s*USING\\s*["'\`[]?(\\w+)`,
  'i',
);

export function virtualTables(db: Database.Database): VirtualTable[] {
  const rows = db
    .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0")
    .all() as { name: unknown; sql: unknown }[];
  return rows.map(({ name, sql }) => ({
    name: String(name),
    module: definition.exec(String(sql))?.[1]?.toLowerCase() ?? '',
    sql: String(sql),
  }));
}

/** Those of modules that only the application has: SQLite's check passes over them without a word. */
export function tablesOfUnknownModules(db: Database.Database): VirtualTable[] {
  const known = new Set(
    db.prepare('SELECT lower(name) FROM pragma_module_list').pluck().all() as string[],
  );
  return virtualTables(db).filter(({ module }) => module !== '' && !known.has(module));
}

const fullTextModule = /^fts[345]$/;
/** What a module keeps in tables of its own, without which nothing can be rebuilt. */
const ownTables: Readonly<Record<string, readonly string[]>> = {
  fts3: ['segments', 'segdir'],
  fts4: ['segments', 'segdir'],
  fts5: ['data', 'idx', 'config'],
};

const contentOption = new RegExp(`[(,]\\s*content\\s*=\\s*(${quotedName}|[^\\s,)]*)`, 'i');

/** Where the rows of a full-text index are: `own` table, `none` are kept, or the name of a table of the application. */
function contentOf({ sql, name }: VirtualTable): { table: string } | 'none' {
  const given = contentOption.exec(sql)?.[1];
  if (given === undefined) return { table: `${name}_content` };
  const bare = /^(["'`[])([\s\S]*).$/.exec(given)?.[2] ?? given;
  return bare === '' ? 'none' : { table: bare };
}

/**
 * The table that holds the rows of a full-text index that can be built again from them, and undefined for one that
 * cannot.
 */
export function contentTableOf(db: Database.Database, table: VirtualTable): string | undefined {
  if (!fullTextModule.test(table.module)) return undefined;
  const find = db
    .prepare(
      "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
    )
    .pluck();
  const hasOwnTables = (ownTables[table.module] ?? []).every(
    (suffix) => find.get(`${table.name}_${suffix}`) !== undefined,
  );
  const content = contentOf(table);
  if (!hasOwnTables || content === 'none') return undefined;
  const found = find.get(content.table);
  return typeof found === 'string' ? found : undefined;
}

/** The error that tells that a full-text index needs a tokenizer of the application, which its check keeps to itself. */
export function missingTokenizer(db: Database.Database, table: VirtualTable): Error | undefined {
  if (table.module !== 'fts5') return undefined;
  try {
    db.prepare(`SELECT count(*) FROM ${quoted(table.name)}('x')`).get();
    return undefined;
  } catch (error) {
    return isNotRunnable(error) && error.message.startsWith('no such tokenizer: ')
      ? error
      : undefined;
  }
}
