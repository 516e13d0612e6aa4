import assert from 'node:assert/strict';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../src/core/catalog/catalog.ts';
import { toolNames } from '../../src/agents/toolList.ts';
import {
  checkpointItem,
  checkpointRows,
  checkpointsItem,
} from '../../src/editor/protection/checkpointRows.ts';
import type { CheckpointsRow } from '../../src/editor/rows.ts';
import { ShortNames } from '../../src/core/manifest/shortNames.ts';
import { itInPart } from '../support/operations.ts';
import { inWorkspace, makeDatabase, removeLater, until, withSetting } from './workspace.ts';

async function invoke(tool: string, input: object = {}): Promise<string> {
  const { content } = await vscode.lm.invokeTool(`sqlite-backup_${tool}`, {
    input,
    toolInvocationToken: undefined,
  });
  const [part] = content;
  assert.ok(part instanceof vscode.LanguageModelTextPart);
  return part.value;
}

const labelOf = ({ label }: vscode.TreeItem): string => (typeof label === 'string' ? label : '');

describe('The tools for agents', () => {
  before(() => {
    makeDatabase('data/tools.db');
    removeLater('data/tools.db');
  });

  it('are known to the editor, all and no others', () => {
    const ours = vscode.lm.tools.filter(({ name }) => name.startsWith('sqlite-backup_'));
    assert.deepEqual(ours.map(({ name }) => name).sort(), [...toolNames].sort());
  });

  it('save, list and plan without a question, and refuse what is outside the workspace', async () => {
    const path = inWorkspace('data/tools.db');
    assert.match(await invoke('list_databases'), /data\/tools\.db/);
    const saved = await invoke('create_checkpoint', { database_paths: [path], reason: 'a test' });
    const [, id = ''] = /^data\/tools\.db: saved as ([0-9a-f]{12})$/.exec(saved) ?? [];
    assert.notEqual(id, '', saved);
    assert.match(await invoke('list_backups', { database_path: path }), /agent: a test/);

    const db = new Database(path);
    db.exec('DELETE FROM t');
    db.close();
    assert.match(await invoke('compare', { left: id, right: path }), /^t: \d+ rows only in/m);
    const plan = await invoke('plan_restore', { backup_id: id });
    assert.match(plan, /^t: brings back \d+ rows/m);
    assert.match(plan, new RegExp(`runbook\\?backup=${id}$`));

    assert.equal(await invoke('verify', { backup_id: id }), `${id}: verified`);

    const refused = await invoke('create_checkpoint', {
      ...{ database_paths: ['/etc/passwd'], reason: 'x' },
    });
    assert.match(refused, /is not in the workspace\.$/);
  });

  itInPart(
    'are offered as an MCP server too, only while a person asks for it, which VS Code starts and calls',
    async () => {
      const byMcp = (): string[] =>
        vscode.lm.tools.map(({ name }) => name).filter((name) => /^mcp_/.test(name));
      const start = (): Thenable<unknown> =>
        vscode.commands.executeCommand('workbench.mcp.startServer', '*', {
          waitForLiveTools: true,
        });
      await start();
      assert.deepEqual(byMcp(), []);
      await withSetting(
        'agents.mcp',
        true,
        async () => {
          await until(async () => {
            await start();
            return byMcp().length >= toolNames.length;
          }, 'VS Code has the tools of the server');
          assert.equal(byMcp().length, toolNames.length, byMcp().join());
          const list = byMcp().find((name) => name.endsWith('list_databases')) ?? '';
          const { content } = await vscode.lm.invokeTool(list, {
            input: {},
            toolInvocationToken: undefined,
          });
          const [part] = content;
          assert.ok(part instanceof vscode.LanguageModelTextPart);
          assert.match(part.value, /data\/tools\.db/);
        },
        vscode.ConfigurationTarget.Global,
      );
      await until(() => byMcp().length === 0, 'the server is gone with the setting');
    },
  );
});

describe('The checkpoints of an agent', () => {
  const uri = vscode.Uri.file('/work/app.db');
  const entryOf = (minute: number, cause: object): CatalogEntry => ({
    ...{ path: `/checkpoints/${minute}.db`, kind: 'snapshot', database: 'app.db' },
    createdAt: new Date(Date.now() - minute * 1000).toISOString(),
    ...{ sizeBytes: 1, verified: 'unchecked', foreign: false, stamp: '' },
    kept: {
      ...{ method: 'exact', trigger: 'cli', sha256: '0'.repeat(64), pinned: false },
      cause,
    } as NonNullable<CatalogEntry['kept']>,
  });
  const agent = (session: string, turn: string): object => ({
    ...{ kind: 'agent', text: 'Bash', session, turn },
  });

  it('are in one row for each session, with the turns below it', () => {
    const entries = [
      entryOf(1, agent('a', '2')),
      entryOf(2, { kind: 'schedule' }),
      entryOf(3, agent('b', '1')),
      entryOf(4, agent('a', '1')),
      entryOf(5, { kind: 'agent', text: 'Bash' }),
    ];
    const [day] = checkpointRows({ kind: 'checkpoints', uri }, entries) as CheckpointsRow[];
    assert.ok(day);
    const below = checkpointRows(day, entries);
    assert.deepEqual(
      below.map((row) => (row.kind === 'checkpoints' ? row.session : row.kind)),
      ['a', 'snapshot', 'b', 'snapshot'],
    );
    const [session] = below as CheckpointsRow[];
    assert.ok(session);
    const item = checkpointsItem(session, entries);
    assert.match(labelOf(item), /^Agent, since \d/);
    assert.match(String(item.description), /^2$/);
    const rows = checkpointRows(session, entries) as CheckpointsRow[];
    assert.deepEqual(
      rows.map(({ turn }) => turn),
      ['2', '1'],
    );
    const [second] = rows;
    assert.ok(second);
    const changes = [{ table: 'orders', before: 12_133, now: 12_013 }];
    const shown = checkpointsItem(second, entries, changes);
    assert.match(labelOf(shown), /^Turn 2, \d/);
    assert.equal(shown.description, 'orders −120 rows (12,133 → 12,013)');
    assert.equal(shown.contextValue, 'checkpoints turn');
    const [checkpoint] = checkpointRows(second, entries);
    assert.ok(checkpoint?.kind === 'snapshot');
    assert.match(
      labelOf(checkpointItem(checkpoint.entry, new ShortNames([]))),
      /, turn 2, before Bash$/,
    );
  });
});
