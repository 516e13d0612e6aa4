import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import * as vscode from 'vscode';
import type { BundleMember } from '../../src/core/bundle/openBundle.ts';
import { type CatalogEntry, listAll } from '../../src/core/catalog/catalog.ts';
import type { BundleManifest } from '../../src/core/manifest/manifest.ts';
import { rawZip } from '../support/zips.ts';
import {
  type BackUpResult,
  inWorkspace,
  makeDatabase,
  type RefreshResult,
  removeLater,
  run,
  uriOf,
  useBackupsFolder,
  withSetting,
  workspaceFolder,
} from './workspace.ts';
import { itInPart } from '../support/operations.ts';

const folder = 'bundled';

interface BundleResult {
  path?: string;
  cut?: string;
  complete?: boolean;
  members: string[];
  failures: { path: string; code: string; message: string }[];
  cancelled: boolean;
}

interface VerifyResult {
  results: { path: string; status: string; drill?: string }[];
}

interface BundleRow {
  kind: 'snapshot';
  entry: CatalogEntry;
}

interface MemberRow {
  kind: 'member';
  entry: CatalogEntry;
  member: BundleMember;
}

const bundle = (answers: {
  databases?: vscode.Uri[];
  companions?: string[];
  name?: string;
  saved?: string;
  allowIncomplete?: boolean;
}): Promise<BundleResult> => run('createBundle', undefined, undefined, answers);

/** A bundle of the two databases of the workspace, with its receipts. */
async function made(name = 'shop'): Promise<string> {
  const databases = [uriOf('data/app.db'), uriOf('data/sessions.db')];
  const { path, failures } = await bundle({ databases, companions: ['uploads/**'], name });
  assert.ok(path !== undefined, JSON.stringify(failures));
  return path;
}

/** The row of a bundle, and those of its members, as the view hands them to a command. */
async function rowsOf(path: string): Promise<{ row: BundleRow; members: MemberRow[] }> {
  const { entries } = await listAll(inWorkspace(folder), { members: true });
  const entry = entries.find((one) => one.path === path);
  assert.ok(entry?.bundle?.members, `${path} is not listed`);
  const members = entry.bundle.members.map((member): MemberRow => ({
    ...{ kind: 'member', entry, member },
  }));
  return { row: { kind: 'snapshot', entry }, members };
}

async function memberOf(path: string, name: string): Promise<MemberRow> {
  const { members } = await rowsOf(path);
  const found = members.find(({ member }) => member.name === name);
  assert.ok(found, `${name} is not in ${path}`);
  return found;
}

const manifestOf = (path: string): BundleManifest =>
  JSON.parse(readFileSync(`${path}.json`, 'utf8')) as BundleManifest;

const zipsIn = (): string[] =>
  readdirSync(inWorkspace(folder)).filter((name) => name.endsWith('.zip'));

const closeEditors = (): Thenable<unknown> =>
  vscode.commands.executeCommand('workbench.action.closeAllEditors');

