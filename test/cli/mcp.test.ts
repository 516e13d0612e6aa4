import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { mcpArguments } from '../../src/agents/mcpCommand.ts';
import { toolNames } from '../../src/agents/toolList.ts';
import { createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import { isThorough, itInPart } from '../support/operations.ts';
import { cliEntry, endAfterEach, endProcessesAfterEach, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the tools for agents over MCP', function () {
  this.timeout(60_000);
  endProcessesAfterEach();
  const folder = useTempFolder();
  let database = '';
  let env: Record<string, string> = {};
  let client: Client | undefined;

  beforeEach(() => {
    mkdirSync(folder('work/.git'), { recursive: true });
    database = createDatabase(folder('work/app.db'), { rows: 100 });
    env = { XDG_DATA_HOME: folder('data'), PATH: process.env['PATH'] ?? '' };
  });
  afterEach(async () => {
    await client?.close();
    client = undefined;
  });

  async function connect(args = [cliEntry, 'mcp'], cwd = folder('work')): Promise<Client> {
    client = new Client({ name: 'a test', version: '1' });
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args,
        cwd,
        env,
        stderr: 'ignore',
      }),
    );
    return client;
  }

  async function call(
    tool: string,
    input: Record<string, unknown> = {},
  ): Promise<{ text: string; isError: boolean }> {
    const name = `sqlite-backup_${tool}`;
    const { content, isError } = await (client ?? (await connect())).callTool({
      name,
      arguments: input,
    });
    const [first] = content as { type: string; text: string }[];
    const text = first?.text ?? '';
    assert.ok(Buffer.byteLength(text) <= 2048, `${Buffer.byteLength(text)} bytes`);
    return { text, isError: isError === true };
  }

  itInPart(
    'serves the folders of a window wherever its process starts, with the arguments that the editor gives',
    async () => {
      mkdirSync(folder('other'));
      createDatabase(folder('other/jobs.db'), { rows: 3 });
      const args = mcpArguments({
        cli: cliEntry,
        folders: [folder('work'), folder('other')],
        backupsFolder: folder('backups'),
        checkpoints: folder('checkpoints'),
      });
      await connect(args, folder());
      const { text } = await call('list_databases');
      assert.match(text, /app\.db/);
      assert.match(text, /jobs\.db/);
      const saved = await call('create_checkpoint', { database_paths: [database], reason: 'x' });
      assert.equal(saved.isError, false, saved.text);
      assert.equal(
        readdirSync(folder('checkpoints')).some((name) => name.endsWith('.db')),
        true,
      );
    },
  );

  it('refuses what is not in the workspace, and what is no database, before it opens it', async function () {
    if (process.platform === 'win32') this.skip();
    createDatabase(folder('outside.db'), { rows: 1 });
    symlinkSync(folder('outside.db'), folder('work/link.db'));
    writeFileSync(folder('work/text.db'), 'no database');
    execFileSync('mkfifo', [folder('work/pipe.db')]);
    const outside = [
      ...['/etc/passwd', '../outside.db', folder('outside.db'), folder('work/link.db')],
      ...[`${database}/../../outside.db`, '/nonexistent', folder('work'), `${database}\0x`],
    ];
    for (const path of outside)
      for (const tool of ['create_checkpoint', 'list_backups', 'compare']) {
        const input = { database_path: path, database_paths: [path], reason: 'x' };
        const { text, isError } = await call(tool, { ...input, left: path, right: database });
        assert.ok(isError);
        assert.match(text, /is not in the workspace\.$/);
      }
    for (const name of ['text.db', 'pipe.db', 'absent.db', '.git']) {
      const path = folder(`work/${name}`);
      const { text, isError } = await call('create_checkpoint', {
        ...{ database_paths: [path], reason: 'x' },
      });
      assert.ok(isError, text);
      assert.match(text, /is no live SQLite database/);
    }
  });

  it('refuses arguments of another shape in words, and names that are no ids', async () => {
    for (const [tool, input] of [
      ['list_backups', {}],
      ['list_backups', { database_path: 7 }],
      ['list_backups', { database_path: database, limit: 1e9 }],
      ['create_checkpoint', { database_paths: [], reason: 'x' }],
      ['create_checkpoint', { database_paths: Array(21).fill(database), reason: 'x' }],
      ['verify', { backup_id: '../../etc/passwd' }],
      ['verify', { backup_id: 'ffffffffffff' }],
      ['plan_restore', { backup_id: database }],
      ['restore', { backup_id: 'abcd' }],
    ] as [string, Record<string, unknown>][]) {
      const { text, isError } = await call(tool, input);
      assert.ok(isError, `${tool}: ${text}`);
      assert.notEqual(text, '');
    }
  });

  it('saves, lists, compares, checks and plans, and shows no value of any cell', async () => {
    withDatabase(database, (db) => {
      db.exec("UPDATE items SET name = 'a secret' WHERE id = 1");
    });
    assert.match((await call('list_databases')).text, /work\/app\.db {2}.* rollback$/);
    const saved = await call('create_checkpoint', { database_paths: [database], reason: 'seed' });
    const [, id = ''] = /^app\.db: saved as ([0-9a-f]{12})$/.exec(saved.text) ?? [];
    assert.notEqual(id, '', saved.text);
    // The next one within the same seconds.
    const soon = await call('create_checkpoint', { database_paths: [database], reason: 'again' });
    assert.ok(soon.isError);
    assert.match(soon.text, /^app\.db was saved just now\. Ask again in [1-5] s\.$/);

    const list = (await call('list_backups', { database_path: database })).text;
    assert.match(list, new RegExp(`^${id} .* not checked yet {2}agent: seed$`));
    withDatabase(database, (db) => {
      db.exec('DELETE FROM items WHERE id <= 40');
    });
    const compared = await call('compare', { left: id.slice(0, 6), right: database });
    assert.match(
      compared.text,
      new RegExp(`^items: 40 rows only in ${id}, 0 only in app.db, 0 ch`, 'm'),
    );
    assert.equal((await call('verify', { backup_id: id })).text, `${id}: verified`);
    const plan = (await call('plan_restore', { backup_id: id })).text;
    assert.match(plan, /^items: brings back 40 rows, loses 0, changes 0$/m);
    assert.match(plan, new RegExp(`vscode://sqlite-backup.sqlite-backup/runbook\\?backup=${id}$`));
    const resource = await client?.readResource({ uri: `sqlite-backup://backup/${id}` });
    const details = JSON.stringify(resource?.contents);
    assert.match(details, /verified/);
    for (const text of [list, compared.text, plan, details]) {
      assert.doesNotMatch(text, /a secret/);
      assert.doesNotMatch(text, /checkpoints\//); // Where the copies are.
    }
    // Gone, as after the loss: its backups are still told.
    rmSync(database);
    assert.match((await call('list_backups', { database_path: database })).text, new RegExp(id));
    assert.match((await call('plan_restore', { backup_id: id })).text, /no longer exists/);
  });

  it('tells nothing of the backups of other workspaces', async () => {
    mkdirSync(folder('other'));
    const other = createDatabase(folder('other/app.db'), { rows: 3 });
    const { stdout } = await runCli(['checkpoint', other], { env });
    const id = stdout.slice(0, 12);
    for (const tool of ['verify', 'plan_restore'])
      assert.deepEqual(await call(tool, { backup_id: id }), {
        text: `There is no backup ${id} of this workspace.`,
        isError: true,
      });
    await assert.rejects((await connect()).readResource({ uri: `sqlite-backup://backup/${id}` }));
    for (const uri of ['file:///etc/passwd', 'sqlite-backup://backup/../../x'])
      await assert.rejects(client?.readResource({ uri }) ?? Promise.resolve());
  });

  it('takes no backup of another project for one of the same path here', async () => {
    const shared = folder('shared');
    env = { ...env, BACKUPS_DIR: shared };
    const own = { path: 'app.db', workspace: 'work' };
    await snapshot(database, { folder: shared, recordAs: own });
    mkdirSync(folder('elsewhere'));
    const other = createDatabase(folder('elsewhere/app.db'), { rows: 3 });
    await snapshot(other, { folder: shared, recordAs: { ...own, workspace: 'elsewhere' } });
    const list = (await call('list_backups', { database_path: database })).text;
    assert.equal(list.match(/^b[0-9a-f]{11} /gm)?.length, 1, list);
  });

  it('has no tool that restores, deletes or exports, and says which only read', async () => {
    const { tools } = await (await connect()).listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      toolNames,
    );
    const readers = tools.filter(({ annotations }) => annotations?.readOnlyHint === true);
    assert.deepEqual(
      readers.map(({ name }) => name.replace('sqlite-backup_', '')),
      ['list_databases', 'list_backups', 'compare', 'plan_restore'],
    );
    for (const { annotations, description } of tools) {
      assert.equal(annotations?.destructiveHint, false);
      assert.match(description ?? '', /[Dd]o not |restores nothing/);
    }
  });

  itInPart('answers in 2 KB about a database with very many tables', async () => {
    const name = 't'.repeat(60);
    withDatabase(database, (db) => {
      for (let i = 0; i < 120; i++)
        db.exec(`CREATE TABLE ${name}${i} (a); INSERT INTO ${name}${i} VALUES (1)`);
    });
    const empty = createDatabase(folder('work/empty.db'), { rows: 1 });
    const { text } = await call('compare', { left: database, right: empty });
    assert.match(text, /\(\d+ more lines are left out\)\n121 of 121 tables differ\.$/);
  });

  it('says in words that it is asked too often, and saves once', async () => {
    await connect();
    const input = { database_paths: [database], reason: 'again and again' };
    const first = await call('create_checkpoint', input);
    assert.match(first.text, /^app\.db: saved as/);
    // All at once, as no agent that waits for its answers would: within a second or two of the 5 s.
    const asked = await Promise.all(
      Array.from({ length: isThorough ? 10_000 : 500 }, () => call('create_checkpoint', input)),
    );
    for (const { text } of asked)
      assert.match(
        text,
        /^(app\.db was saved just now\. Ask again in \d s\.|Two tools are at work already\..*|app\.db: unchanged since [0-9a-f]{12})$/,
      );
    assert.equal(
      readdirSync(folder('data/sqlite-backup/checkpoints')).filter((name) => name.endsWith('.db'))
        .length,
      1,
    );
  });

  itInPart('takes arguments of 10 MB, and answers them in a line', async () => {
    const long = `x\n${'x'.repeat(11_000_000)}`;
    const reason = await call('create_checkpoint', { database_paths: [database], reason: long });
    assert.match(reason.text, /^app\.db: saved as [0-9a-f]{12}$/);
    const { text } = await call('compare', { left: database, right: database, table: long });
    assert.match(text, /^Neither side has a table x x{70,}\.$/);
  });

  const bad: Record<string, (send: (text: string) => void, end: () => void) => void> = {
    'sends nonsense and goes': (send, end) => {
      send(
        'nonsense\n{"jsonrpc":"2.0"}\n[]\n\u0000\n{"jsonrpc":"2.0","id":1,"method":"tools/call"}\n',
      );
      end();
    },
    'goes at once': (_send, end) => end(),
    'goes in the middle of a call': (send, end) => {
      send(initialize);
      send(
        `${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'sqlite-backup_list_databases', arguments: {} } })}\n{"jsonrpc":`,
      );
      end();
    },
    'never reads, and asks a thousand times': (send, end) => {
      send(initialize);
      for (let id = 2; id < 1000; id++)
        send(`${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list' })}\n`);
      end();
    },
  };
  for (const [what, act] of Object.entries(bad))
    it(`ends by itself when a client ${what}`, async () => {
      const child = spawn(process.execPath, [cliEntry, 'mcp'], {
        cwd: folder('work'),
        env: { ...process.env, ...env },
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      endAfterEach(child);
      child.stdin.on('error', () => undefined);
      const exited = once(child, 'exit');
      act(
        (text) => void child.stdin.write(text),
        () => {
          child.stdin.end();
          // A reader that is gone.
          if (what.startsWith('never')) child.stdout.destroy();
        },
      );
      const [code] = (await exited) as [number | null];
      assert.equal(code, 0);
    });
});

const initialize = `${JSON.stringify({
  ...{ jsonrpc: '2.0', id: 1, method: 'initialize' },
  params: {
    ...{ protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
  },
})}\n`;
