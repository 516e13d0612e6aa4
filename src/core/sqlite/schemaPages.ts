/*
 * What sqlite_schema lists, read from its pages without SQLite. SQLite parses every statement of a schema before it
 * answers anything, in time that grows with the square of their number: seconds for 100,000 tables. A list needs names.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { siblingsOf } from './siblings.ts';

export interface SchemaEntry {
  /** The rowid in sqlite_schema. */
  id: number;
  type: string;
  name: string;
  rootPage: number;
}

export interface SchemaPages {
  entries: SchemaEntry[];
  pageSize: number;
  pageCount: number;
  userVersion: number;
}

const headerBytes = 100;
const interior = 0x05;
const leaf = 0x0d;
const utf8 = 1;
const rollback = 1;
const wal = 2;

class Unreadable extends Error {}

/**
 * Undefined where SQLite has to say it: the file has siblings or another encoding, is in WAL mode, or has anything on
 * these pages that is not plain. Not for a process that has a connection to the file.
 */
export function readSchemaPages(path: string): SchemaPages | undefined {
  let file: number | undefined;
  try {
    if (siblingsOf(path).size > 0 || !statSync(path).isFile()) return undefined;
    file = openSync(path, 'r');
    return new Reader(file).read();
  } catch {
    // What does not hold together, or cannot be read, is SQLite's to judge.
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * The tables that the file itself names, beside programs that use it: what is only in its WAL is missing, and so is all of
 * a page that changes meanwhile. For remarks, never for a decision. Not for a process that has a connection to the file.
 */
export function tablesNamedIn(path: string): Set<string> {
  let file: number | undefined;
  try {
    if (!statSync(path).isFile()) return new Set();
    file = openSync(path, 'r');
    const { entries } = new Reader(file).read({ isWalFine: true });
    return new Set(entries.filter(({ type }) => type === 'table').map(({ name }) => name));
  } catch {
    return new Set();
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

class Reader {
  readonly #file: number;
  readonly #pageSize: number;
  readonly #usable: number;
  readonly #header: Buffer;
  readonly #seen = new Set<number>();
  readonly #entries: SchemaEntry[] = [];

  constructor(file: number) {
    this.#file = file;
    this.#header = this.#bytes(0, headerBytes);
    const size = this.#header.readUInt16BE(16);
    this.#pageSize = size === 1 ? 65_536 : size;
    this.#usable = this.#pageSize - this.#header.readUInt8(20);
  }

  read({ isWalFine = false } = {}): SchemaPages {
    const header = this.#header;
    const isPlain =
      header.toString('latin1', 0, 16) === 'SQLite format 3\0' &&
      (header.readUInt8(18) === rollback || (isWalFine && header.readUInt8(18) === wal)) &&
      header.readUInt32BE(56) === utf8 &&
      this.#pageSize >= 512;
    if (!isPlain) throw new Unreadable();
    this.#walk(1);
    return {
      entries: this.#entries,
      pageSize: this.#pageSize,
      pageCount: header.readUInt32BE(28),
      userVersion: header.readInt32BE(60),
    };
  }

  #walk(number: number): void {
    // A page that comes twice belongs to a circle.
    if (number < 1 || this.#seen.has(number)) throw new Unreadable();
    this.#seen.add(number);
    const page = this.#bytes((number - 1) * this.#pageSize, this.#pageSize);
    const at = number === 1 ? headerBytes : 0;
    const type = page.readUInt8(at);
    const cells = page.readUInt16BE(at + 3);
    if (type !== leaf && type !== interior) throw new Unreadable();
    const pointers = at + (type === leaf ? 8 : 12);
    for (let cell = 0; cell < cells; cell++) {
      const start = page.readUInt16BE(pointers + cell * 2);
      if (type === interior) this.#walk(page.readUInt32BE(start));
      else this.#entries.push(this.#entry(page, start));
    }
    if (type === interior) this.#walk(page.readUInt32BE(at + 8));
  }

  /** Type, name, table, root page, statement: only the statement may lie on other pages. */
  #entry(page: Buffer, start: number): SchemaEntry {
    const [size, afterSize] = varint(page, start);
    const [id, payload] = varint(page, afterSize);
    const [headerSize, afterHeaderSize] = varint(page, payload);
    const lengths: number[] = [];
    let at = afterHeaderSize;
    while (lengths.length < 4) {
      const [serial, next] = varint(page, at);
      lengths.push(serial);
      at = next;
    }
    const [type = 0, name = 0, table = 0, root = 0] = lengths;
    if ([type, name, table].some((one) => !isText(one)) || root > 9) throw new Unreadable();
    const from = payload + headerSize;
    const nameAt = from + textBytes(type);
    const rootAt = nameAt + textBytes(name) + textBytes(table);
    const rootBytes = [0, 1, 2, 3, 4, 6, 8][root] ?? 0;
    if (rootAt + rootBytes > payload + this.#local(size)) throw new Unreadable();
    return {
      id,
      type: page.toString('utf8', from, nameAt),
      name: page.toString('utf8', nameAt, nameAt + textBytes(name)),
      // Views, triggers and virtual tables have none: 0 or NULL, which take no bytes.
      rootPage: rootBytes === 0 || rootBytes > 6 ? 0 : page.readIntBE(rootAt, rootBytes),
    };
  }

  /** So many bytes of a record are on the page of its cell. */
  #local(size: number): number {
    const most = this.#usable - 35;
    if (size <= most) return size;
    const least = Math.floor(((this.#usable - 12) * 32) / 255) - 23;
    const fitting = least + ((size - least) % (this.#usable - 4));
    return fitting <= most ? fitting : least;
  }

  #bytes(from: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    if (readSync(this.#file, bytes, 0, length, from) < length) throw new Unreadable();
    return bytes;
  }
}

function isText(serial: number): boolean {
  return serial >= 13 && serial % 2 === 1;
}

function textBytes(serial: number): number {
  return (serial - 13) / 2;
}

/** The number at `at`, and where it ends. */
function varint(bytes: Buffer, at: number): [value: number, end: number] {
  let value = 0;
  for (let index = 0; index < 8; index++) {
    const byte = bytes.readUInt8(at + index);
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return [value, at + index + 1];
  }
  throw new Unreadable();
}
