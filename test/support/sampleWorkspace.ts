// A workspace to try the extension on: node test/support/sampleWorkspace.ts FOLDER [--write]
import { fork } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import Database from 'better-sqlite3';

const USERS = 1_500;
const ORDERS = 4_000;
const WRITE_INTERVAL_MS = 200;

/**
 * Fills `folder` with `data/app.db` (WAL), `data/sessions.db` (rollback journal) and the receipts in
 * `uploads/` that the orders name. A database that is there already stays as it is.
 */
export function createSampleWorkspace(folder: string): void {
  mkdirSync(join(folder, 'data'), { recursive: true });
  mkdirSync(join(folder, 'uploads'), { recursive: true });
  const [app, sessions] = [join(folder, 'data/app.db'), join(folder, 'data/sessions.db')];
  if (!existsSync(app)) createApp(app);
  if (!existsSync(sessions)) createSessions(sessions);
  for (let order = 1; order <= 5; order++) {
    writeFileSync(join(folder, `uploads/receipt-${order}.txt`), `Receipt of order ${order}\n`);
  }
}

/** Starts a process that commits to `data/app.db` all the time, until stopped or left alone. */
export function startWriter(folder: string): { stop: () => void } {
  const writer = fork(import.meta.filename, ['--writer', resolve(folder, 'data/app.db')]);
  // The writer must not keep its parent running.
  writer.unref();
  writer.channel?.unref();
  return { stop: () => writer.kill() };
}

function createApp(path: string): void {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.exec(`
    CREATE TABLE users (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE
    );
    CREATE TABLE orders (
      id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, total_cents INTEGER NOT NULL,
      placed_at TEXT NOT NULL, receipt TEXT
    );
    CREATE INDEX orders_by_user ON orders (user_id);
  `);
  const user = db.prepare('INSERT INTO users (name, email) VALUES (?, ?)');
  const order = db.prepare(
    'INSERT INTO orders (user_id, total_cents, placed_at, receipt) VALUES (?, ?, ?, ?)',
  );
  db.transaction(() => {
    for (let id = 1; id <= USERS; id++) user.run(`User ${id}`, `user${id}@example.com`);
    for (let id = 1; id <= ORDERS; id++) {
      const placedAt = new Date(Date.UTC(2026, 0, 1) + id * 3_600_000).toISOString();
      const receipt = id <= 5 ? `uploads/receipt-${id}.txt` : null;
      order.run((id % USERS) + 1, (id * 731) % 20_000, placedAt, receipt);
    }
  })();
  db.close();
}

function createSessions(path: string): void {
  const db = new Database(path);
  db.pragma('journal_mode = DELETE');
  db.exec('CREATE TABLE sessions (token TEXT PRIMARY KEY, user_id INTEGER NOT NULL)');
  const session = db.prepare('INSERT INTO sessions VALUES (?, ?)');
  db.transaction(() => {
    for (let id = 1; id <= 500; id++) session.run(`session-${id}`, id);
  })();
  db.close();
}

function write(path: string): void {
  const db = new Database(path, { fileMustExist: true, timeout: 5_000 });
  const order = db.prepare(
    `INSERT INTO orders (user_id, total_cents, placed_at) VALUES (1, 100, datetime('now'))`,
  );
  setInterval(() => order.run(), WRITE_INTERVAL_MS);
  // Also the end of a parent that was killed.
  process.on('disconnect', () => process.exit());
}

if (process.argv[1] === import.meta.filename) {
  const [first, second] = process.argv.slice(2);
  if (first === '--writer' && second) {
    write(second);
  } else if (first) {
    createSampleWorkspace(first);
    console.log(`Created the sample workspace ${resolve(first)}`);
    if (second === '--write') {
      startWriter(first);
      console.log('Writing to data/app.db until Ctrl+C');
      setInterval(() => undefined, 60_000);
    }
  } else {
    console.error('Usage: node test/support/sampleWorkspace.ts FOLDER [--write]');
    process.exitCode = 2;
  }
}
