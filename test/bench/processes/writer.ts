// Commits every 5 ms and answers each message with the latencies in ms since the last: node writer.ts DATABASE SYNCHRONOUS
import Database from 'better-sqlite3';

const [path = '', synchronous] = process.argv.slice(2);
// Longer than anything that it is measured beside holds the lock.
const db = new Database(path, { timeout: 60_000, fileMustExist: true });
db.pragma(`synchronous = ${synchronous}`);
const insert = db.prepare('INSERT INTO log (note) VALUES (?)');
const commit = db.transaction(() => void insert.run('n'.repeat(200)));
const latencies: number[] = [];

process.on('disconnect', () => process.exit());
process.on('message', () => process.send?.(latencies.splice(0)));
setInterval(() => {
  const startedAt = performance.now();
  commit.immediate();
  latencies.push(performance.now() - startedAt);
}, 5);
