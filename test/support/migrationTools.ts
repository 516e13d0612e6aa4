/** Projects of migration tools, each with two migrations that are applied, and a third that is an accident. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder } from './hosts/lifetime.ts';
import { needProgram, run } from './processes.ts';

export type Accident = 'run' | 'failed' | 'dropped';

export interface MigrationTool {
  name: string;
  /** What the first two migrations need, and the configuration. */
  files: Record<string, string>;
  /** The third migration: one that works, one that fails half-way, one that drops a table. */
  third: (accident: Accident) => Record<string, string>;
  migrate: string[];
  /** How the tool empties a database. */
  reset: string[];
  /** What the tool says of the state of its database, without times. */
  status: string[];
  from: 'npm' | 'debian' | 'replay';
  env?: Record<string, string>;
}

const node = process.execPath;
const bin = (path: string, ...args: string[]): string[] => [node, `node_modules/${path}`, ...args];

/** SQL of the third migration. The failing one has lost rows by then. */
const sqlOf: Record<Accident, string[]> = {
  run: ['CREATE TABLE refunds (id INTEGER PRIMARY KEY)', 'UPDATE orders SET note = id'],
  failed: ['DELETE FROM orders WHERE id > 10', 'INSERT INTO nowhere VALUES (1)'],
  dropped: ['DROP TABLE orders'],
};
const ordersSql = 'CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER)';
const noteSql = 'ALTER TABLE orders ADD COLUMN note TEXT';

/** Rows that people have entered since: 500 orders, and what no migration brings back. */
export const workSql = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
  INSERT INTO orders (id, amount, note) SELECT i, i * 7, 'by hand ' || i FROM n`;

const quoted = (sql: readonly string[]): string => JSON.stringify(sql);

const drizzleFolder = (migrations: Record<string, string[]>): Record<string, string> => ({
  'drizzle/meta/_journal.json': JSON.stringify({
    ...{ version: '7', dialect: 'sqlite' },
    entries: Object.keys(migrations).map((tag, idx) => ({
      ...{ idx, version: '6', when: 1_700_000_000_000 + idx, tag, breakpoints: true },
    })),
  }),
  ...Object.fromEntries(
    Object.entries(migrations).map(([tag, sql]) => [
      `drizzle/${tag}.sql`,
      sql.map((one) => `${one};`).join('\n--> statement-breakpoint\n'),
    ]),
  ),
});
const drizzleFirst = { '0000_orders': [ordersSql], '0001_note': [noteSql] };

const drizzle: MigrationTool = {
  name: 'drizzle-kit',
  from: 'npm',
  files: {
    'drizzle.config.cjs': `module.exports = { dialect: 'sqlite', schema: './schema.cjs', out: './drizzle', dbCredentials: { url: './app.db' } };`,
    // A schema file that was emptied, or is not found by its name any more: push drops what it does not name.
    'schema.cjs': 'module.exports = {};',
    ...drizzleFolder(drizzleFirst),
  },
  third: (accident) => drizzleFolder({ ...drizzleFirst, '0002_third': sqlOf[accident] }),
  migrate: bin('drizzle-kit/bin.cjs', 'migrate', '--config', 'drizzle.config.cjs'),
  reset: bin('drizzle-kit/bin.cjs', 'push', '--force', '--config', 'drizzle.config.cjs'),
  // It has no word for the status: what it reads from the database is compared.
  status: [
    ...['sh', '-c'],
    '"$0" node_modules/drizzle-kit/bin.cjs introspect --dialect sqlite --url app.db --out introspected >/dev/null && cat introspected/schema.ts',
    node,
  ],
};

const knexMigration = (sql: readonly string[]): string =>
  `exports.config = { transaction: false };
   exports.up = async (knex) => { for (const sql of ${quoted(sql)}) await knex.raw(sql); };
   exports.down = (knex) => knex.raw('DROP TABLE IF EXISTS orders');`;

const knex: MigrationTool = {
  name: 'Knex',
  from: 'npm',
  files: {
    'knexfile.js': `module.exports = { client: 'better-sqlite3', connection: { filename: './app.db' }, useNullAsDefault: true };`,
    'migrations/1_orders.js': knexMigration([ordersSql]),
    'migrations/2_note.js': knexMigration([noteSql]),
  },
  third: (accident) => ({ 'migrations/3_third.js': knexMigration(sqlOf[accident]) }),
  migrate: bin('knex/bin/cli.js', 'migrate:latest'),
  reset: bin('knex/bin/cli.js', 'migrate:rollback', '--all'),
  status: bin('knex/bin/cli.js', 'migrate:status'),
};

const sequelizeMigration = (sql: readonly string[]): string =>
  `module.exports = {
     async up(query) { for (const sql of ${quoted(sql)}) await query.sequelize.query(sql); },
     down: (query) => query.sequelize.query('DROP TABLE IF EXISTS orders'),
   };`;

const sequelize: MigrationTool = {
  name: 'Sequelize',
  from: 'npm',
  files: {
    'config/config.json': JSON.stringify({
      development: { dialect: 'sqlite', storage: './app.db', logging: false },
    }),
    'models/index.js': '',
    'migrations/1-orders.js': sequelizeMigration([ordersSql]),
    'migrations/2-note.js': sequelizeMigration([noteSql]),
  },
  third: (accident) => ({ 'migrations/3-third.js': sequelizeMigration(sqlOf[accident]) }),
  migrate: bin('sequelize-cli/lib/sequelize', 'db:migrate'),
  reset: bin('sequelize-cli/lib/sequelize', 'db:migrate:undo:all'),
  status: bin('sequelize-cli/lib/sequelize', 'db:migrate:status'),
};

const typeOrmMigration = (at: number, sql: readonly string[]): string =>
  `exports.Third${at} = class Third${at} {
     name = 'Third${at}'; transaction = false;
     async up(runner) { for (const sql of ${quoted(sql)}) await runner.query(sql); }
     async down(runner) { await runner.query('DROP TABLE IF EXISTS orders'); }
   };`;

const typeOrm: MigrationTool = {
  name: 'TypeORM',
  from: 'npm',
  files: {
    'source.js': `const { DataSource } = require('typeorm');
      module.exports = new DataSource({ type: 'better-sqlite3', database: './app.db', migrations: ['./migrations/*.js'], migrationsTransactionMode: 'none' });`,
    'migrations/1.js': typeOrmMigration(1_700_000_000_001, [ordersSql]),
    'migrations/2.js': typeOrmMigration(1_700_000_000_002, [noteSql]),
  },
  third: (accident) => ({
    'migrations/3.js': typeOrmMigration(1_700_000_000_003, sqlOf[accident]),
  }),
  migrate: bin('typeorm/cli.js', 'migration:run', '-d', 'source.js'),
  reset: bin('typeorm/cli.js', 'schema:drop', '-d', 'source.js'),
  status: bin('typeorm/cli.js', 'migration:show', '-d', 'source.js'),
};

const python = '/usr/bin/python3';
const djangoMigration = (n: number, operations: string): string =>
  `from django.db import migrations, models
