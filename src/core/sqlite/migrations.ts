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

export type MigrationVerdict = 'same' | 'behind' | 'ahead' | 'different' | 'unknown';

export interface MigrationComparison {
  backup: MigrationState[];
  live: MigrationState[];
  /** Of the backup against the live database. */
  verdict: MigrationVerdict;
  /** The verdict as sentences for a person. */
  words: string;
}

interface ToolDifference {
  verdict: Exclude<MigrationVerdict, 'unknown'>;
  /** Migrations between the two; 0 where the tool keeps no count. */
  by: number;
  words: string;
}

/** How the migrations of a backup stand to those of the live database, which is undefined when it cannot be read. */
export function compareMigrations(
  backup: MigrationState[],
  live: MigrationState[] | undefined,
): MigrationComparison {
  if (live === undefined) {
    const words =
      backup.length === 0
        ? 'The backup has no migrations of a known tool.'
        : `The backup is at ${backup.map(positionOf).join('; ')}. There is no live database to compare with.`;
    return { backup, live: [], verdict: 'unknown', words };
  }
  const tools = [...new Set([...live, ...backup].map(({ tool }) => tool))];
  if (tools.length === 0) {
    const words = 'Neither side has migrations of a known tool.';
    return { backup, live, verdict: 'unknown', words };
  }
  const find = (states: MigrationState[], tool: string): MigrationState | undefined =>
    states.find((one) => one.tool === tool);
  const differences = tools.map((tool) => compareTool(tool, find(backup, tool), find(live, tool)));
  const verdict = summarize(differences.map((one) => one.verdict));
  const details = differences.map(({ words }) => words).join('; ');
  const by = differences.reduce((sum, one) => sum + one.by, 0);
  return { backup, live, verdict, words: `${sentences[verdict](by)} (${details}).` };
}

const sentences: Readonly<Record<ToolDifference['verdict'], (by: number) => string>> = {
  same: () => 'Both are at the same migration',
  behind: (by) =>
    by === 0
      ? 'The backup is behind: run your migrations after the restore, or start the matching build'
      : by === 1
        ? 'The backup is 1 migration behind: run your migrations after the restore, or start the matching build'
        : `The backup is ${by} migrations behind: run your migrations after the restore, or start the matching build`,
  ahead: (by) =>
    by === 0
      ? 'The backup is ahead of the live database: do not start an older build on it'
      : by === 1
        ? 'The backup is 1 migration ahead of the live database: do not start an older build on it'
        : `The backup is ${by} migrations ahead of the live database: do not start an older build on it`,
  different: () => 'The migrations differ: start a build that has the migrations of the backup',
};

function summarize(verdicts: ToolDifference['verdict'][]): ToolDifference['verdict'] {
  const others = [...new Set(verdicts.filter((one) => one !== 'same'))];
  const [only = 'same'] = others;
  return others.length > 1 ? 'different' : only;
}

function compareTool(
  tool: string,
  backup: MigrationState | undefined,
  live: MigrationState | undefined,
): ToolDifference {
  const words = `${tool}: ${backup?.latest ?? 'none'} in the backup, ${live?.latest ?? 'none'} live`;
  // A tool that keeps only its position has no count to tell.
  const countOf = (state: MigrationState | undefined): number =>
    state === undefined ? 0 : isPosition(state) ? 1 : state.count;
  if (backup === undefined || live === undefined) {
    const state = backup ?? live;
    const by = state === undefined || isPosition(state) ? 0 : countOf(state);
    return { verdict: backup === undefined ? 'behind' : 'ahead', by, words };
  }
  if (backup.latest === live.latest && backup.count === live.count)
    return { verdict: 'same', by: 0, words: `${positionOf(backup)}` };
  const by = isPosition(backup) ? numberOf(backup) - numberOf(live) : backup.count - live.count;
  if (!Number.isFinite(by) || by === 0) return { verdict: 'different', by: 0, words };
  const counted = isPosition(backup) ? 0 : Math.abs(by);
  return { verdict: by < 0 ? 'behind' : 'ahead', by: counted, words };
}

const positionTools = new Set([
  'user_version',
  ...descriptions.filter(({ heads }) => heads === true).map(({ tool }) => tool),
]);

function isPosition({ tool }: MigrationState): boolean {
  return positionTools.has(tool);
}

/** NaN where positions have no order, as those of Alembic. */
function numberOf({ latest }: MigrationState): number {
  return /^\d+( \(dirty\))?$/.test(latest) ? Number.parseInt(latest, 10) : NaN;
}

function positionOf({ tool, latest, count }: MigrationState): string {
  return positionTools.has(tool) ? `${tool} ${latest}` : `${tool} ${latest}, ${count} applied`;
}
