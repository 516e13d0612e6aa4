import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { checkDatabase } from '../../src/core/sqlite/check.ts';
import { readHeader } from '../../src/core/sqlite/header.ts';
import { createDatabase, itemsSql, withDatabase } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const isThorough = process.env['FAULTS'] === 'all';
const filesOfEach = isThorough ? 250 : 25;

/** Numbers from a seed, the same on every machine. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const wordsSql = `${itemsSql(400)};
  CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, born INTEGER CHECK (born > 0)) STRICT;
  CREATE TABLE pairs (a TEXT, b INTEGER, note TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
  CREATE INDEX pairs_by_note ON pairs (note);
  CREATE TABLE long (id INTEGER PRIMARY KEY, body TEXT);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
    INSERT INTO people SELECT i, 'person ' || i, 1900 + i FROM n;
  INSERT INTO pairs SELECT 'pair ' || (id % 7), id, 'note ' || id FROM people;
  INSERT INTO long SELECT id, printf('%.*c', 40 * id, 'x') FROM people;
  CREATE TABLE gone (a); INSERT INTO gone VALUES (zeroblob(30000)); DROP TABLE gone;`;
const fullTextSql = `${wordsSql}
  CREATE VIRTUAL TABLE notes USING fts5(title, body);
  INSERT INTO notes SELECT 'title ' || id, 'words of ' || name FROM people;
  CREATE VIRTUAL TABLE old_notes USING fts4(body); INSERT INTO old_notes (body) SELECT name FROM people;`;

/** Makes of a sound database what an application with a collation of its own would have left. */
function withForeignCollation(path: string): void {
  withDatabase(path, (db) => {
    db.unsafeMode();
    db.pragma('writable_schema = on');
    db.exec(`UPDATE sqlite_schema SET sql = 'CREATE INDEX items_by_name ON items (name COLLATE app_order)'
      WHERE name = 'items_by_name'`);
  });
}

const models: [what: string, pageSize: number, sql: string, finish: (path: string) => void][] = [
  ['tables and indexes', 1024, wordsSql, () => undefined],
  ['full-text indexes', 1024, fullTextSql, () => undefined],
  ['a pointer map', 512, `PRAGMA auto_vacuum = 2; VACUUM; ${wordsSql}`, () => undefined],
  ['a collation of the application', 1024, wordsSql, withForeignCollation],
];

type Next = (below: number) => number;
const harms: readonly ((bytes: Buffer, pageSize: number, next: Next) => Buffer)[] = [
  // Flips a bit.
  (bytes, _pageSize, next) => {
    const at = 100 + next(bytes.length - 100);
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << next(8)), at);
    return bytes;
  },
  // Flips a bit where the structure of a page is.
  (bytes, pageSize, next) => {
    const at = next(bytes.length / pageSize) * pageSize + next(16);
    const safe = at < 100 ? at + 100 : at;
    bytes.writeUInt8(bytes.readUInt8(safe) ^ (1 << next(8)), safe);
    return bytes;
  },
  // Overwrites a few bytes.
  (bytes, _pageSize, next) => {
    const at = 100 + next(bytes.length - 108);
    for (let n = 0; n < 8; n++) bytes.writeUInt8(next(256), at + n);
    return bytes;
  },
  // Zeroes or trashes a page.
  (bytes, pageSize, next) => {
    const page = 1 + next(bytes.length / pageSize - 1);
    const byte = [0, 0xa5, 0xff, 0x0a][next(4)] ?? 0;
    return bytes.fill(byte, page * pageSize, (page + 1) * pageSize);
  },
  // Puts one page in the place of another.
  (bytes, pageSize, next) => {
    const pages = bytes.length / pageSize;
    const [from, to] = [1 + next(pages - 1), 1 + next(pages - 1)];
    bytes.copy(bytes, to * pageSize, from * pageSize, (from + 1) * pageSize);
    return bytes;
  },
  // Cuts the end off.
  (bytes, _pageSize, next) => bytes.subarray(0, 100 + next(bytes.length - 100)),
];

/** The rows of all tables with pages of their own, read without an index. Undefined when they cannot be read. */
function rowsOf(path: string): string | undefined {
  const db = new Database(path, { readonly: true });
  try {
    const tables = db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY 1")
      .pluck()
      .all() as string[];
    // What a full-text index keeps for itself is derived, but for the rows it was given.
    const rows = tables
      .filter((name) => !/notes_(data|idx|docsize|config|segments|segdir|stat)$/.test(name))
      .map((name) => [name, db.prepare(`SELECT * FROM "${name}" NOT INDEXED`).raw().all()]);
    return JSON.stringify(rows);
  } catch {
    return undefined;
  } finally {
    db.close();
  }
}

