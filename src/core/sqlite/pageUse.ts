/*
 * Which page of a file is in use for what, where integrity_check cannot say it. Sources:
 * https://sqlite.org/dbstat.html and https://sqlite.org/fileformat2.html#the_freelist
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type Database from 'better-sqlite3';
import type { Finding } from '../manifest/manifest.ts';
import { isDamage, isNotRunnable, quoted } from './driver.ts';
import { finding, messageOf } from './finding.ts';

/** What a page is used for. The rows of a table WITHOUT ROWID are in pages of an index. */
const usedFor = { table: 1, index: 2, overflow: 3 } as const;
/** The first byte of a page, by what it is used for. */
const firstBytes: Readonly<Record<number, readonly number[]>> = {
  [usedFor.table]: [0x05, 0x0d],
  [usedFor.index]: [0x02, 0x0a],
};

export interface PageUse {
  /** By the number of the page; 0 for those that no table and no index uses. */
  uses: Uint8Array;
  pageCount: number;
  pageSize: number;
  autoVacuum: boolean;
}

interface Tree {
  cells: number;
  leafCells: number;
}

const mostFindings = 20;

/**
 * The pages of every table and index, without any collation of the application. `unchecked`: tables whose indexes nothing
 * else has counted; `miscounted` are those of them that have not as many entries as their table has rows.
 */
export function pageUseOf(
  db: Database.Database,
  unchecked: ReadonlySet<string>,
): { findings: Finding[]; miscounted: string[]; use?: PageUse } {
  const pageCount = Number(db.pragma('page_count', { simple: true }));
  const use: PageUse = {
    uses: new Uint8Array(pageCount + 1),
    pageCount,
    pageSize: Number(db.pragma('page_size', { simple: true })),
    autoVacuum: Number(db.pragma('auto_vacuum', { simple: true })) > 0,
  };
  const findings: Finding[] = [];
  const trees = new Map<string, Tree>();
  const withoutRowid = namesOf(
    db,
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr = 1",
  );
  const indexes = namesOf(db, "SELECT name FROM sqlite_schema WHERE type = 'index'");
  try {
    const pages = db.prepare('SELECT name, pageno, pagetype, ncell FROM dbstat').raw();
    for (const page of pages.iterate()) {
      const [name, number, type, cells] = page as [string, number, string, number];
      if (type !== 'leaf' && type !== 'internal' && type !== 'overflow')
        findings.push(damage(`page ${number} of ${name} cannot be read`));
      else if (number < 1 || number > pageCount)
        findings.push(damage(`${name} has a page ${number}, which is not in the file`));
      else if (use.uses[number] !== 0)
        findings.push(damage(`page ${number} of ${name} is used twice`));
      else {
        const isIndex = indexes.has(name) || withoutRowid.has(name);
        use.uses[number] = usedFor[type === 'overflow' ? type : isIndex ? 'index' : 'table'];
        const tree = trees.get(name) ?? { cells: 0, leafCells: 0 };
        trees.set(name, tree);
        if (type !== 'overflow') tree.cells += cells;
        if (type === 'leaf') tree.leafCells += cells;
        continue;
      }
      // Pages that lead in a circle would be listed without end.
      if (findings.length >= mostFindings) break;
    }
  } catch (error) {
    if (isDamage(error)) findings.push(damage(messageOf(error)));
    else if (!isNotRunnable(error)) throw error;
    return { findings, miscounted: [] };
  }
  if (findings.length > 0) return { findings, miscounted: [] };
  return { findings, miscounted: miscountedIndexes(db, unchecked, withoutRowid, trees), use };
}

function miscountedIndexes(
  db: Database.Database,
  tables: ReadonlySet<string>,
  withoutRowid: ReadonlySet<string>,
  trees: ReadonlyMap<string, Tree>,
): string[] {
  return [...tables].flatMap((table) => {
    const tree = trees.get(table);
    if (tree === undefined) return [];
    // Inner pages of a table hold no rows, those of an index hold entries.
    const rows = withoutRowid.has(table) ? tree.cells : tree.leafCells;
    const indexes = db.pragma(`index_list(${quoted(table)})`) as {
      name: string;
      partial: number;
    }[];
    return indexes
      .filter(({ name, partial }) => {
        const entries = trees.get(name)?.cells;
        return partial === 0 && entries !== undefined && entries !== rows;
      })
      .map(({ name }) => name);
  });
}

