/**
 * Twelve ways in which agents have lost databases, each as what the agent's tool says and what it then does on the disk.
 * None is told by the name of the tool, few by its command.
 */
import { cpSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDatabase, itemsSql, withDatabase } from './databases.ts';
import { holdOpen, run, start } from './processes.ts';

export interface Place {
  work: string;
  database: string;
}

export interface Incident {
  name: string;
  /** As the agent calls it. */
  tool: string;
  input: Record<string, unknown>;
  /** What runs beside the agent: the application. What is returned is called by `act`. */
  before?: (place: Place) => Promise<unknown>;
  act: (place: Place, running: unknown) => unknown;
  /** What the refused restore tells a person to do first. */
  makeWay?: (place: Place) => void;
}

const bash = (command: string): Pick<Incident, 'tool' | 'input'> => ({
  tool: 'Bash',
  input: { command, description: 'Run it' },
});
const sql =
  (text: string) =>
  ({ database }: Place): void =>
    withDatabase(database, (db) => void db.exec(text));
const removeAll = ({ database }: Place): void => {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${database}${suffix}`, { force: true });
};
/** An application with the database open, whose last commits are only in its WAL. */
const openInWal = ({ database }: Place): Promise<unknown> =>
  holdOpen(
    database,
    'PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0',
    "INSERT INTO items (name) VALUES ('in the WAL')",
  );

export const incidents: readonly Incident[] = [
  {
    name: 'deletes over the REST interface of the application',
    ...bash('curl -s -X DELETE http://localhost:3000/orders'),
    async before({ database }) {
      const { first } = await start('shopServer.ts', database, '0');
      const address = `http://127.0.0.1:${(first as { port: number }).port}`;
      await fetch(address, { method: 'POST' });
      return address;
    },
    act: (_place, address) => fetch(String(address), { method: 'DELETE' }),
  },
  {
    name: 'init_db() of the application',
    tool: 'mcp__python__run_code',
    input: { code: 'from app import init_db\ninit_db()' },
    act: (place) => {
      sql('DROP TABLE items')(place);
      sql(itemsSql(2))(place);
    },
  },
  {
    name: 'a helper that replaces the file by a folder',
    ...bash('python tools/inspect_storage.py --read-only'),
    act: (place) => {
      removeAll(place);
      mkdirSync(place.database);
      writeFileSync(join(place.database, 'index'), 'of the helper');
    },
    makeWay: ({ database }) => renameSync(database, `${database}.folder`),
  },
  {
    name: 'rm',
    ...bash('rm -f app.db app.db-wal app.db-shm'),
    act: ({ work }) => run(['rm', '-f', 'app.db', 'app.db-wal', 'app.db-shm'], { cwd: work }),
  },
  {
    name: 'git clean -fdX, with backups in the work tree',
    ...bash('git clean -fdX'),
    async before({ work, database }) {
      await run(['git', 'init', '-q'], { cwd: work });
      writeFileSync(join(work, '.gitignore'), '*.db\nbackups/\n');
      mkdirSync(join(work, 'backups'));
      cpSync(database, join(work, 'backups/app.db'));
    },
    act: ({ work }) => run(['git', 'clean', '-fdXq'], { cwd: work }),
  },
  {
    name: 'a migration that drops a table and makes it again',
    ...bash('npm run migrate'),
    act: sql('DROP TABLE items; CREATE TABLE items (id INTEGER PRIMARY KEY, title TEXT NOT NULL)'),
  },
  {
    // The engine of Prisma is downloaded at run time: this is what its reset does on the disk.
    name: 'prisma migrate reset, replayed: the file is emptied, and the tables are made again',
    ...bash('npx prisma migrate reset --force'),
    act: (place) => {
      truncateSync(place.database);
      sql(
        'CREATE TABLE _prisma_migrations (id TEXT PRIMARY KEY); CREATE TABLE items (id INTEGER PRIMARY KEY)',
      )(place);
    },
  },
  {
    // test/faults/agentTools.test.ts runs the real one.
    name: 'drizzle-kit push --force, replayed: columns that the schema does not have are dropped',
    ...bash('npx drizzle-kit push --force'),
    act: sql(`PRAGMA foreign_keys = OFF; CREATE TABLE __new_items (id INTEGER PRIMARY KEY);
      DROP TABLE items; ALTER TABLE __new_items RENAME TO items`),
  },
  {
    name: 'VACUUM INTO a file that replaces the one that the application has open',
    ...bash('sqlite3 app.db "VACUUM INTO \'small.db\'" && mv small.db app.db'),
    before: openInWal,
    act: ({ work, database }) => {
      const [copy, small] = [join(work, 'copy.db'), join(work, 'small.db')];
      cpSync(database, copy); // Without its WAL.
      withDatabase(copy, (db) => void db.exec(`VACUUM INTO '${small}'`));
      rmSync(copy);
      renameSync(small, database);
    },
  },
  {
    name: 'cp of an older file over one that the application has open',
    ...bash('cp fixtures/seed.sqlite app.db'),
    async before(place) {
      createDatabase(join(place.work, 'seed.sqlite'), { rows: 3 });
      return openInWal(place);
    },
    act: ({ work }) => run(['cp', 'seed.sqlite', 'app.db'], { cwd: work }),
  },
  {
    name: 'UPDATE without WHERE',
    tool: 'run_in_terminal',
    input: { command: 'sqlite3 app.db "UPDATE items SET name = \'test\'"', isBackground: false },
    act: sql("UPDATE items SET name = 'test'"),
  },
  {
    name: 'a redirection that empties the file',
    ...bash('node export.js > app.db'),
    act: ({ database }) => truncateSync(database),
  },
];

/** The usual protection: a list of dangerous commands, as many projects have it in a hook. It saves when one matches. */
const dangerous = [
  /\brm\s+-[a-z]*[rf]/i,
  /\bgit\s+(clean|reset\s+--hard|checkout\s+--)/i,
  /\b(drop|truncate)\s+(table|database)\b/i,
  /\bdelete\s+from\b(?!.*\bwhere\b)/i,
  /\bmigrate\s+reset\b/i,
  /\bdb\s+(reset|drop|wipe)\b/i,
  /\bmkfs\b|\bdd\s+if=/i,
  /\bshred\b|\bunlink\b/i,
];

export function looksDangerous({ tool, input }: Pick<Incident, 'tool' | 'input'>): boolean {
  if (!/^(Bash|bash|run_in_terminal|shell)$/.test(tool)) return false;
  const { command } = input;
  return dangerous.some((pattern) => typeof command === 'string' && pattern.test(command));
}
