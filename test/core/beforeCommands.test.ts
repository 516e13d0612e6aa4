import assert from 'node:assert/strict';
import { readFileSync, rmSync, utimesSync } from 'node:fs';
import { resolve } from 'node:path';
import { isUnwrittenSince } from '../../src/core/checkpoint/began.ts';
import { takeCheckpoints } from '../../src/core/checkpoint/checkpoint.ts';
import {
  CommandTurns,
  matchesCommand,
  type Moment,
  momentOfNow,
} from '../../src/core/checkpoint/commands.ts';
import { isLineOfTask } from '../../src/editor/protection/linesOfTasks.ts';
import { problemWith, type SettingSchema } from '../../src/editor/settingCheck.ts';
import { createDatabase, manifestOf, valueOf, withDatabase } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const manifest = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../package.json'), 'utf8'),
) as {
  contributes: {
    configuration: { properties: Record<string, SettingSchema & { default: unknown }> };
  };
};
const setting = manifest.contributes.configuration.properties['sqliteBackup.before.commands'];
const standard = setting?.default as string[];

describe('a command line', () => {
  for (const line of [
    'npx prisma migrate dev --name init',
    'npx prisma@6.1 --schema x/schema.prisma db push --accept-data-loss',
    'pnpm exec drizzle-kit push',
    'drizzle-kit push:sqlite',
    './node_modules/.bin/knex migrate:rollback --all',
    'node_modules\\.bin\\knex.cmd migrate:latest',
    'npx sequelize-cli db:migrate:undo',
    'sequelize db:drop',
    'npx typeorm-ts-node-esm migration:run -d ./data.ts',
    'typeorm schema:sync',
    'DEBUG=1 python3 ./manage.py migrate shop 0003',
    'cd app && python manage.py flush --no-input',
    'django-admin loaddata seed.json',
    'alembic -c alembic.ini upgrade head',
    'flask --app shop db downgrade',
    'bundle exec rails db:reset',
    'bin/rake db:drop',
    'php artisan migrate:fresh --seed',
    './vendor/bin/sail artisan db:wipe',
    'sqlx migrate run',
    'cargo sqlx database reset -y',
    'goose -dir migrations sqlite3 ./app.db up-to 3',
    'dbmate --url sqlite:app.db rollback',
    'flyway -url=jdbc:sqlite:app.db clean',
    'Prisma Migrate Reset',
    'sh -c "cd app; npx prisma migrate reset --force"',
    "docker compose exec web bash -lc 'python manage.py migrate'",
    'npx prisma \\\n  migrate deploy',
  ])
    it(`that changes a database is known: ${line.replace('\n', ' ')}`, () => {
      assert.ok(matchesCommand(line, standard));
    });

  for (const line of [
    '',
    ';;&&||',
    'prisma generate && echo migrate',
    'git commit -m "prisma migrate dev"',
    'migrate prisma',
    'cat prisma.md',
    'python manage.py runserver',
    'alembic history',
    'rails server',
    'goose run --recipe x',
    "'unclosed prisma migrate",
  ])
    it(`that changes none is none: ${line}`, () => {
      assert.equal(matchesCommand(line, standard), false);
    });

  it('costs little, whatever the pattern and the line', () => {
    const line = `${'a'.repeat(50_000)} ${'a '.repeat(50_000)}`;
    const patterns = [`${'*a'.repeat(60)}b`, `${'a* '.repeat(60)}b`, '*', ' ', ...standard];
    const before = process.cpuUsage();
    assert.equal(matchesCommand(line, patterns), true);
    assert.equal(matchesCommand(line, patterns.slice(0, 2)), false);
    const { user } = process.cpuUsage(before);
    assert.ok(user < 2e6, `${user} µs`);
  });

  it('is matched by `*` within words, and by nothing that is empty', () => {
    assert.ok(matchesCommand('npm run db:reset', ['npm run db:*']));
    assert.ok(matchesCommand('ls', ['*']));
    assert.ok(matchesCommand('abcabc', ['a*bc']) && !matchesCommand('ab', ['ab*b']));
    for (const none of [[], [''], ['  '], ['npm run db']])
      assert.equal(matchesCommand('npm run db:reset', none), false);
  });
});

describe('the patterns of commands', () => {
  it('are refused when they are empty, or are several commands', () => {
    assert.equal(problemWith(standard, setting), undefined);
    for (const bad of ['', '  ', 'a && b', 'a; b', 'a | b', 'a\nb'])
      assert.equal(problemWith(['npm run x', bad], setting)?.expected, 'commands', bad);
    for (const good of ['*', 'npm run x', 'prisma migrate', '数据库 迁移'])
      assert.equal(problemWith([good], setting), undefined, good);
  });
});