class Migration(migrations.Migration):
    atomic = False
    dependencies = [${n === 1 ? '' : `('shop', '000${n - 1}_x')`}]
    operations = [${operations}]
`;
const djangoSql = (sql: readonly string[]): string =>
  sql.map((one) => `migrations.RunSQL(${JSON.stringify(one)}, migrations.RunSQL.noop)`).join(', ');

const django: MigrationTool = {
  name: 'Django',
  from: 'debian',
  env: { DJANGO_SETTINGS_MODULE: 'settings', PYTHONPATH: '.', PYTHONDONTWRITEBYTECODE: '1' },
  files: {
    'settings.py': `SECRET_KEY = 'x'
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'app.db'}}
INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'shop']
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
`,
    'shop/__init__.py': '',
    'shop/models.py': `from django.db import models
class Order(models.Model):
    amount = models.IntegerField(null=True)
    note = models.TextField(null=True)
    class Meta:
        db_table = 'orders'
`,
    'shop/migrations/__init__.py': '',
    'shop/migrations/0001_x.py': djangoMigration(
      1,
      `migrations.CreateModel('Order', [('id', models.AutoField(primary_key=True)), ('amount', models.IntegerField(null=True))], {'db_table': 'orders'})`,
    ),
    'shop/migrations/0002_x.py': djangoMigration(
      2,
      `migrations.AddField('Order', 'note', models.TextField(null=True))`,
    ),
  },
  third: (accident) => ({
    'shop/migrations/0003_x.py': djangoMigration(
      3,
      accident === 'dropped' ? `migrations.DeleteModel('Order')` : djangoSql(sqlOf[accident]),
    ),
  }),
  migrate: [python, '-m', 'django', 'migrate', '--noinput'],
  reset: [python, '-m', 'django', 'flush', '--noinput'],
  status: [python, '-m', 'django', 'showmigrations'],
};

const alembicMigration = (n: number, sql: readonly string[]): string =>
  `from alembic import op
revision = '${n}'
down_revision = ${n === 1 ? 'None' : `'${n - 1}'`}
def upgrade():
    with op.get_context().autocommit_block():
        for sql in ${quoted(sql)}:
            op.execute(sql)
def downgrade():
    op.execute('DROP TABLE IF EXISTS orders')
`;

const alembic: MigrationTool = {
  name: 'Alembic',
  from: 'debian',
  env: { PYTHONDONTWRITEBYTECODE: '1' },
  files: {
    'alembic.ini': '[alembic]\nscript_location = migrations\nsqlalchemy.url = sqlite:///app.db\n',
    'migrations/env.py': `from alembic import context
