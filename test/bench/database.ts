import { createCipheriv } from 'node:crypto';
import Database from 'better-sqlite3';

const rowsAtATime = 1000;

/**
 * Builds a closed WAL database of about `sizeBytes` whose content is the same in every run: rows with text keys in random
 * order, an index on them, and blobs that do not compress.
 */
export function buildDatabase(path: string, sizeBytes: number): void {
  const random = randomBytesFrom(sizeBytes);
  const db = new Database(path);
  db.pragma('journal_mode = off');
  db.pragma('synchronous = off');
  db.exec(
    'CREATE TABLE documents (id INTEGER PRIMARY KEY, key TEXT NOT NULL, payload BLOB NOT NULL)',
  );
  db.exec('CREATE TABLE log (id INTEGER PRIMARY KEY, note TEXT NOT NULL)');
  const insert = db.prepare('INSERT INTO documents (key, payload) VALUES (?, ?)');
  const insertMany = db.transaction(() => {
    for (let row = 0; row < rowsAtATime; row++) {
      const key = random(14);
      insert.run(key.toString('hex', 2), random(200 + (key.readUInt16LE() % 1600)));
    }
  });
  const pages = db.prepare('PRAGMA page_count').pluck();
  const pageSize = Number(db.pragma('page_size', { simple: true }));
  // The index makes up the last few percent.
  while (Number(pages.get()) * pageSize < 0.96 * sizeBytes) insertMany();
  db.exec('CREATE INDEX documents_by_key ON documents (key)');
  db.pragma('journal_mode = wal');
  db.close();
}

/** The same for a closed database such as applications have: mostly words, which compress, and some noise. */
export function buildTextDatabase(path: string, sizeBytes: number): void {
  const random = randomBytesFrom(sizeBytes);
  const words = Array.from({ length: 4096 }, () => random(5).toString('base64url').slice(0, 7));
  const text = (): string => {
    const picks = random(80);
    let picked = '';
    for (let at = 0; at < 80; at += 2) picked += `${words[picks.readUInt16LE(at) & 4095]} `;
    return picked;
  };
  const db = new Database(path);
  db.pragma('journal_mode = off');
  db.pragma('synchronous = off');
  db.exec('CREATE TABLE notes (id INTEGER PRIMARY KEY, key TEXT, body TEXT, thumbnail BLOB)');
  const insert = db.prepare('INSERT INTO notes (key, body, thumbnail) VALUES (?, ?, ?)');
  const insertMany = db.transaction(() => {
    for (let row = 0; row < rowsAtATime; row++)
      insert.run(random(8).toString('hex'), text(), random(100));
  });
  const pages = db.prepare('PRAGMA page_count').pluck();
  const pageSize = Number(db.pragma('page_size', { simple: true }));
  while (Number(pages.get()) * pageSize < sizeBytes) insertMany();
  db.pragma('journal_mode = wal');
  db.close();
}

/** A stream of pseudo-random bytes that depends on `seed` alone. */
function randomBytesFrom(seed: number): (count: number) => Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, String(seed)), Buffer.alloc(16));
  return (count) => cipher.update(Buffer.alloc(count));
}