describe('commands that match', () => {
  it('get one checkpoint at a time, a few at once, and then one in each quarter of a minute', () => {
    const turns = new CommandTurns();
    let taken = 0;
    // A pattern that matches everything, and a command each 50 ms for ten minutes.
    for (let at = 0; at < 600_000; at += 50) {
      if (turns.begin(`ls ${at}`, at) !== 'go') continue;
      taken += 1;
      assert.equal(turns.begin('another', at + 1), 'busy');
      turns.ended();
    }
    assert.ok(taken >= 40 && taken <= 45, `${taken} checkpoints`);
  });

  it('get one when the task and its terminal tell of the same', () => {
    const turns = new CommandTurns();
    assert.equal(turns.begin('npm run migrate', 0), 'go');
    assert.equal(turns.begin('npm run migrate', 30), 'same');
    turns.ended();
    assert.equal(turns.begin('npm run migrate', 900), 'same');
    assert.equal(turns.begin('npm run migrate', 3500), 'go');
  });
});

describe('a checkpoint before a command', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const app = (): string => folder('app.db');
  /** As if it began so much later than now, or earlier. */
  const beganIn = (ms: number): Moment => {
    const { atMs, steadyMs } = momentOfNow();
    return { atMs: atMs + ms, steadyMs: steadyMs + ms };
  };
  const change = (): void =>
    withDatabase(app(), (db) => void db.exec("UPDATE items SET name = 'x' WHERE id = 1"));
  const momentOf = async (began: Moment | undefined): Promise<string | undefined> => {
    const { checkpoints, failures } = await takeCheckpoints(
      {
        databases: [{ database: app(), recordAs: { path: 'app.db' } }],
        ...{ checkpoints: folder('checkpoints'), trigger: 'task', force: true, began },
        cause: { kind: 'terminal', text: 'npx prisma migrate dev' },
        ...{ busyTimeoutMs: 1000, largestBytes: 1e9, largestTotalBytes: 1e9, toolVersion: '0' },
      },
      { onProgress: () => undefined, beforePublish: () => Promise.resolve() },
    );
    assert.deepEqual(failures, []);
    return manifestOf(checkpoints[0]?.path ?? '').cause?.moment;
  };

  for (const journalMode of ['delete', 'wal'] as const)
    it(`is called so only when the times of the files prove it (${journalMode})`, async () => {
      createDatabase(app(), { journalMode });
      await holdOpen(app(), 'SELECT count(*) FROM items');
      change();
      assert.equal(await momentOf(undefined), undefined);
      assert.equal(await momentOf(beganIn(-500)), 'may-include', 'written after it began');
      assert.equal(await momentOf(beganIn(0)), 'may-include', 'written just before');
      assert.equal(await momentOf(beganIn(15_000)), 'before');
      assert.equal(valueOf(app(), 'SELECT name FROM items WHERE id = 1'), 'x');
    });

  it('is not proved where the clock was set, on a shared file system, or without a file', () => {
    createDatabase(app());
    const began = beganIn(15_000);
    const local = { shared: () => undefined };
    assert.equal(isUnwrittenSince(app(), began, local), process.platform !== 'win32');
    for (const jump of [-60_000, -2000, 2000, 60_000]) {
      const now = { ...momentOfNow(), atMs: Date.now() + jump };
      assert.equal(isUnwrittenSince(app(), began, { ...local, now }), false, `${jump} ms`);
    }
    assert.equal(isUnwrittenSince(app(), began, { shared: () => 'nfs' }), false);
    const fails = (): never => {
      throw new Error('the mount is gone');
    };
    assert.equal(isUnwrittenSince(app(), began, { shared: fails }), false);
    assert.equal(isUnwrittenSince(folder('none.db'), began, local), false);
    // A program may set the time of its change back, but not the one that the system keeps.
    utimesSync(app(), 0, 0);
    assert.equal(isUnwrittenSince(app(), beganIn(0), local), false);
    rmSync(app());
  });
});

describe('the line of a task in its terminal', () => {
  it('is no command of a person', () => {
    for (const line of [' *  Executing task: npm test ', ' *  Ausführen der Aufgabe: npm test '])
      assert.equal(isLineOfTask(line), true);
    for (const line of ['npm test', '* x', 'ls *  a', '']) assert.equal(isLineOfTask(line), false);
  });
});
