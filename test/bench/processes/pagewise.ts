// Copies a database as SQLite does, page by page, and keeps every writer out meanwhile: node pagewise.ts DATABASE COPY
import { closeSync, fsyncSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';

const [path = '', copy = ''] = process.argv.slice(2);
const db = new Database(path, { fileMustExist: true });
db.exec('BEGIN');
db.prepare('SELECT count(*) FROM log').get();
await db.backup(copy, { progress: () => 10_000 });
db.close();
const handle = openSync(copy, 'r');
fsyncSync(handle);
closeSync(handle);
