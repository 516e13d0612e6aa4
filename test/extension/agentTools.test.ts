import assert from 'node:assert/strict';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import { toolNames } from '../../src/agents/toolList.ts';
import { inWorkspace, makeDatabase, removeLater } from './workspace.ts';

async function invoke(tool: string, input: object = {}): Promise<string> {
  const { content } = await vscode.lm.invokeTool(`sqlite-backup_${tool}`, {
    input,
    toolInvocationToken: undefined,
  });
  const [part] = content;
  assert.ok(part instanceof vscode.LanguageModelTextPart);
  return part.value;
}

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

    const refused = await invoke('create_checkpoint', {
      ...{ database_paths: ['/etc/passwd'], reason: 'x' },
    });
    assert.match(refused, /is not in the workspace\.$/);
  });
});
