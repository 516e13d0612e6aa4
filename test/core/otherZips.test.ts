import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { crc32 } from 'node:zlib';
import { extractBundle, extractMember } from '../../src/core/bundle/extract.ts';
import { withBundle } from '../../src/core/bundle/openBundle.ts';
import { listAll } from '../../src/core/catalog/catalog.ts';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { planRestore } from '../../src/core/restore/plan.ts';
import { withSource } from '../../src/core/restore/source.ts';
import { drillBundle } from '../../src/core/verify/drill.ts';
import { verifyBundle } from '../../src/core/verify/verifyBundle.ts';
import { bundleOf, quietHooks } from '../support/bundles.ts';
import { createDatabase, siblingsBeside, valueOf } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  kill,
  needProgram,
  run,
  start,
} from '../support/processes.ts';
import { applyRequest, quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { type RawEntry, rawZip } from '../support/zips.ts';

const count = 'SELECT count(*) FROM items';

/** Zips as people and their programs make them, without knowing of SQLite. */
describe('a zip of others', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  const write = (entries: RawEntry[]): string => {
    writeFileSync(folder('other.zip'), rawZip(entries));
    return folder('other.zip');
  };
  const verify = async (path: string): Promise<{ status: string; codes: string[] }> => {
    const { status, findings } = await verifyBundle(path, () => undefined, folder());
    return { status, codes: findings.map(({ code }) => code) };
  };
  const membersIn = (path: string): Promise<[string, string][]> =>
    withBundle(path, ({ members }) => members.map(({ name, kind }) => [name, kind]));
  const outFiles = (): string[] =>
    readdirSync(folder('out'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();

  /** Zips `what`, relative to the temporary folder, as people do on Debian. */
  const zip = async (...what: string[]): Promise<string> => {
    needProgram('zip', 'zip');
    const { code, stderr } = await run(['zip', '-qr', folder('other.zip'), ...what], {
      cwd: folder(),
    });
    assert.equal(code, 0, stderr);
    return folder('other.zip');
  };

  for (const where of ['', 'pb_data/'] as const) {
    describe(`with a database and its -wal ${where === '' ? 'at the top' : 'in a folder'}`, () => {
      const name = `${where}app.db`;
      let live = '';
      let path = '';

      /** 100 rows in the database file, 7 more only in its WAL. */
      beforeEach(async function () {
        if (process.platform === 'win32') this.skip();
        if (where !== '') mkdirSync(folder(where));
        live = createDatabase(folder(name), { journalMode: 'wal' });
        await holdOpen(
          live,
          ...Array<string>(7).fill("INSERT INTO items (name) VALUES ('in the WAL')"),
        );
        assert.deepEqual(siblingsBeside(live), ['-wal', '-shm']);
        path = await zip(...(where === '' ? ['app.db', 'app.db-wal', 'app.db-shm'] : [where]));
      });

      it('is listed with the database alone', async () => {
        const { entries } = await listAll(folder());
        const found = entries.find((entry) => entry.path === path)?.bundle;
        assert.deepEqual([found?.databases.map((one) => one.name), found?.companions], [[name], 0]);
      });

      it('is verified and restored for trial with what is in the -wal', async () => {
        const verdict = await verifyBundle(path, () => undefined, folder());
        assert.deepEqual(
          [verdict.status, verdict.findings.map(({ code }) => code).sort()],
          ['partial', ['no-manifest', 'with-sibling']],
        );
        const drill = await drillBundle(verdict, folder());
        assert.deepEqual([drill.status, drill.findings], ['ok', []]);
      });

      it('is extracted with what is in the -wal, as a file that stands alone', async () => {
        const [file] = await extractBundle({ bundle: path, folder: folder('out') }, quietHooks);
        assert.deepEqual([file?.member, file?.kind, outFiles()], [name, 'database', ['app.db']]);
        assert.equal(file?.sizeBytes, readFileSync(file?.path ?? '').length);
        assert.equal(valueOf(folder('out', name), count), 107);
        const request = { bundle: path, member: name, folder: folder('two') };
        const look = await extractMember({ ...request, name: 'x.db', readOnly: true }, quietHooks);
        assert.equal(valueOf(look.path, count), 107);
      });

      it('is compared and restored with what is in the -wal', async () => {
        assert.equal(await withSource(path, name, (source) => valueOf(source, count)), 107);
        const target = createDatabase(folder('target.db'), { rows: 3 });
        const items = [{ member: name, target }];
        const plan = await planRestore({ backup: path, items }, { onProgress: () => undefined });
        assert.equal(plan.verified, 'partial');
        await applyRestore(applyRequest(path, target, { items, acceptUnproved: true }), quiet);
        assert.deepEqual(
          [valueOf(target, count), valueOf(target, 'PRAGMA journal_mode')],
          [107, 'wal'],
        );
      });
    });
  }

  it('with a -journal has the database as it is after the roll-back', async function () {
    if (process.platform === 'win32') this.skip();
    const live = createDatabase(folder('app.db'), { rows: 5000 });
    await kill((await start('hotJournal.ts', live)).child);
    const path = await zip('app.db', 'app.db-journal');
    assert.deepEqual((await verify(path)).codes.sort(), ['no-manifest', 'with-sibling']);
    await extractBundle({ bundle: path, folder: folder('out') }, quietHooks);
    assert.deepEqual(outFiles(), ['app.db']);
    const torn = "SELECT count(*) FROM items WHERE name LIKE 'torn%'";
    assert.deepEqual(
      [valueOf(folder('out/app.db'), count), valueOf(folder('out/app.db'), torn)],
      [5000, 0],
    );
  });

  it('with a -journal of a transaction over several databases is not guessed at, and the file that it names stays', async () => {
    const live = createDatabase(folder('app.db'), { rows: 5000 });
    await kill((await start('hotJournal.ts', live)).child);
    const victim = folder('victim.txt');
    writeFileSync(victim, 'precious');
    const path = write([
      { name: 'app.db', data: readFileSync(live) },
      {
        name: 'app.db-journal',
        data: Buffer.concat([readFileSync(`${live}-journal`), superJournal(victim)]),
      },
    ]);
    const { status, codes } = await verify(path);
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    assert.deepEqual([status, codes.includes('hot-journal')], ['partial', true]);
    await assert.rejects(extractBundle({ bundle: path, folder: folder('out') }, quietHooks), {
      code: 'hot-journal',
    });
    await assert.rejects(
      withSource(path, 'app.db', () => undefined),
      { code: 'hot-journal' },
    );
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    assert.ok(!existsSync(folder('out')));
  });

  it('with a -wal of nonsense, or an empty one, has what is in the database file', async () => {
    const data = readFileSync(createDatabase(folder('app.db'), { journalMode: 'wal' }));
    for (const wal of ['', 'nonsense '.repeat(1000)]) {
      const path = write([
        { name: 'app.db', data },
        { name: 'app.db-wal', data: wal },
      ]);
      assert.equal(await withSource(path, 'app.db', (source) => valueOf(source, count)), 100);
      assert.equal((await verify(path)).status, 'partial');
    }
  });

  it('whose database and -wal do not fit together is damaged', async () => {
    const other = createDatabase(folder('other.db'), { rows: 3000, journalMode: 'wal' });
    await holdOpen(other, "UPDATE items SET name = 'x' || name");
    const path = write([
      { name: 'app.db', data: readFileSync(createDatabase(folder('app.db'), { rows: 3000 })) },
      { name: 'app.db-wal', data: readFileSync(`${other}-wal`).subarray(0, 300_000) },
      { name: 'note.txt', data: 'x' },
    ]);
    // What can be committed of it is a mixture, or nothing of it is: never half of it unnoticed.
    const { status } = await verify(path);
    const rows = await withSource(path, 'app.db', (source) => valueOf(source, count)).catch(
      () => undefined,
    );
    assert.ok(status === 'damaged' || rows === 3000, `${status}, ${String(rows)} rows`);
  });

  it('with a text that is called like a journal keeps that in the zip, and says so', async () => {
    const path = write([
      { name: 'app.db', data: readFileSync(createDatabase(folder('app.db'))) },
      { name: 'travel', data: 'a text' },
      { name: 'travel-journal', data: 'another text' },
    ]);
    assert.deepEqual(await verify(path), { status: 'partial', codes: ['no-manifest', 'sibling'] });
    await extractBundle({ bundle: path, folder: folder('out') }, quietHooks);
    assert.deepEqual(outFiles(), ['app.db', 'travel']);
  });

  it('of the Finder is read without what only the Finder needs', async () => {
    const appleDouble = Buffer.from('00051607000200004d6163204f53', 'hex');
    const path = write([
      { name: 'Backup/', mode: 0o040755 },
      {
        name: 'Backup/app.db',
        data: readFileSync(createDatabase(folder('app.db'))),
        deflate: true,
      },
      { name: '__MACOSX/', mode: 0o040755 },
      { name: '__MACOSX/Backup/', mode: 0o040755 },
      { name: '__MACOSX/Backup/._app.db', data: appleDouble },
      { name: '__MACOSX/Backup/._app.db-wal', data: appleDouble },
      { name: 'Backup/._app.db', data: appleDouble },
    ]);
    assert.deepEqual(await membersIn(path), [['Backup/app.db', 'database']]);
    assert.deepEqual(await verify(path), { status: 'partial', codes: ['no-manifest'] });
    await extractBundle({ bundle: path, folder: folder('out') }, quietHooks);
    assert.deepEqual(outFiles(), ['app.db']);
    assert.equal(
      (await listAll(folder())).entries.filter(({ kind }) => kind === 'bundle').length,
      1,
    );
  });

  describe('whose names do not say that they are UTF-8', () => {
    let data = Buffer.alloc(0);

    beforeEach(() => {
      data = readFileSync(createDatabase(folder('content.db')));
    });

    it('is read when Info-ZIP made it', async function () {
      if (process.platform === 'win32') this.skip();
      mkdirSync(folder('größe'));
      createDatabase(folder('größe/日本.db'));
      const path = await zip('größe');
      assert.deepEqual(await membersIn(path), [['größe/日本.db', 'database']]);
      await extractBundle({ bundle: path, folder: folder('out') }, quietHooks);
      assert.equal(valueOf(folder('out/größe/日本.db'), count), 100);
    });

    it('is read when 7-Zip made it, which adds a second name', async function () {
      if (process.platform === 'win32') this.skip();
      needProgram('7zz', '7zip');
      createDatabase(folder('größe.db'));
      await run(['7zz', 'a', '-bso0', '-tzip', '-mcl=on', folder('other.zip'), folder('größe.db')]);
      assert.deepEqual(await membersIn(folder('other.zip')), [['größe.db', 'database']]);
      assert.deepEqual((await verify(folder('other.zip'))).codes, ['no-manifest']);
    });

    it('is read in the letters of old consoles, and by the second name', async () => {
      const raw = Buffer.from([0x67, 0x72, 0x94, 0xe1, 0x65, 0x2e, 0x64, 0x62]);
      const path = write([{ name: raw, flags: 0, data }]);
      assert.deepEqual(await membersIn(path), [['größe.db', 'database']]);
      const cyrillic = Buffer.from([0xa1, 0xa0, 0xa7, 0xa0, 0x2e, 0x64, 0x62]);
      const extra = secondName(cyrillic, Buffer.from('база.db'));
      write([{ name: cyrillic, flags: 0, data, extra }]);
      assert.deepEqual(await membersIn(path), [['база.db', 'database']]);
    });

    for (const [what, second] of [
      ['in plain letters', 'größe.exe'],
      ['in a folder', 'grö/ße.db'],
      ['climbing out', '../größe.db'],
      ['by a line break', 'gr\nöße.db'],
    ] as const) {
      it(`is refused when the second name differs ${what}`, async () => {
        const first = Buffer.from('größe.db');
        const extra = secondName(first, Buffer.from(second));
        const path = write([{ name: first, flags: 0, data, extra }]);
        await assert.rejects(extractBundle({ bundle: path, folder: folder('out') }, quietHooks), {
          code: 'backup-damaged',
        });
        assert.ok(!existsSync(folder('out')));
      });
    }
  });

  it('with a picture cache called Thumbs.db is no backup, and one with a database in a folder is', async () => {
    const nested = { name: 'a/b/data.db', data: readFileSync(createDatabase(folder('app.db'))) };
    const cache = { name: 'a/Thumbs.db', data: Buffer.from('d0cf11e0a1b11ae1', 'hex') };
    const found = async (): Promise<string[]> =>
      (await listAll(folder())).entries.flatMap(({ kind, path }) =>
        kind === 'bundle' ? [basename(path)] : [],
      );
    write([cache]);
    assert.deepEqual(await found(), []);
    write([cache, nested]);
    assert.deepEqual(await found(), ['other.zip']);
  });

  it('that is called one of ours gets nothing from a -wal beside its database', async () => {
    const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
    const { path } = await bundleOf([live]);
    const parts = await withBundle(path, async ({ zip: inside }) => ({
      json: await inside.readSmall('manifest.json', 1e6),
      data: await inside.readSmall('app.db', 1e9),
    }));
    await holdOpen(live, 'DELETE FROM items');
    const forged = write([
      { name: 'manifest.json', data: parts.json },
      { name: 'app.db', data: parts.data },
      { name: 'app.db-wal', data: readFileSync(`${live}-wal`) },
      { name: 'VERSION', data: 'x' },
    ]);
    const { status, codes } = await verify(forged);
    assert.deepEqual([status, codes.includes('unknown-entry')], ['damaged', true]);
    await assert.rejects(extractBundle({ bundle: forged, folder: folder('out') }, quietHooks), {
      code: 'backup-damaged',
    });
  });
});

/** What SQLite appends to a journal of a transaction over several databases. */
function superJournal(path: string): Buffer {
  const name = Buffer.from(path);
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(name.length, 0);
  tail.writeUInt32BE(
    name.reduce((sum, byte) => sum + byte, 0),
    4,
  );
  const page = Buffer.alloc(4);
  return Buffer.concat([page, name, tail, Buffer.from('d9d505f920a163d7', 'hex')]);
}

/** The field in which Info-ZIP gives an entry a second name, in UTF-8. */
function secondName(first: Buffer, second: Buffer): Buffer {
  const field = Buffer.alloc(9);
  field.writeUInt16LE(0x7075, 0);
  field.writeUInt16LE(5 + second.length, 2);
  field.writeUInt8(1, 4);
  field.writeUInt32LE(crc32(first), 5);
  return Buffer.concat([field, second]);
}
