import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { extractBundle } from '../../src/core/bundle/extract.ts';
import { applyRestore, moveAside } from '../../src/core/restore/apply.ts';
import { archiveSetAside } from '../../src/core/restore/archive.ts';
import { recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { verifyBundle } from '../../src/core/verify/verifyBundle.ts';
import { bundleManifestOf } from '../support/bundles.ts';
import {
  bytesOf,
  contentOf,
  overwrite,
  sha256,
  valueOf,
  withDatabase,
  writeBytes,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, kill, start } from '../support/processes.ts';
import {
  applyRequest,
  insertItem,
  leftoversIn,
  prepareRestore,
  quiet,
  setAsidesIn,
} from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';

describe('the archive of a set-aside', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let live = '';
  let backup = '';

  beforeEach(async () => {
    ({ live, backup } = await prepareRestore(folder('app.db')));
  });

  const restore = async (): Promise<string> => {
    const { items } = await applyRestore(applyRequest(backup, live), quiet);
    return items[0]?.setAside ?? '';
  };
  const archive = (path: string, hooks = quiet): ReturnType<typeof archiveSetAside> =>
    archiveSetAside({ path, folder: folder('archive'), toolVersion: '0.0.0-test' }, hooks);
  const extract = async (bundle: string): Promise<void> => {
    await extractBundle({ bundle, folder: folder('out') }, quiet);
  };

  it('is refused of what is no set-aside, is open, or is needed, and nothing changes', async () => {
    await assert.rejects(archive(live), { code: 'bad-name' });
    await assert.rejects(archive(folder('none.bad-20260101_000000Z')), { code: 'source-missing' });
    const kept = await restore();
    if (process.platform === 'linux') {
      const holder = await holdOpen(kept, count);
      await assert.rejects(archive(kept), { code: 'target-in-use' });
      await kill(holder);
    }
    const { intent, items } = await moveAside(applyRequest(backup, live), quiet);
    await assert.rejects(archive(items[0]?.setAside ?? ''), { code: 'target-in-use' });
    await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
    assert.ok(existsSync(kept));
    assert.ok(!existsSync(folder('archive')));
  });

  it('holds the old database with what its WAL held, and takes its place', async () => {
    const holder = await holdOpen(live, insertItem, insertItem);
    await kill(holder);
    const kept = await restore();
    assert.ok(existsSync(`${kept}-wal`));
    const { archive: path, removed } = await archive(kept);
    assert.match(basename(path), /^app\.db\.bad_\d{8}_\d{6}Z\.zip$/);
    assert.deepEqual(removed.slice(0, 2), [kept, `${kept}-wal`]);
    assert.deepEqual(
      readdirSync(folder()).filter((name) => name.includes('.bad-')),
      [],
    );
    const { complete, trigger, entries, tool } = bundleManifestOf(path);
    assert.deepEqual([complete, trigger, tool.version], [true, 'pre-restore', '0.0.0-test']);
    assert.deepEqual(
      entries.map(({ name, kind }) => [name, kind]),
      [['app.db', 'database']],
    );
    assert.equal((await verifyBundle(path, () => undefined)).status, 'ok');
    await extract(path);
    assert.equal(valueOf(folder('out/app.db'), count), 103);
    assert.deepEqual(leftoversIn(folder('archive')), []);
  });

  it('can be restored again, in its journal mode', async () => {
    const before = contentOf(live);
    const { archive: path } = await archive(await restore());
    const request = applyRequest(path, live, { items: [{ target: live, member: 'app.db' }] });
    await applyRestore(request, quiet);
    assert.deepEqual(contentOf(live), before);
    const mode = withDatabase(live, (db) => db.pragma('journal_mode', { simple: true }));
    assert.equal(mode, 'wal');
  });

  it('holds what an interrupted transaction is rolled back to', async () => {
    withDatabase(live, (db) => db.pragma('journal_mode = delete'));
    const expected = contentOf(live);
    const { child } = await start('hotJournal.ts', live);
    await kill(child);
    const kept = await restore();
    assert.ok(existsSync(`${kept}-journal`));
    await extract((await archive(kept)).archive);
    assert.deepEqual(contentOf(folder('out/app.db')), expected);
    assert.deepEqual(setAsidesIn(folder()), []);
  });

  for (const [what, make] of [
    ['is damaged', () => overwrite(live, 0, Buffer.alloc(4096, 7))],
    ['is damaged inside', () => overwrite(live, 4096, Buffer.alloc(4096, 7))],
    ['is text', () => writeBytes(live, 'not a database')],
    ['is empty', () => writeBytes(live, '')],
  ] as const) {
    it(`of a file that ${what} holds all its bytes, and its siblings`, async () => {
      make();
      writeBytes(`${live}-wal`, 'the newest transactions, perhaps');
      const before = bytesOf(live);
      const kept = await restore();
      const { archive: path } = await archive(kept);
      const name = basename(kept);
      const { entries, warnings = [] } = bundleManifestOf(path);
      assert.deepEqual(
        entries.flatMap((entry) => (entry.name.endsWith('-shm.bin') ? [] : [entry.name])),
        [`files/${name}`, `files/${name}-wal.bin`],
      );
      assert.match(warnings[0]?.message ?? '', /could not be read as a database/);
      assert.equal((await verifyBundle(path, () => undefined)).status, 'ok');
      await extract(path);
      assert.deepEqual(
        [sha256(folder(`out/files/${name}`)), sha256(folder(`out/files/${name}-wal.bin`))],
        [before[''], before['-wal']],
      );
      assert.deepEqual(setAsidesIn(folder()), []);
    });
  }

  it('leaves the set-aside when the last word is no, or when it was written to meanwhile', async () => {
    const kept = await restore();
    const before = bytesOf(kept);
    const no = archive(kept, { ...quiet, beforePublish: () => Promise.reject(new Error('no')) });
    await assert.rejects(no, /no/);
    assert.ok(!existsSync(folder('archive')));
    assert.deepEqual(bytesOf(kept), before);
    const meanwhile = archive(kept, {
      ...quiet,
      beforePublish: () => Promise.resolve(overwrite(kept, 60, Buffer.from([0, 0, 0, 9]))),
    });
    await assert.rejects(meanwhile, { code: 'target-in-use' });
    assert.ok(existsSync(kept));
    assert.equal(readFileSync(kept)[63], 9);
  });
});
