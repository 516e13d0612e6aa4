import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import type { Api } from '../../src/extension.ts';
import {
  backUp,
  editManifest,
  inWorkspace,
  makeDatabase,
  manifestOf,
  removeLater,
  rowOf,
  run,
  uriOf,
  useBackupsFolder,
  until,
  withSetting,
  workspaceFolder,
  type BackUpResult,
  type RefreshResult,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

const dayMs = 24 * 3_600_000;

interface VerifyResult {
  results: { path: string; status: string }[];
}

const attentionOf = async (database: string): Promise<string | undefined> => {
  const { databases } = await run<RefreshResult>('refresh');
  const found = databases.find(({ path }) => path === database);
  assert.ok(found, `${database} is not in the view`);
  return found.attention;
};

async function backUpAsOf(database: string, ageMs: number): Promise<string> {
  const path = await backUp(database);
  const createdAt = new Date(Date.now() - ageMs).toISOString();
  editManifest(path, (manifest) => ({ ...manifest, createdAt }));
  return path;
}

describe('what needs attention', () => {
  before(() => {
    removeLater('attended');
    return useBackupsFolder('attended');
  });
  after(() => useBackupsFolder(undefined));

  itInPart('is a database that was never backed up, unless no age counts as old', async () => {
    makeDatabase('data/watched.db');
    assert.equal(await attentionOf('data/watched.db'), 'never');
    await withSetting('staleAfter', 0, async () => {
      assert.equal(await attentionOf('data/watched.db'), undefined);
    });
  });

  itInPart('is one that was written since its old backup, but not one that was not', async () => {
    await backUpAsOf('data/watched.db', 8 * dayMs);
    assert.equal(await attentionOf('data/watched.db'), 'stale');
    const longAgo = new Date(Date.now() - 9 * dayMs);
    utimesSync(inWorkspace('data/watched.db'), longAgo, longAgo);
    assert.equal(await attentionOf('data/watched.db'), undefined);
    utimesSync(inWorkspace('data/watched.db'), new Date(), new Date());
    await withSetting('staleAfter', 30, async () => {
      assert.equal(await attentionOf('data/watched.db'), undefined);
    });
  });

  itInPart('is one whose newest backup is damaged, until a good one follows', async () => {
    const path = await backUp('data/watched.db');
    assert.equal(await attentionOf('data/watched.db'), undefined);
    writeFileSync(path, readFileSync(path).subarray(0, 4096));
    assert.equal(await attentionOf('data/watched.db'), 'damaged');
    await backUp('data/watched.db');
    assert.equal(await attentionOf('data/watched.db'), undefined);
  });

  itInPart('is one whose last backup failed, until one succeeds', async () => {
    const path = inWorkspace('data/watched.db');
    const lock = new Database(path);
    lock.exec('BEGIN EXCLUSIVE');
    try {
      const { failures } = await run<BackUpResult>('backUp', uriOf('data/watched.db'));
      assert.equal(failures[0]?.code, 'source-busy');
      assert.equal(await attentionOf('data/watched.db'), 'failed');
    } finally {
      lock.close();
    }
    await backUp('data/watched.db');
    assert.equal(await attentionOf('data/watched.db'), undefined);
  });
});

describe('the views', () => {
  before(() => {
    removeLater('viewed');
    return useBackupsFolder('viewed');
  });
  after(() => useBackupsFolder(undefined));

  it('say so when there is nothing to act on, and change nothing', async () => {
    await run('refresh');
    assert.deepEqual(await run('verifyAll'), { results: [] });
    for (const command of ['copyPath', 'copySha256']) assert.equal(await run(command), '', command);
    for (const command of ['verify', 'proveRestorable']) {
      assert.deepEqual(await run(command), { results: [] }, command);
    }
    for (const command of ['pin', 'unpin', 'delete']) {
      assert.deepEqual(await run(command), { paths: [] }, command);
    }
    for (const command of ['note', 'rename', 'saveCopyAs', 'openReadOnly']) {
      assert.deepEqual(await run(command), {}, command);
    }
    for (const command of ['compareWithLive', 'compareSelected', 'revealBackup']) {
      assert.equal(await run(command), undefined, command);
    }
    assert.equal(existsSync(inWorkspace('viewed')), false);
  });

  itInPart('take a filter and give it up', async () => {
    assert.deepEqual(await run('filter', '  app  damaged '), { filter: 'app  damaged' });
    assert.deepEqual(await run('filter', ''), { filter: '' });
    await run('filter', 'sessions');
    // A filter is about what is shown: actions on all still mean all.
    const { backups } = await run<BackUpResult>('backUpAll');
    assert.ok(backups.some(({ database }) => basename(database) === 'app.db'));
    await run('clearFilter');
  });

  itInPart('act on all that are selected, and leave files of others alone', async () => {
    const [one, two] = [await backUp('data/sessions.db'), await backUp('data/app.db')];
    const foreign = inWorkspace('viewed/corescope-backup-1700000000.db');
    writeFileSync(foreign, readFileSync(one));
    const facts = { path: foreign, createdAt: new Date().toISOString(), sizeBytes: 1 };
    const theirs = { kind: 'snapshot', entry: { ...facts, verified: 'unchecked', foreign: true } };
    const rows = [rowOf(one), rowOf(two), theirs];
    assert.deepEqual(await run('pin', rows[0], rows), { paths: [one, two] });
    assert.equal(existsSync(`${foreign}.json`), false);
    assert.equal(await run('copyPath', rows[0], rows), [one, two, foreign].join('\n'));
    const sums = await run<string>('copySha256', rows[0], rows);
    assert.deepEqual(
      sums.split('\n').map((line) => line.slice(64)),
      [`  ${one}`, `  ${two}`],
    );
    const { results } = await run<VerifyResult>('verify', rows[0], rows);
    assert.deepEqual(
      results.slice(0, 2).map(({ status }) => status),
      ['ok', 'ok'],
    );
    assert.equal(existsSync(`${foreign}.json`), false);
    await run('compareSelected', rows[0], rows.slice(0, 2));
    await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  });

  itInPart('verify all backups of ours, the damaged ones too', async () => {
    const path = await backUp('data/sessions.db');
    writeFileSync(path, readFileSync(path).subarray(0, 8192));
    const { results } = await run<VerifyResult>('verifyAll');
    assert.equal(results.find((one) => one.path === path)?.status, 'damaged');
    assert.ok(results.length >= 3);
    assert.equal(results.filter(({ status }) => status === 'ok').length, results.length - 1);
  });

  itInPart('back up compact whatever the setting says, several at once', async () => {
    const rows = ['data/sessions.db', 'data/app.db'].map((path) => ({
      kind: 'database',
      uri: uriOf(path),
    }));
    const { backups, cut } = await run<BackUpResult>('backUpCompact', rows[0], rows);
    assert.equal(backups.length, 2);
    assert.equal(cut, undefined);
    for (const { path, verified } of backups) {
      assert.equal(manifestOf(path).method, 'compact');
      assert.equal(verified, 'ok');
    }
  });

  itInPart('remember whether the button is in the title of editors', async () => {
    const shown = (): unknown =>
      vscode.workspace.getConfiguration('sqliteBackup').get('editorTitleButton');
    assert.equal(shown(), false);
    await run('showInEditorTitle');
    assert.equal(shown(), true);
    await run('hideFromEditorTitle');
    assert.equal(shown(), false);
  });

  describe('follow files by themselves', () => {
    let api: Api;
    const isKnown = (path: string): boolean =>
      api.databases.some(({ fsPath }) => fsPath === inWorkspace(path));
    /** Returns when the last change of the settings has led to a search. */
    const settingsToBeSeen = async (): Promise<void> => {
      const wasKnown = isKnown('data/marker.db');
      await vscode.workspace
        .getConfiguration('sqliteBackup')
        .update(
          'exclude',
          wasKnown ? ['data/marker.db'] : undefined,
          vscode.ConfigurationTarget.Workspace,
        );
      await until(() => isKnown('data/marker.db') !== wasKnown, 'the settings were seen');
    };

    before(async () => {
      const extension = vscode.extensions.getExtension<Api>('sqlite-backup.sqlite-backup');
      assert.ok(extension);
      api = await extension.activate();
      makeDatabase('data/marker.db');
      await run('refresh');
      assert.ok(isKnown('data/marker.db'));
    });
    after(() => {
      rmSync(inWorkspace('data/marker.db'));
      return run('refresh');
    });

    it('that come', async () => {
      makeDatabase('data/followed.db');
      await until(() => isKnown('data/followed.db'), 'the new database was found');
    });

    it('that go', async () => {
      rmSync(inWorkspace('data/followed.db'));
      await until(() => !isKnown('data/followed.db'), 'the database was missed');
    });

    itInPart('but not while that is switched off', async () => {
      await withSetting('autoRefresh', false, async () => {
        await settingsToBeSeen();
        // Until here, a write of an earlier test may still have asked for a search.
        await run('refresh');
        let searches = 0;
        const counter = api.onDidChange(() => searches++);
        await created('data/unwatched.db', () => makeDatabase('data/unwatched.db'));
        // The command waits for a search that runs already, and then makes one of its own.
        await run('refresh');
        counter.dispose();
        assert.equal(searches, 1);
        assert.ok(isKnown('data/unwatched.db'));
      });
      await settingsToBeSeen();
    });
  });

  itInPart(
    'bear a backups folder that vanishes, and manifests that are forged, huge or cut off',
    async () => {
      const path = await backUp('data/sessions.db');
      rmSync(inWorkspace('viewed'), { recursive: true });
      const gone = await run<RefreshResult>('refresh');
      assert.ok(gone.databases.every(({ backups }) => backups.length === 0));
      assert.equal(await run('pin', { kind: 'snapshot', entry: { path, kept: {} } }), undefined);

      mkdirSync(inWorkspace('viewed'));
      const good = await backUp('data/sessions.db');
      const manifest = JSON.stringify(manifestOf(good));
      const forgeries = {
        'cut.db': manifest.slice(0, 200),
        'huge.db': `${manifest.slice(0, -1)},"note":"${'x'.repeat(9_000_000)}"}`,
        'proto.db': manifest.replace('{', '{"__proto__":{"pinned":true},'),
        'null.db': 'null',
        'outside.db': manifest.replace('data/sessions.db', '../../etc/passwd'),
      };
      for (const [name, text] of Object.entries(forgeries)) {
        writeFileSync(inWorkspace(`viewed/${name}`), readFileSync(good));
        writeFileSync(inWorkspace(`viewed/${name}.json`), text);
      }
      const { databases, gone: goneOnes } = await run<RefreshResult>('refresh');
      const own = databases.find((one) => one.path === 'data/sessions.db')?.backups ?? [];
      assert.deepEqual(own.map((one) => basename(one)).sort(), [basename(good), 'proto.db'].sort());
      assert.deepEqual(
        goneOnes.filter((one) => one.path === '../../etc/passwd').length,
        1,
        'only named, never opened',
      );
    },
  );
});

describe('the menus', () => {
  interface Entry {
    command: string;
    group?: string;
    when?: string;
  }
  const extension = vscode.extensions.getExtension('sqlite-backup.sqlite-backup');
  assert(extension);
  const { menus } = (extension.packageJSON as { contributes: { menus: Record<string, Entry[]> } })
    .contributes;
  /** What rows can be, as `viewItem`. */
  const rows = [
    ...['folder', 'database', 'database running', 'gone', 'missing', 'day', 'more'],
    ...['backup snapshot own pinned', 'backup snapshot own unpinned', 'backup snapshot foreign'],
    ...['backup bundle own unpinned', 'backup snapshot setAside', 'memberDatabase', 'memberFile'],
  ];
  const entriesFor = (row: string): Entry[] =>
    (menus['view/item/context'] ?? []).filter(({ when = '' }) => {
      const [, pattern] = /viewItem =~ \/(.*?)\//.exec(when) ?? [];
      assert.ok(pattern !== undefined, when);
      return new RegExp(pattern).test(row);
    });

  it('of a row show at most three icons, and have each of them as an entry too', () => {
    for (const row of rows) {
      const isIcon = ({ group = '' }: Entry): boolean => group.startsWith('inline');
      const icons = entriesFor(row).filter(isIcon);
      assert.ok(icons.length <= 3, row);
      const entries = new Set(
        entriesFor(row)
          .filter((entry) => !isIcon(entry))
          .map(({ command }) => command),
      );
      // Icons of rows cannot be reached with the keyboard.
      for (const { command } of icons) assert.ok(entries.has(command), `${row}: ${command}`);
    }
  });

  it('keep out of the palette what makes sense only in a menu', () => {
    const hidden = (menus['commandPalette'] ?? []).filter(({ when }) => when === 'false');
    assert.deepEqual(hidden.map(({ command }) => command).sort(), [
      'sqliteBackup.extract',
      'sqliteBackup.hideFromEditorTitle',
      'sqliteBackup.showAll',
    ]);
  });
});

/**
 * Returns when the window has told its extensions of a new file, and one that begins to search because of it, after
 * `settleMs`, has begun: its timer was set earlier.
 */
async function created(path: string, make: () => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const pattern = new vscode.RelativePattern(workspaceFolder(), path);
  const watcher = vscode.workspace.createFileSystemWatcher(pattern);
  watcher.onDidCreate(() => setTimeout(resolve, settleMs));
  make();
  try {
    await promise;
  } finally {
    watcher.dispose();
  }
}

const settleMs = 300;
