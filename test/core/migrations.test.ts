import assert from 'node:assert/strict';
import type { MigrationState } from '../../src/core/sqlite/migrations.ts';
import {
  createDatabase,
  createForeign,
  manifestOf,
  overwrite,
  snapshot,
  valueOf,
} from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** The tables as each tool itself creates them in SQLite. */
const tables = {
  alembic: `CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));`,
  django: `CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);`,
  prisma: `CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL,
    "finished_at" DATETIME, "migration_name" TEXT NOT NULL, "logs" TEXT, "rolled_back_at" DATETIME,
    "started_at" DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0);`,
  entityFramework: `CREATE TABLE "__EFMigrationsHistory" (
    "MigrationId" TEXT NOT NULL CONSTRAINT "PK___EFMigrationsHistory" PRIMARY KEY, "ProductVersion" TEXT NOT NULL);`,
  golangMigrate: `CREATE TABLE schema_migrations (version uint64, dirty bool);
    CREATE UNIQUE INDEX version_unique ON schema_migrations (version);`,
  rails: `CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);
    CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value" varchar,
      "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);`,
  dbmate: `CREATE TABLE IF NOT EXISTS "schema_migrations" (version varchar(128) primary key);`,
  goose: `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
    is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
    INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1);`,
  knex: `CREATE TABLE \`knex_migrations\` (\`id\` integer not null primary key autoincrement,
    \`name\` varchar(255), \`batch\` integer, \`migration_time\` datetime);
    CREATE TABLE \`knex_migrations_lock\` (\`index\` integer not null primary key autoincrement, \`is_locked\` integer);`,
  drizzle: `CREATE TABLE "__drizzle_migrations" (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric);`,
  sequelize: 'CREATE TABLE `SequelizeMeta` (`name` VARCHAR(255) NOT NULL UNIQUE PRIMARY KEY);',
  typeorm: `CREATE TABLE "migrations" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
    "timestamp" bigint NOT NULL, "name" varchar NOT NULL);`,
  laravel: `CREATE TABLE "migrations" ("id" integer primary key autoincrement not null,
    "migration" varchar not null, "batch" integer not null);`,
  sqlx: `CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL, execution_time BIGINT NOT NULL);`,
  flyway: `CREATE TABLE "flyway_schema_history" ("installed_rank" INT NOT NULL PRIMARY KEY, "version" VARCHAR(50),
    "description" VARCHAR(200) NOT NULL, "type" VARCHAR(20) NOT NULL, "script" VARCHAR(1000) NOT NULL,
    "checksum" INT, "installed_by" VARCHAR(100) NOT NULL,
    "installed_on" TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f','now')),
    "execution_time" INT NOT NULL, "success" BOOLEAN NOT NULL);
    CREATE INDEX "flyway_schema_history_s_idx" ON "flyway_schema_history" ("success");`,
  phinx: `CREATE TABLE "phinxlog" ("version" BIGINT NOT NULL PRIMARY KEY, "migration_name" VARCHAR(100) NULL,
    "start_time" TIMESTAMP_TEXT NULL, "end_time" TIMESTAMP_TEXT NULL, "breakpoint" BOOLEAN_INTEGER NOT NULL DEFAULT 0);`,
};

const flywayRow = (rank: number, version: string | null, type: string, success = 1): string =>
  `INSERT INTO flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
    VALUES (${rank}, ${version === null ? 'NULL' : `'${version}'`}, 'x', '${type}', 'x', 1, 'sa', 3, ${success});`;
const sqlxRow = (version: number | bigint, success = 1): string =>
  `INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (${version}, 'x', ${success}, x'00', 9);`;
const prismaRow = (name: string, finished: string, rolledBack: string): string =>
  `INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, rolled_back_at)
    VALUES (hex(randomblob(8)), 'c', ${finished}, '${name}', ${rolledBack});`;