from sqlalchemy import create_engine
engine = create_engine('sqlite:///app.db')
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
`,
    'migrations/versions/1.py': alembicMigration(1, [ordersSql]),
    'migrations/versions/2.py': alembicMigration(2, [noteSql]),
  },
  third: (accident) => ({ 'migrations/versions/3.py': alembicMigration(3, sqlOf[accident]) }),
  migrate: [python, '-m', 'alembic.config', 'upgrade', 'head'],
  reset: [python, '-m', 'alembic.config', 'downgrade', 'base'],
  status: [python, '-m', 'alembic.config', 'current', '--verbose'],
};

/**
 * Prisma downloads its engine when it runs. What that does to the file is replayed: `migrate reset` truncates it in place,
 * under an open connection, and applies all migrations (schema-engine, sql-schema-connector, flavour/sqlite).
 */
const prisma: MigrationTool = {
  name: 'Prisma, replayed',
  from: 'replay',
  files: {
    'replay.cjs': `const { readdirSync, readFileSync, writeFileSync } = require('node:fs');
      const open = () => new (require(process.env.DRIVER))('app.db');
      const [word] = process.argv.slice(2);
      if (word === 'status') {
        console.log(open().prepare('SELECT migration_name, applied_steps_count FROM _prisma_migrations ORDER BY 1').all());
        process.exit();
      }
      if (word === 'reset') {
        const held = open();
        held.pragma('locking_mode = NORMAL');
        held.pragma('quick_check');
        writeFileSync('app.db', '');
        held.close();
      }
      const db = open();
      db.exec('CREATE TABLE IF NOT EXISTS _prisma_migrations (id TEXT PRIMARY KEY, migration_name TEXT, applied_steps_count INTEGER)');
      const has = db.prepare('SELECT count(*) FROM _prisma_migrations WHERE migration_name = ?').pluck();
      for (const name of readdirSync('migrations').sort()) {
        if (has.get(name)) continue;
        db.prepare('INSERT INTO _prisma_migrations VALUES (?, ?, 0)').run(name, name);
        for (const sql of JSON.parse(readFileSync('migrations/' + name, 'utf8'))) db.exec(sql);
        db.prepare('UPDATE _prisma_migrations SET applied_steps_count = 1 WHERE migration_name = ?').run(name);
      }`,
    'migrations/1': quoted([ordersSql]),
    'migrations/2': quoted([noteSql]),
  },
  third: (accident) => ({ 'migrations/3': quoted(sqlOf[accident]) }),
  migrate: [node, 'replay.cjs', 'deploy'],
  reset: [node, 'replay.cjs', 'reset'],
  status: [node, 'replay.cjs', 'status'],
  env: { DRIVER: join(import.meta.dirname, '../../node_modules/better-sqlite3') },
};

export const migrationTools = [
  ...[drizzle, knex, sequelize, typeOrm],
  ...[django, alembic, prisma],
] as const;

/** Versions that were tried. A newer one may have other options. */
const packages = [
  ...['better-sqlite3@13.2.0', 'drizzle-orm@0.45.4', 'drizzle-kit@0.31.11', 'knex@3.3.0'],
  ...['sequelize@6.37.8', 'sequelize-cli@6.6.5', 'typeorm@1.1.1', 'sqlite3@6.0.1'],
];

let installed: Promise<string> | undefined;

/** Makes the tool usable: undefined, or why it cannot be had on this machine. */
export async function whyMissing({ from, name }: MigrationTool): Promise<string | undefined> {
  try {
    if (from === 'npm') installed = installed ?? installPackages();
    if (from === 'npm') await installed;
    if (from === 'debian' && name === 'Django') needProgram('django-admin', 'python3-django');
    if (from === 'debian' && name === 'Alembic') needProgram('alembic', 'alembic');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The folder with node_modules: that of MIGRATION_TOOLS, or a temporary one. */
async function installPackages(): Promise<string> {
  const given = process.env['MIGRATION_TOOLS'];
  if (given !== undefined) return given;
  const { path } = temporaryFolder('tools');
  writeFileSync(join(path, 'package.json'), '{"private":true}');
  // Some of them name older versions of the same driver.
  const options = ['--no-audit', '--no-fund', '--legacy-peer-deps'];
  const npm = ['npm', 'install', ...options, ...packages];
  const { code, stderr } = await run(npm, { cwd: path });
  if (code !== 0) throw new Error(`npm install failed: ${stderr.slice(-500)}`);
  return path;
}

/** Writes the project of the tool. */
export async function makeProject(tool: MigrationTool, folder: string): Promise<void> {
  writeFiles(folder, tool.files);
  const target = join(folder, 'node_modules');
  if (tool.from === 'npm' && installed !== undefined && !existsSync(target))
    symlinkSync(join(await installed, 'node_modules'), target);
}

export function writeFiles(folder: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}
