import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { dialects, sendToHook } from '../support/agentHooks.ts';
import { contentOf, createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { isThorough } from '../support/operations.ts';
import { needProgram, root, run, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

interface Tool {
  files: Record<string, string>;
  /** Makes the database, where the tool does not take any. */
  make?: string[];
  command: string[];
  /** True after the loss. */
  isLost: string;
}

const packages = join(tmpdir(), 'sqlite-backup-agent-tools');
const ofNpm = (name: string, path: string): string[] => [
  process.execPath,
  join(packages, 'node_modules', name, path),
];

const tools: Record<string, () => Tool> = {
  'drizzle-kit push --force': () => ({
    files: {
      'drizzle.config.ts': `export default { dialect: 'sqlite', schema: './schema.ts', dbCredentials: { url: 'app.db' } };`,
      'schema.ts': `import { sqliteTable, integer } from 'drizzle-orm/sqlite-core';
        export const items = sqliteTable('items', { id: integer('id').primaryKey() });`,
    },
    command: [...ofNpm('drizzle-kit', 'bin.cjs'), 'push', '--force'],
    isLost: `SELECT count(*) = 0 FROM pragma_table_info('items') WHERE name = 'name'`,
  }),
  'knex migrate:rollback --all': () => ({
    files: {
      'knexfile.cjs': `module.exports = { client: 'better-sqlite3', connection: { filename: 'app.db' }, useNullAsDefault: true };`,
      'migrations/1_orders.cjs': `exports.up = (knex) => knex.schema.createTable('orders', (t) => { t.increments(); })
        .then(() => knex('orders').insert([{ id: 1 }, { id: 2 }]));
        exports.down = (knex) => knex.schema.dropTable('orders');`,
    },
    make: [...ofNpm('knex', 'bin/cli.js'), 'migrate:latest', '--knexfile', 'knexfile.cjs'],
    command: [
      ...ofNpm('knex', 'bin/cli.js'),
      ...['migrate:rollback', '--all', '--knexfile', 'knexfile.cjs'],
    ],
    isLost: `SELECT count(*) = 0 FROM sqlite_schema WHERE name = 'orders'`,
  }),
  'django-admin flush --no-input': () => ({
    files: {
      'shop.py': `DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'app.db'}}
INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth']
SECRET_KEY = 'x'
USE_TZ = True
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
`,
    },
    make: ['django-admin', 'migrate', '--settings', 'shop', '--pythonpath', '.'],
    command: ['django-admin', 'flush', '--no-input', '--settings', 'shop', '--pythonpath', '.'],
    isLost: `SELECT count(*) = 0 FROM auth_group`,
  }),
  'alembic downgrade base': () => ({
    files: {
      'alembic.ini': '[alembic]\nscript_location = alembic\nsqlalchemy.url = sqlite:///app.db\n',
      'alembic/env.py': `from alembic import context
from sqlalchemy import engine_from_config, pool
engine = engine_from_config(context.config.get_section('alembic'), prefix='sqlalchemy.', poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
`,
      'alembic/versions/a1_orders.py': `from alembic import op
import sqlalchemy as sa
revision = 'a1'
down_revision = None
def upgrade():
    op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))
    op.execute('INSERT INTO orders VALUES (1), (2)')
def downgrade():
    op.drop_table('orders')
`,
    },
    make: ['alembic', 'upgrade', 'head'],
    command: ['alembic', 'downgrade', 'base'],
    isLost: `SELECT count(*) = 0 FROM sqlite_schema WHERE name = 'orders'`,
  }),
};

describe('tools that lose databases, for real', function () {
  this.timeout(900_000);
  const folder = useTempFolder();

  before(function () {
    if (!isThorough || process.platform !== 'linux') this.skip();
    needProgram('django-admin', 'python3-django');
    needProgram('alembic', 'alembic');
    if (existsSync(join(packages, 'node_modules/better-sqlite3'))) return;
    mkdirSync(packages, { recursive: true });
    writeFileSync(join(packages, 'package.json'), '{"private":true}');
    const names = ['drizzle-kit', 'drizzle-orm', 'knex'];
    const { status, stderr } = spawnSync('npm', ['install', ...names], {
      cwd: packages,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    // The driver of this project has a binary for this Node.
    const driver = 'node_modules/better-sqlite3';
    symlinkSync(join(root, driver), join(packages, driver));
  });

  for (const [name, toolOf] of Object.entries(tools)) {
    it(`${name}: the hook has the state before it, and the restore brings it back`, async () => {
      const { files, make, command, isLost } = toolOf();
      const env = {
        XDG_DATA_HOME: folder('data'),
        PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
      };
      const work = folder('work');
      mkdirSync(join(work, '.git'), { recursive: true });
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(work, path)), { recursive: true });
        writeFileSync(join(work, path), text);
      }
      mkdirSync(join(work, 'node_modules'));
      for (const one of ['drizzle-orm', 'drizzle-kit', 'knex'])
        symlinkSync(join(packages, 'node_modules', one), join(work, 'node_modules', one));
      const database = join(work, 'app.db');
      if (make === undefined) createDatabase(database, { rows: 50 });
      else await runToEnd(make);
      if (name.startsWith('django'))
        withDatabase(database, (db) => db.exec(`INSERT INTO auth_group VALUES (1, 'staff')`));
      const expected = contentOf(database);
      const input = { command: command.join(' ') };
      const send = (event: 'PreToolUse' | 'PostToolUse'): ReturnType<typeof sendToHook> =>
        sendToHook(dialects.claude({ event, cwd: work, tool: 'Bash', input }), { env });

      assert.deepEqual((await send('PreToolUse')).answer, {});
      await runToEnd(command);
      assert.equal(valueOf(database, isLost), 1);
      const told = (await send('PostToolUse')).answer.hookSpecificOutput?.additionalContext ?? '';
      const [, id = ''] = /checkpoint ([0-9a-f]{8})/.exec(told) ?? [];

      const restored = await runCli(['restore', id, database, '--yes'], { env });
      assert.equal(restored.code, 0, restored.stderr);
      assert.deepEqual(contentOf(database), expected);

      async function runToEnd(what: string[]): Promise<void> {
        const { code, stdout, stderr } = await run(what, { cwd: work, env });
        assert.equal(code, 0, `${stdout}\n${stderr}`);
      }
    });
  }
});