describe('bundles', () => {
  before(() => {
    removeLater(folder);
    return useBackupsFolder(folder);
  });
  after(() => useBackupsFolder(undefined));

  itInPart(
    'are not made of nothing, of saved ones that do not exist, nor with files from elsewhere',
    async () => {
      await run('refresh');
      assert.equal((await bundle({ saved: 'no such' })).cancelled, true);
      await withSetting('bundles', [{ name: 'none', databases: ['nowhere/*.db'] }], async () => {
        assert.equal((await bundle({ saved: 'none' })).cancelled, true);
      });
      const databases = [uriOf('data/app.db')];
      for (const glob of ['../**', '/etc/*']) {
        const { path, failures } = await bundle({ databases, companions: [glob] });
        assert.equal(path, undefined);
        assert.deepEqual(
          failures.map(({ code }) => code),
          ['bad-setting'],
          glob,
        );
      }
      assert.equal(existsSync(inWorkspace(folder)), false);
    },
  );

  it('fail as a whole with the member that fails, or are made without it and say so', async () => {
    writeFileSync(inWorkspace('data/broken.db'), 'SQLite format 3\0 and nothing of it');
    removeLater('data/broken.db');
    const databases = [uriOf('data/broken.db'), uriOf('data/sessions.db')];
    const failed = await bundle({ databases, companions: [], name: 'partly' });
    assert.equal(failed.path, undefined);
    assert.deepEqual(
      failed.failures.map(({ path }) => basename(path)),
      ['broken.db'],
    );
    assert.equal(existsSync(inWorkspace(folder)), false);

    const partly = await bundle({
      databases,
      companions: [],
      name: 'partly',
      allowIncomplete: true,
    });
    assert.equal(partly.complete, false);
    assert.deepEqual(partly.members, ['data/sessions.db']);
    assert.ok(partly.path);
    const { entry } = (await rowsOf(partly.path)).row;
    assert.deepEqual([entry.bundle?.complete, entry.bundle?.name], [false, 'partly']);
    assert.deepEqual(
      manifestOf(partly.path).failures?.map(({ path }) => path),
      ['data/broken.db'],
    );
    rmSync(inWorkspace('data/broken.db'));
  });

  itInPart('leave nothing when they are cancelled while a database is locked', async () => {
    makeDatabase('data/held.db');
    const before = zipsIn();
    const lock = new Database(inWorkspace('data/held.db'));
    lock.exec('BEGIN EXCLUSIVE');
    try {
      const databases = [uriOf('data/held.db'), uriOf('data/sessions.db')];
      const running = bundle({ databases, companions: [] });
      await new Promise((settle) => setTimeout(settle, 700));
      await run('cancel');
      assert.equal((await running).cancelled, true);
    } finally {
      lock.close();
    }
    assert.deepEqual(zipsIn(), before);
  });

  it('hold databases at one instant and the files that belong to them', async () => {
    const path = await made();
    assert.match(basename(path), /^shop_\d{8}_\d{6}Z(-\d+)?\.zip$/);
    const { cut, complete, entries } = manifestOf(path);
    assert.deepEqual([cut.label, cut.members, complete], ['one-instant', 2, true]);
    assert.deepEqual(entries.map(({ name }) => name).slice(0, 3), [
      'data/app.db',
      'data/sessions.db',
      'files/uploads/receipt-1.txt',
    ]);
  });

  itInPart('are made from selected rows, and beside a backup of the same database', async () => {
    const rows = ['data/app.db', 'data/sessions.db'].map((path) => ({
      ...{ kind: 'database', uri: uriOf(path) },
    }));
    const [one, two, { backups }] = await Promise.all([
      run<BundleResult>('createBundle', rows[0], rows, { companions: [] }),
      bundle({ databases: [uriOf('data/app.db')], companions: [] }),
      run<BackUpResult>('backUp', uriOf('data/app.db')),
    ]);
    assert.deepEqual(one.members, ['data/app.db', 'data/sessions.db']);
    assert.deepEqual(two.members, ['data/app.db']);
    assert.notEqual(one.path, two.path);
    assert.equal(backups.length, 1);
    // Without a name, they have that of the workspace.
    assert.ok(basename(one.path ?? '').startsWith(basename(workspaceFolder().uri.fsPath)));
  });

  itInPart(
    'are made by the names that settings give them, each of which is made fit for a file',
    async () => {
      const saved = [
        { name: '../<b>$(bug)</b>', databases: ['data/s*.db'], companions: ['uploads/*-1.txt'] },
        { name: 'no list', databases: 'data/app.db' },
        'no bundle',
      ];
      await withSetting('bundles', saved, async () => {
        const { path, members } = await bundle({ saved: '../<b>$(bug)</b>' });
        assert.deepEqual(members, ['data/sessions.db', 'files/uploads/receipt-1.txt']);
        assert.ok(path !== undefined && existsSync(join(inWorkspace(folder), basename(path))));
        assert.equal((await bundle({ saved: 'no list' })).cancelled, true);
      });
    },
  );

  itInPart('count as backups of their databases', async () => {
    makeDatabase('data/new.db');
    const attention = async (): Promise<string | undefined> => {
      const { databases } = await run<RefreshResult>('refresh');
      return databases.find(({ path }) => path === 'data/new.db')?.attention;
    };
    assert.equal(await attention(), 'never');
    const { path } = await bundle({ databases: [uriOf('data/new.db')], companions: [] });
    assert.equal(await attention(), undefined);
    // One that is damaged does not.
    writeFileSync(path ?? '', readFileSync(path ?? '').subarray(0, 500));
    assert.equal(await attention(), 'never');
  });

  itInPart(
    'are verified, proved, pinned, annotated, renamed and copied like any backup',
    async () => {
      const path = await made();
      const { row } = await rowsOf(path);
      const { results } = await run<VerifyResult>('proveRestorable', row);
      assert.deepEqual(
        results.map(({ status, drill }) => [status, drill]),
        [['ok', 'ok']],
      );
      await run('pin', row);
      await run('note', row, 'before <b>0042</b>');
      const { pinned, note, sha256 } = manifestOf(path);
      assert.deepEqual([pinned, note], [true, 'before <b>0042</b>']);
      assert.equal(await run('copySha256', row), sha256);
      const to = vscode.Uri.file(inWorkspace(`${folder}/copy-of-it`));
      assert.deepEqual(await run('saveCopyAs', row, to), { path: to.fsPath });
      assert.deepEqual(await run('openReadOnly', row), {});
      assert.equal(await run('compareWithLive', row), undefined);
      const renamed = await run<{ path: string }>('rename', row, 'release-1.zip');
      assert.deepEqual([basename(renamed.path), existsSync(path)], ['release-1.zip', false]);
      await run('unpin', (await rowsOf(renamed.path)).row);
      assert.equal(manifestOf(renamed.path).pinned, undefined);
    },
  );

  itInPart(
    'give their members to be opened, compared and saved; the bundle stays as it is',
    async () => {
      const path = await made();
      const bytes = readFileSync(path);
      const app = await memberOf(path, 'data/app.db');
      const [one, two] = await Promise.all([
        run<{ path: string }>('openReadOnly', app),
        run<{ path: string }>('openReadOnly', app),
      ]);
      assert.equal(one.path, two.path);
      assert.equal(basename(one.path), 'app.db');
      const db = new Database(inWorkspace('data/app.db'));
      db.exec('DELETE FROM orders WHERE id <= 3');
      db.close();
      const { tables } = await run<{
        tables: { name: string; onlyLeft: number; onlyRight: number }[];
      }>('compareWithLive', app);
      assert.equal(tables.find(({ name }) => name === 'orders')?.onlyRight, 3);
      const texts = vscode.workspace.textDocuments.map((document) => document.getText());
      assert.ok(texts.some((text) => text.includes(`in ${basename(path)}`)));

      const to = vscode.Uri.file(inWorkspace(`${folder}/saved.sqlite`));
      assert.deepEqual(await run('saveCopyAs', app, to), { path: to.fsPath });
      writeFileSync(to.fsPath, 'precious');
      assert.equal(await run('saveCopyAs', app, to), undefined);
      assert.equal(readFileSync(to.fsPath, 'utf8'), 'precious');
      assert.deepEqual(readFileSync(path), bytes);
      await closeEditors();
    },
  );

  itInPart(
    'made outside of the workspace are compared with the database of that path',
    async () => {
      const path = await made('cron');
      const text = JSON.stringify(manifestOf(path));
      writeFileSync(`${path}.json`, text.replaceAll(/,"workspace":"[^"]*"/g, ''));
      await run('refresh');
      const app = await memberOf(path, 'data/app.db');
      assert.equal(app.entry.bundle?.databases[0]?.workspace, undefined);
      const { schema } = await run<{ schema: { same: boolean } }>('compareWithLive', app);
      assert.equal(schema.same, true);
      await closeEditors();
    },
  );

  it('are extracted whole or in part, never over what is there, and one at a time', async () => {
    const [path, other] = [await made(), await made('other')];
    const { row, members } = await rowsOf(path);
    const to = vscode.Uri.file(inWorkspace(`${folder}/out`));
    const { paths } = await run<{ paths: string[] }>('extract', row, undefined, to);
    assert.equal(paths.length, 7);
    assert.ok(paths.every((one) => existsSync(one)));
    assert.equal(await run('extract', row, undefined, to), undefined, 'they are there already');
    const part = vscode.Uri.file(inWorkspace(`${folder}/part`));
    const some = members.slice(1, 3);
    await run('extract', some[0], some, part);
    assert.deepEqual(readdirSync(part.fsPath).sort(), ['data', 'files']);
    const both = [row, (await rowsOf(other)).row];
    assert.deepEqual(await run('extract', row, both, to), { paths: [] });
    assert.deepEqual(await run('extract', undefined), { paths: [] });
  });

  itInPart(
    'have members that are verified anew each time, and are damaged with one of them',
    async () => {
      const path = await made();
      const { members } = await rowsOf(path);
      const verify = async (): Promise<string[]> =>
        (await run<VerifyResult>('verify', members[0], members)).results.map(
          ({ status }) => status,
        );
      assert.deepEqual(new Set(await verify()), new Set(['ok']));
      const bytes = readFileSync(path);
      const at = Math.floor(bytes.length / 2);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      // As a disk does it: no time changes.
      const { atime, mtime } = statSync(path);
      writeFileSync(path, bytes);
      utimesSync(path, atime, mtime);
      assert.equal((await verify()).filter((status) => status === 'damaged').length, 1);
      assert.equal(manifestOf(path).verdict.status, 'damaged');
    },
  );

  itInPart(
    'of others are listed, checked and extracted, and nothing more is claimed of them',
    async () => {
      const path = inWorkspace(`${folder}/theirs.zip`);
      const app = readFileSync(inWorkspace('data/sessions.db'));
      writeFileSync(
        path,
        rawZip([
          { name: 'meshcore.db', data: app, deflate: true },
          { name: 'floor_plan/hall.svg', data: '<svg/>' },
          { name: 'VERSION', data: '1.2.3' },
        ]),
      );
      const { row, members } = await rowsOf(path);
      assert.deepEqual([row.entry.foreign, row.entry.bundle?.cut], [true, undefined]);
      const { results } = await run<VerifyResult>('verify', members[0], members);
      assert.deepEqual(new Set(results.map(({ status }) => status)), new Set(['partial']));
      assert.deepEqual(await run('pin', row), { paths: [] });
      const to = vscode.Uri.file(inWorkspace(`${folder}/theirs`));
      const { paths } = await run<{ paths: string[] }>('extract', row, undefined, to);
      assert.equal(paths.length, 3);
      assert.equal(existsSync(`${path}.json`), false);
    },
  );

  it('that are forged, cut off or gone do no harm', async () => {
    const path = await made();
    const app = await memberOf(path, 'data/app.db');
    const manifest = JSON.stringify(manifestOf(path));
    const forgeries: Record<string, [Buffer, string?]> = {
      'cut.zip': [readFileSync(path).subarray(0, 3000), manifest],
      'outside.zip': [rawZip([{ name: '../../out.db', data: 'x' }])],
      'twice.zip': [rawZip([{ name: 'a.db' }, { name: 'a.db' }])],
      'no-zip.zip': [Buffer.from('no zip'), manifest],
      'elsewhere.zip': [readFileSync(path), manifest.replaceAll('data/app.db', '../../etc/passwd')],
    };
    for (const [name, [bytes, text]] of Object.entries(forgeries)) {
      writeFileSync(inWorkspace(`${folder}/${name}`), bytes);
      if (text !== undefined) writeFileSync(inWorkspace(`${folder}/${name}.json`), text);
    }
    const { databases, gone } = await run<RefreshResult>('refresh');
    assert.ok(databases.some((one) => one.path === 'data/app.db'));
    assert.ok(!gone.some((one) => one.path.includes('passwd')));
    assert.equal(existsSync(inWorkspace('../out.db')), false);

    rmSync(path);
    for (const command of ['verify', 'compareWithLive', 'saveCopyAs', 'extract']) {
      const to = vscode.Uri.file(inWorkspace(`${folder}/never`));
      const args = command === 'extract' ? [undefined, to] : command === 'saveCopyAs' ? [to] : [];
      assert.equal(await run(command, app, ...args), undefined, command);
    }
    assert.equal(existsSync(inWorkspace(`${folder}/never`)), false);
    mkdirSync(path);
    await run('refresh');
    await closeEditors();
  });
});