function namesOf(db: Database.Database, sql: string): Set<string> {
  return new Set(db.prepare(sql).pluck().all() as string[]);
}

const headerBytes = 100;
const lockByte = 0x40000000;

/**
 * What is wrong with the free list, read without SQLite, with pages that are neither free nor in use, and with those that
 * are not what they are used for. The file must stand still, and this process must not have it open.
 */
export function pageFindings(path: string, use: PageUse): Finding[] {
  const { pageCount, pageSize } = use;
  const isFree = new Uint8Array(pageCount + 1);
  const findings: Finding[] = [];
  const free = (page: number, from: string): boolean => {
    const problem =
      page < 2 || page > pageCount
        ? 'is not in the file'
        : use.uses[page] !== 0
          ? 'is in use'
          : isFree[page] === 1
            ? 'is in it twice'
            : undefined;
    if (problem === undefined) isFree[page] = 1;
    else findings.push(damage(`the free list has page ${page} (${from}), which ${problem}`));
    return problem === undefined && findings.length < mostFindings;
  };
  const handle = openSync(path, 'r');
  try {
    const header = pieceOf(handle, 0, headerBytes);
    const usableBytes = pageSize - header.readUInt8(20);
    const claimed = header.readUInt32BE(36);
    let counted = 0;
    let trunk = header.readUInt32BE(32);
    while (trunk !== 0 && free(trunk, 'a trunk')) {
      const page = pieceOf(handle, (trunk - 1) * pageSize, pageSize);
      const leaves = page.readUInt32BE(4);
      if (leaves > usableBytes / 4 - 2) {
        findings.push(damage(`page ${trunk} of the free list cannot be read`));
        break;
      }
      counted += 1 + leaves;
      for (let n = 0; n < leaves; n++)
        if (!free(page.readUInt32BE(8 + 4 * n), `on page ${trunk}`)) break;
      if (findings.length > 0) break;
      trunk = page.readUInt32BE(0);
    }
    if (findings.length === 0 && counted !== claimed)
      findings.push(damage(`the free list has ${counted} pages, but ${claimed} are recorded`));
    if (findings.length > 0) return findings;
    const isSpecial = specialPages(use, usableBytes);
    for (let page = 1; page <= pageCount && findings.length < mostFindings; page++) {
      const expected = firstBytes[use.uses[page] ?? 0];
      if (expected !== undefined) {
        const at = page === 1 ? headerBytes : (page - 1) * pageSize;
        if (!expected.includes(pieceOf(handle, at, 1).readUInt8(0)))
          findings.push(damage(`page ${page} is not of the kind that it is used for`));
      } else if (use.uses[page] === 0 && isFree[page] === 0 && !isSpecial(page))
        findings.push(damage(`page ${page} is neither in use nor free`));
    }
    return findings;
  } finally {
    closeSync(handle);
  }
}

/** The page that is never used, where locks are, and those of the pointer map. */
function specialPages(
  { pageSize, autoVacuum }: PageUse,
  usableBytes: number,
): (page: number) => boolean {
  const lockPage = lockByte / pageSize + 1;
  const perMapPage = Math.floor(usableBytes / 5) + 1;
  return (page) => {
    if (page === lockPage) return true;
    if (!autoVacuum || page < 2) return false;
    const map = Math.floor((page - 2) / perMapPage) * perMapPage + 2;
    return page === (map === lockPage ? map + 1 : map);
  };
}

function pieceOf(handle: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  readSync(handle, bytes, 0, length, at);
  return bytes;
}

function damage(message: string): Finding {
  return finding('pages', `The pages do not fit together: ${message}.`);
}
