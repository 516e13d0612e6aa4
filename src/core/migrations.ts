/** How far the usual migration tools have brought a database. Pure: it is given a way to look, and never writes. */

export interface MigrationState {
  tool: string;
  /** The newest applied migration as the tool calls it; with several heads, joined by `, `. */
  latest: string;
  /** How many are applied; for a tool that keeps only its position, 1. */
  count: number;
}

/** What a reader needs to know of a database. Only ordinary tables are ever read: never a view, never a virtual table. */
export interface TableReader {
  /** Column names of an ordinary table, undefined when there is none of that name. */
  columnsOf: (table: string) => string[] | undefined;
  /** The rows of a query one by one, integers as bigint. */
  rows: (sql: string) => Iterable<Record<string, unknown>>;
  userVersion: number;
}

interface Description {
  tool: string;
  table: string;
  /** Columns that tell this tool from others which use the same table name. */
  columns: string[];
  /** Another table that must exist, or must not. */
  beside?: string;
  notBeside?: string;
  /** Columns that must be missing. */
  without?: string[];
  /** Applied migrations in the order of their application, the newest last, as `id`. */
  applied: string;
  /** The tool keeps only where it is: all rows together are the position. */
  heads?: boolean;
}

const descriptions: Description[] = [
  {
    tool: 'Alembic',
    table: 'alembic_version',
    columns: ['version_num'],
    applied: 'SELECT version_num AS id FROM alembic_version ORDER BY version_num',
    heads: true,
  },
  {
    tool: 'Django',
    table: 'django_migrations',
    columns: ['id', 'app', 'name'],
    applied: `SELECT app || '.' || name AS id FROM django_migrations ORDER BY django_migrations.id`,
  },
  {
    tool: 'Prisma',
    table: '_prisma_migrations',
    columns: ['migration_name', 'finished_at', 'rolled_back_at'],
    applied: `SELECT migration_name AS id FROM _prisma_migrations
      WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY finished_at, migration_name`,
  },
  {
    tool: 'Entity Framework',
    table: '__EFMigrationsHistory',
    columns: ['MigrationId'],
    applied: 'SELECT MigrationId AS id FROM __EFMigrationsHistory ORDER BY MigrationId',
  },
  {
    tool: 'golang-migrate',
    table: 'schema_migrations',
    columns: ['version', 'dirty'],
    applied: `SELECT version || CASE WHEN dirty THEN ' (dirty)' ELSE '' END AS id FROM schema_migrations`,
    heads: true,
  },
  {
    tool: 'Rails',
    table: 'schema_migrations',
    columns: ['version'],
    beside: 'ar_internal_metadata',
    without: ['dirty'],
    applied: 'SELECT version AS id FROM schema_migrations ORDER BY version',
  },
  {
    tool: 'dbmate',
    table: 'schema_migrations',
    columns: ['version'],
    notBeside: 'ar_internal_metadata',
    without: ['dirty', 'inserted_at'],
    applied: 'SELECT version AS id FROM schema_migrations ORDER BY version',
  },
  {
    tool: 'goose',
    table: 'goose_db_version',
    columns: ['id', 'version_id', 'is_applied'],
    // A roll-back is a row of its own, and version 0 is the tool's first row, not a migration.
    applied: `SELECT version_id AS id
      FROM (SELECT version_id, is_applied, max(id) FROM goose_db_version GROUP BY version_id)
      WHERE is_applied AND version_id > 0 ORDER BY version_id`,
  },
  {
    tool: 'Knex',
    table: 'knex_migrations',
    columns: ['id', 'name', 'batch'],
    applied: 'SELECT name AS id FROM knex_migrations ORDER BY knex_migrations.id',
  },
  {
    tool: 'Drizzle',
    table: '__drizzle_migrations',
    columns: ['hash', 'created_at'],
    applied: 'SELECT hash AS id FROM __drizzle_migrations ORDER BY created_at',
  },
  {
    tool: 'Sequelize',
    table: 'SequelizeMeta',
    columns: ['name'],
    applied: 'SELECT name AS id FROM SequelizeMeta ORDER BY name',
  },
  {
    tool: 'TypeORM',
    table: 'migrations',
    columns: ['id', 'timestamp', 'name'],
    applied: 'SELECT name AS id FROM migrations ORDER BY timestamp',
  },
  {
    tool: 'Laravel',
    table: 'migrations',
    columns: ['id', 'migration', 'batch'],
    applied: 'SELECT migration AS id FROM migrations ORDER BY migrations.id',
  },
  {
    tool: 'SQLx',
    table: '_sqlx_migrations',
    columns: ['version', 'success'],
    applied: 'SELECT version AS id FROM _sqlx_migrations WHERE success ORDER BY version',
  },
  {
    tool: 'Flyway',
    table: 'flyway_schema_history',
    columns: ['installed_rank', 'version', 'type', 'success'],
    // Undoing and deleting are rows of their own as well.
    applied: `SELECT version AS id
      FROM (SELECT version, type, max(installed_rank) AS rank FROM flyway_schema_history
        WHERE success AND version IS NOT NULL GROUP BY version)
      WHERE type NOT LIKE 'UNDO%' AND type <> 'DELETE' ORDER BY rank`,
  },
  {
    tool: 'Phinx',
    table: 'phinxlog',
    columns: ['version', 'end_time'],
    applied: 'SELECT version AS id FROM phinxlog WHERE end_time IS NOT NULL ORDER BY version',
  },
];

/** The state of every tool that has been at work, `user_version` last when the application sets it. */
export function readMigrations(reader: TableReader): MigrationState[] {
  const states = descriptions.flatMap((description) => readOne(reader, description));
  const { userVersion } = reader;
  return userVersion === 0
    ? states
    : [...states, { tool: 'user_version', latest: String(userVersion), count: 1 }];
}

function readOne(reader: TableReader, description: Description): MigrationState[] {
  const { tool, table, columns, beside, notBeside, without, applied, heads } = description;
  const present = reader.columnsOf(table);
  if (present === undefined || !columns.every((column) => present.includes(column))) return [];
  if (without?.some((column) => present.includes(column))) return [];
  if (beside !== undefined && reader.columnsOf(beside) === undefined) return [];
  if (notBeside !== undefined && reader.columnsOf(notBeside) !== undefined) return [];
  try {
    let count = 0;
    const newest: string[] = [];
    for (const row of reader.rows(applied)) {
      count++;
      newest.push(idText(row['id']));
      if (newest.length > mostHeads) newest.shift();
    }
    const latest = heads ? newest.join(', ') : (newest.at(-1) ?? '');
    return [{ tool, latest, count: heads ? Math.min(count, 1) : count }];
  } catch {
    // A table of that name which cannot be read here, for want of a collation or because of damage, is for the check to
    // judge. It must not keep the database from its backup.
    return [];
  }
}

const mostHeads = 5;

function idText(id: unknown): string {
  const text =
    typeof id === 'string' || typeof id === 'number' || typeof id === 'bigint' ? String(id) : '';
  return text.slice(0, 200);
}
