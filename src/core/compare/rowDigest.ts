/** One value that stands for many, for tables with more columns than SQLite can group by. */
import { createHash } from 'node:crypto';
import type { Pair } from '../sqlite/pair.ts';

/** SQLite takes 2000 terms; the key, the content and what belongs to them share these. */
export const mostTerms = 800;

const name = 'row_digest';
const columnsPerCall = 60;

export function defineDigest(pair: Pair): void {
  pair.define(name, digest);
}

/** SQL for a digest of these expressions: the same only for the same values, stored in the same way. */
export function digestOf(values: string[]): string {
  const calls = chunksOf(values, columnsPerCall).map((chunk) => {
    const texts = chunk.map((value, bit) => `((typeof(${value}) = 'text') << ${bit})`).join(' | ');
    // Text as bytes: what is not valid must not become the same.
    const bytes = chunk.map(
      (value) => `CASE typeof(${value}) WHEN 'text' THEN CAST(${value} AS BLOB) ELSE ${value} END`,
    );
    return `${name}(${texts}, ${bytes.join(', ')})`;
  });
  return `${name}(0, ${calls.join(', ')})`;
}

/** `texts` has a bit for each value that is text. An integer comes as a bigint, a real as a number. */
function digest(texts: unknown, ...values: unknown[]): Buffer {
  const hash = createHash('sha256').update(`${String(texts)};`);
  for (const value of values) {
    if (Buffer.isBuffer(value)) hash.update(`${value.length}:`).update(value);
    else if (typeof value === 'number') hash.update(bytesOfReal(value));
    else hash.update(`${String(value)};`);
  }
  return hash.digest();
}

function bytesOfReal(value: number): Buffer {
  const bytes = Buffer.alloc(9, 'r');
  bytes.writeDoubleLE(value, 1);
  return bytes;
}

export function chunksOf<T>(items: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
