/** Two databases in one connection. */
import { explained, openSource } from './driver.ts';

/** Two databases in one connection, each held at one instant: `main` is the left one, `other` the right one. */
export interface Pair {
  rows(sql: string, ...parameters: unknown[]): Record<string, unknown>[];
  /** The first column of the first row. */
  value(sql: string, ...parameters: unknown[]): unknown;
  close(): void;
}

/** Opens two databases read-only. Errors speak of the paths that the person knows. */
export function openPair(left: string, right: string, busyTimeoutMs: number): Pair {
  const db = explained(left, () => openSource(left, busyTimeoutMs));
  try {
    explained(right, () => db.prepare('ATTACH ? AS other').run(right));
    db.exec('BEGIN');
    for (const [schema, path] of [
      ['main', left],
      ['other', right],
    ] as const) {
      explained(path, () => db.prepare(`SELECT count(*) FROM ${schema}.sqlite_schema`).get());
    }
  } catch (error) {
    db.close();
    throw error;
  }
  return {
    rows: (sql, ...parameters) => db.prepare(sql).all(...parameters) as Record<string, unknown>[],
    value: (sql, ...parameters) =>
      db
        .prepare(sql)
        .pluck()
        .get(...parameters),
    close: () => db.close(),
  };
}