const states: [
  what: string,
  sql: string,
  states: [tool: string, latest: string, count: number][],
][] = [
  [
    'Alembic',
    `${tables.alembic} INSERT INTO alembic_version VALUES ('1975ea83b712')`,
    [['Alembic', '1975ea83b712', 1]],
  ],
  [
    'Alembic with several heads',
    `${tables.alembic} INSERT INTO alembic_version VALUES ('ffff'), ('1975ea83b712')`,
    [['Alembic', '1975ea83b712, ffff', 1]],
  ],
  [
    'Django',
    `${tables.django} INSERT INTO django_migrations (app, name, applied) VALUES
      ('contenttypes', '0001_initial', '2026-01-01'), ('auth', '0001_initial', '2026-01-01'), ('shop', '0002_price', '2026-01-02')`,
    [['Django', 'shop.0002_price', 3]],
  ],
  [
    'Prisma, leaving out what failed and what was rolled back',
    tables.prisma +
      prismaRow('20260101000000_init', '1767225600000', 'NULL') +
      prismaRow('20260103000000_undone', '1767398400000', '1767398500000') +
      prismaRow('20260104000000_failed', 'NULL', 'NULL') +
      prismaRow('20260102000000_users', '1767312000000', 'NULL'),
    [['Prisma', '20260102000000_users', 2]],
  ],
  [
    'Entity Framework',
    `${tables.entityFramework} INSERT INTO __EFMigrationsHistory VALUES ('20260102_B', '9.0.0'), ('20260101_A', '9.0.0')`,
    [['Entity Framework', '20260102_B', 2]],
  ],
  [
    'golang-migrate',
    `${tables.golangMigrate} INSERT INTO schema_migrations VALUES (20260101, 0)`,
    [['golang-migrate', '20260101', 1]],
  ],
  [
    'golang-migrate that stopped halfway',
    `${tables.golangMigrate} INSERT INTO schema_migrations VALUES (4, 1)`,
    [['golang-migrate', '4 (dirty)', 1]],
  ],
  [
    'golang-migrate, of which the driver writes words',
    `${tables.golangMigrate} INSERT INTO schema_migrations VALUES (4, 'false')`,
    [['golang-migrate', '4', 1]],
  ],
  [
    'Rails',
    `${tables.rails} INSERT INTO schema_migrations VALUES ('20260102'), ('20260101')`,
    [['Rails', '20260102', 2]],
  ],
  [
    'dbmate',
    `${tables.dbmate} INSERT INTO schema_migrations VALUES ('20260102'), ('20260101')`,
    [['dbmate', '20260102', 2]],
  ],
  [
    'goose, with one that was rolled back, and one rolled back and applied again',
    `${tables.goose} INSERT INTO goose_db_version (version_id, is_applied) VALUES (1, 1), (2, 1), (3, 1), (3, 0), (2, 0), (2, 1)`,
    [['goose', '2', 2]],
  ],
  ['goose before its first migration', tables.goose, [['goose', '', 0]]],
  [
    'Knex',
    `${tables.knex} INSERT INTO knex_migrations (name, batch) VALUES ('1_a.js', 1), ('2_b.js', 2)`,
    [['Knex', '2_b.js', 2]],
  ],
  [
    'Drizzle',
    `${tables.drizzle} INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('bbbb', 1767312000000), ('aaaa', 1767225600000)`,
    [['Drizzle', 'bbbb', 2]],
  ],
  [
    'Sequelize',
    `${tables.sequelize} INSERT INTO SequelizeMeta VALUES ('2-b.js'), ('1-a.js')`,
    [['Sequelize', '2-b.js', 2]],
  ],
  [
    'TypeORM',
    `${tables.typeorm} INSERT INTO migrations (timestamp, name) VALUES (1767312000000, 'B1767312000000'), (1767225600000, 'A1767225600000')`,
    [['TypeORM', 'B1767312000000', 2]],
  ],
  [
    'Laravel',
    `${tables.laravel} INSERT INTO migrations (migration, batch) VALUES ('2014_users', 1), ('2026_orders', 2)`,
    [['Laravel', '2026_orders', 2]],
  ],
  [
    'SQLx, leaving out what failed',
    tables.sqlx + sqlxRow(20260101) + sqlxRow(20260102) + sqlxRow(20260103, 0),
    [['SQLx', '20260102', 2]],
  ],
  [
    'SQLx with a number beyond what JavaScript counts to',
    tables.sqlx + sqlxRow(9223372036854775807n),
    [['SQLx', '9223372036854775807', 1]],
  ],
  [
    'Flyway, leaving out what failed and what has no version',
    tables.flyway +
      flywayRow(1, '1', 'BASELINE') +
      flywayRow(2, '1.1', 'SQL') +
      flywayRow(3, null, 'SQL') +
      flywayRow(4, '2', 'SQL', 0),
    [['Flyway', '1.1', 2]],
  ],
  [
    'Flyway, leaving out what was undone',
    tables.flyway +
      flywayRow(1, '1', 'SQL') +
      flywayRow(2, '2', 'SQL') +
      flywayRow(3, '2', 'UNDO_SQL'),
    [['Flyway', '1', 1]],
  ],
  [
    'Phinx, leaving out what did not end',
    `${tables.phinx} INSERT INTO phinxlog (version, migration_name, start_time, end_time) VALUES
      (20260101, 'A', '2026-01-01 00:00:00', '2026-01-01 00:00:01'), (20260102, 'B', '2026-01-02 00:00:00', NULL)`,
    [['Phinx', '20260101', 1]],
  ],
  ['user_version', 'CREATE TABLE t (a); PRAGMA user_version = 12', [['user_version', '12', 1]]],
  [
    'a negative user_version',
    'CREATE TABLE t (a); PRAGMA user_version = -3',
    [['user_version', '-3', 1]],
  ],
  [
    'several tools at once, user_version last',
    `${tables.knex} ${tables.alembic} INSERT INTO alembic_version VALUES ('a'); PRAGMA user_version = 1`,
    [
      ['Alembic', 'a', 1],
      ['Knex', '', 0],
      ['user_version', '1', 1],
    ],
  ],
  ['none', 'CREATE TABLE t (a)', []],
];

