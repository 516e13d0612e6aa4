// Holds an exclusive lock until killed or left alone: node test/support/lockDatabase.ts DATABASE
import Database from 'better-sqlite3';

const db = new Database(process.argv[2], { fileMustExist: true });
db.exec('BEGIN EXCLUSIVE');
process.send?.('locked');
process.on('disconnect', () => {
  db.close(); // Also keeps the handle, and with it the lock, from being collected as garbage.
  process.exit();
});