/** What SQLite's own check says, all of it; an error is a message too. */
function messagesOf(path: string): string[] {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare('PRAGMA integrity_check(10000)').pluck().all() as string[];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    db.close();
  }
}

/** The same with an order that SQLite knows in the place of that of the application. */
function messagesWithCollation(path: string): string[] {
  const bytes = readFileSync(path);
  const at = bytes.indexOf('COLLATE app_order');
  if (at >= 0) bytes.write('COLLATE BINARY   ', at);
  writeFileSync(`${path}-known`, bytes);
  try {
    return messagesOf(`${path}-known`);
  } finally {
    rmSync(`${path}-known`);
  }
}

/** The harms that replace a page, the last one a cut. */
const isOfPage = (harm: number): boolean => harm === 3 || harm === 4;

const derivedOnly =
  /^(row \d+ missing from index|row \d+ values differ from index|wrong # of entries in index|non-unique entry in index|rowid not at end-of-record|malformed inverted index|fts5: .*"(notes|old_notes)"$|NULL value in|CHECK constraint failed in|non-\w+ value in|NUMERIC value in|TEXT value in)/;

describe('damaged files made by seed', function () {
  this.timeout(isThorough ? 1_800_000 : 120_000);
  const folder = useTempFolder();

  for (const [what, pageSize, sql, finish] of models) {
    it(`with ${what}: none is called ok, and where only derived data differs none is called damaged`, () => {
      const model = createDatabase(folder('model.db'), {
        pragmas: [`page_size = ${pageSize}`],
        sql,
      });
      finish(model);
      const isForeign = checkDatabase(model, { access: 'read-only' }).status === 'partial';
      const soundRows = rowsOf(model);
      assert.notEqual(soundRows, undefined);
      const wrong: string[] = [];
      const seen = new Map<string, number>();
      for (let seed = 0; seed < filesOfEach; seed++) {
        const next = numbersFrom(seed * 7919 + pageSize);
        const path = folder('damaged.db');
        const harm = harms[seed % harms.length];
        if (harm === undefined) continue;
        copyFileSync(model, path);
        writeFileSync(path, harm(readFileSync(path), pageSize, next));
        const header = readHeader(path);
        const isCut =
          header.kind !== 'sqlite' ||
          (header.pageCount ?? 0) * header.pageSize !== header.sizeBytes;
        const before = readFileSync(path);
        const { status, outOfStep, findings } = checkDatabase(path, { access: 'read-only' });
        const said = `seed ${seed}: ${status}, ${findings[0]?.message}`;
        seen.set(status, (seen.get(status) ?? 0) + 1);
        if (!readFileSync(path).equals(before)) wrong.push(`${said}: changed`);
        const messages = messagesOf(path);
        const [first = ''] = messages;
        const isClean = first === 'ok';
        const isSameRows = rowsOf(path) === soundRows;
        const cannotRun = /^no such collation/.test(first);
        const isDerived = !isClean && messages.every((message) => derivedOnly.test(message));
        // What the header says is compared by whoever reads the file, before this check.
        if (status === 'ok' && !isClean && !isCut) wrong.push(`${said}, but ${first}`);
        if (status === 'ok' && isForeign) wrong.push(`${said}, without its collation`);
        if (status === 'partial' && isForeign && isOfPage(seed % harms.length)) {
          const known = messagesWithCollation(path).find((one) => !derivedOnly.test(one));
          if (known !== undefined && known !== 'ok') wrong.push(`${said}, but ${known}`);
        }
        if (status === 'partial' && !isDerived && !cannotRun && !isClean)
          wrong.push(`${said}, but ${first}`);
        if (outOfStep.length > 0 && rowsOf(path) === undefined)
          wrong.push(`${said}: rows complete, but they cannot be read`);
        if (status === 'damaged' && isSameRows && isDerived)
          wrong.push(`${said}, but only derived data differs: ${first}`);
        if (status === 'damaged' && isClean && !isCut)
          wrong.push(`${said}, but SQLite finds nothing`);
        rmSync(path);
      }
      assert.deepEqual(wrong, []);
      assert.ok((seen.get('damaged') ?? 0) > filesOfEach / 10, JSON.stringify([...seen]));
      if (process.env['FAULTS_TELL'] !== undefined) console.log(what, [...seen]);
    });
  }
});