describe('the migration state', () => {
  const folder = useTempFolder();

  const stateOf = async (sql: string): Promise<MigrationState[]> => {
    const { path, manifest } = await snapshot(createDatabase(folder('app.db'), { sql }));
    assert.equal(manifest.verdict.status, 'ok');
    assert.deepEqual(manifestOf(path).migrations, manifest.migrations);
    return manifest.migrations ?? [];
  };

  for (const [what, sql, expected] of states) {
    it(`is read: ${what}`, async () => {
      const wanted = expected.map(([tool, latest, count]) => ({ tool, latest, count }));
      assert.deepEqual(await stateOf(sql), wanted);
    });
  }

  for (const [tool, sql] of Object.entries(tables)) {
    it(`is read when nothing was applied yet: ${tool}`, async () => {
      const found = await stateOf(sql);
      assert.equal(found.length, 1, JSON.stringify(found));
      assert.deepEqual([found[0]?.latest, found[0]?.count], ['', 0]);
    });
  }

  const names = Object.values(tables).map(
    (sql) => /TABLE (?:IF NOT EXISTS )?["`]?(\w+)/.exec(sql)?.[1] ?? '',
  );

  it('is not read from tables of these names that are something else', async () => {
    const sql = [...new Set(names)]
      .map((name) => `CREATE TABLE "${name}" (other TEXT);`)
      .join('\n');
    assert.deepEqual(await stateOf(sql), []);
  });

  it('is not read from views of these names, which may never end', async () => {
    const forever = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i';
    const columns = [
      'version',
      'version_num',
      'id',
      'name',
      'app',
      'batch',
      'timestamp',
      'migration',
      'hash',
      'MigrationId',
    ];
    const sql = [...new Set(names)].map(
      (name) => `CREATE VIEW "${name}" AS ${forever} AS ${columns.join(', i AS ')} FROM n;`,
    );
    assert.deepEqual(await stateOf(`CREATE TABLE t (a); ${sql.join('\n')}`), []);
  });

  it('is not read from virtual tables of these names', async () => {
    const sql = `CREATE VIRTUAL TABLE SequelizeMeta USING fts5(name); INSERT INTO SequelizeMeta VALUES ('x');
      CREATE VIRTUAL TABLE alembic_version USING fts5(version_num); INSERT INTO alembic_version VALUES ('x')`;
    assert.deepEqual(await stateOf(sql), []);
  });

  it('is of bounded length, whatever the tables hold', async () => {
    const found =
      await stateOf(`${tables.sequelize} INSERT INTO SequelizeMeta VALUES (hex(zeroblob(5000)));
      ${tables.alembic} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
      INSERT INTO alembic_version SELECT 'head number ' || i FROM n; ${tables.knex}
      INSERT INTO knex_migrations (name, batch) VALUES (x'00ff', 1), (NULL, 2)`);
    for (const { latest } of found) assert.ok(latest.length <= 1000, latest);
    assert.deepEqual(
      found.map(({ tool }) => tool),
      ['Alembic', 'Knex', 'Sequelize'],
    );
  });

  it('takes no longer for a table that was made to be slow', async () => {
    const before = process.cpuUsage();
    await stateOf(`${tables.goose} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
      INSERT INTO goose_db_version (version_id, is_applied) SELECT i, 1 FROM n`);
    // Of the processor, which other programs do not use up: to compare all rows with all others takes ten times as much.
    const { user } = process.cpuUsage(before);
    assert.ok(user < 2e6, `${user} µs`);
  });

  it('keeps no database from its backup that needs what only its application has', async () => {
    const path = createForeign(
      folder('app.db'),
      `CREATE TABLE SequelizeMeta (name TEXT); INSERT INTO SequelizeMeta VALUES ('b'), ('a')`,
      'SequelizeMeta',
      'CREATE TABLE SequelizeMeta (name TEXT COLLATE app_order)',
    );
    const { path: copy } = await snapshot(path);
    assert.equal(valueOf(copy, 'SELECT count(*) FROM SequelizeMeta'), 2);
  });

  it('does not hide which database is damaged when its own table is', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `${tables.sequelize} INSERT INTO SequelizeMeta VALUES ('a');`,
    });
    const root = Number(
      valueOf(path, `SELECT rootpage FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex%'`),
    );
    overwrite(path, (root - 1) * 4096, Buffer.alloc(4096, 0xa5));
    await assert.rejects(snapshot(path), (error: Error & { code?: string; path?: string }) => {
      assert.equal(error.code, 'corrupt', error.message);
      assert.ok(error.message.startsWith(path), error.message);
      assert.match(error.message, /\.suspect/);
      return true;
    });
  });
});
