import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { checkDatabase } from '../../src/core/sqlite/check.ts';
import { verifyBackup } from '../../src/core/verify/verifyBackup.ts';
import { captureWith } from '../../src/worker/captureProcess.ts';
import { bundleOf } from '../support/bundles.ts';
import {
  createDatabase,
  itemsSql,
  overwrite,
  snapshot,
  withDatabase,
} from '../support/databases.ts';
import { workerEntry } from '../support/processes.ts';
import { applyRequest, quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** As the checksum VFS of SQLite does it, in its own words: two sums over pairs of little-endian 32-bit words. */
function checksumOf(page: Buffer): Buffer {
  const words = new Uint32Array(page.length / 4 - 2);
  for (let n = 0; n < words.length; n++) words[n] = page.readUInt32LE(n * 4);
  const sums = new Uint32Array(2);
  for (let n = 0; n < words.length; n += 2) {
    sums[0] = (sums[0] ?? 0) + (words[n] ?? 0) + (sums[1] ?? 0);
    sums[1] = (sums[1] ?? 0) + (words[n + 1] ?? 0) + (sums[0] ?? 0);
  }
  return Buffer.from(sums.buffer);
}

/** The pages that the application could not read. */
function wrongPages(path: string, pageSize = 4096): number[] {
  const bytes = readFileSync(path);
  const wrong: number[] = [];
  for (let at = 0; at < bytes.length; at += pageSize) {
    const page = bytes.subarray(at, at + pageSize);
    if (!page.subarray(-8).equals(checksumOf(page))) wrong.push(at / pageSize + 1);
  }
  return wrong;
}

/** Of a closed database that keeps 8 bytes in each page. */
function writeChecksums(path: string, pageSize = 4096): void {
  const bytes = readFileSync(path);
  for (let at = 0; at < bytes.length; at += pageSize)
    checksumOf(bytes.subarray(at, at + pageSize)).copy(bytes, at + pageSize - 8);
  writeFileSync(path, bytes);
}

/** A database as an application with the checksum VFS leaves it. */
function createWithChecksums(
  path: string,
  { journalMode = 'delete', pageSize = 4096, sql = itemsSql(300) } = {},
): string {
  createDatabase(path, {
    pragmas: [`page_size = ${pageSize}`],
    sql: 'CREATE TABLE t (a); DROP TABLE t; VACUUM',
  });
  const bytes = readFileSync(path);
  assert.equal(bytes.length, pageSize);
  bytes.writeUInt8(8, 20);
  bytes.writeUInt16BE(pageSize - 8, 105);
  writeFileSync(path, bytes);
  withDatabase(path, (db) => {
    db.pragma(`journal_mode = ${journalMode}`);
    db.exec(sql);
  });
  writeChecksums(path, pageSize);
  return path;
}

describe('a database with a checksum in each page', () => {
  const folder = useTempFolder();
  const verify = (path: string): ReturnType<typeof verifyBackup> =>
    verifyBackup({ path, drill: true, folder: folder() }, () => undefined);

  for (const journalMode of ['delete', 'wal']) {
    for (const pageSize of [512, 4096, 32768]) {
      it(`is copied with right checksums (${journalMode}, pages of ${pageSize} bytes)`, async () => {
        const path = createWithChecksums(folder('app.db'), { journalMode, pageSize });
        assert.deepEqual(wrongPages(path, pageSize), []);
        const { path: copy, manifest } = await snapshot(path);
        assert.deepEqual([manifest.verdict.status, manifest.verdict.findings], ['ok', []]);
        assert.deepEqual(wrongPages(copy, pageSize), []);
        const { status, drill } = await verify(copy);
        assert.deepEqual([status, drill?.status], ['ok', 'ok']);
      });
    }

    it(`is captured by a second process with right checksums (${journalMode})`, async () => {
      const path = createWithChecksums(folder('app.db'), { journalMode });
      const capturing = { ...captureWith(workerEntry), fewestBytes: 0 };
      const notes: string[] = [];
      const onNote = (text: string): void => void notes.push(text);
      const { path: copy, manifest } = await snapshot(path, {}, { capturing, onNote });
      assert.deepEqual([manifest.verdict.status, notes], ['ok', []]);
      assert.deepEqual(wrongPages(copy), []);
    });

    it(`is restored with right checksums (${journalMode})`, async () => {
      const path = createWithChecksums(folder('app.db'), { journalMode });
      const { path: backup } = await snapshot(path);
      const target = folder('restored.db');
      const [item] = (await applyRestore(applyRequest(backup, target), quiet)).items;
      assert.equal(item?.verified, 'ok');
      assert.deepEqual(wrongPages(target), []);
    });
  }

  it('is bundled with right checksums', async () => {
    const path = createWithChecksums(folder('app.db'), { journalMode: 'wal' });
    const { path: bundle } = await bundleOf([path]);
    const { status, drill } = await verify(bundle);
    assert.deepEqual([status, drill?.status], ['ok', 'ok']);
  });

  it('keeps them when it has one page alone, and after a WAL was left by a crash', async () => {
    const path = createWithChecksums(folder('app.db'), { sql: 'PRAGMA user_version = 7' });
    const { path: copy } = await snapshot(path);
    assert.deepEqual(wrongPages(copy), []);
  });

  it('is not compacted, which would lose them: the words say so, and name the way', async () => {
    const path = createWithChecksums(folder('app.db'));
    await assert.rejects(snapshot(path, { method: 'compact' }), (error: Error) => {
      assert.match(error.message, /checksum/);
      assert.match(String(Reflect.get(error, 'hint')), /exact/);
      return Reflect.get(error, 'code') === 'feature-missing';
    });
    assert.ok(!existsSync(folder('backups')) || readdirSync(folder('backups')).length === 0);
  });

  it('is called partial when its application could not read one of its pages', async () => {
    const path = createWithChecksums(folder('app.db'));
    overwrite(path, 5 * 4096 - 8, Buffer.from([1, 2, 3]));
    const { path: copy, manifest } = await snapshot(path);
    assert.equal(manifest.verdict.status, 'partial');
    assert.match(manifest.verdict.findings[0]?.message ?? '', /^The checksum of page 5 is wrong/);
    assert.equal((await verify(copy)).status, 'partial');
  });

  it('may use the room in its pages for something else, which stays as it is', async () => {
    const path = createWithChecksums(folder('app.db'));
    const bytes = readFileSync(path);
    for (let at = 4096; at <= bytes.length; at += 4096) bytes.fill(0x5a, at - 8, at);
    writeFileSync(path, bytes);
    const { path: copy, manifest } = await snapshot(path);
    assert.equal(manifest.verdict.status, 'ok');
    const copied = readFileSync(copy);
    assert.deepEqual(copied.subarray(4096), bytes.subarray(4096));
    assert.deepEqual(copied.subarray(4088, 4096), Buffer.alloc(8, 0x5a));
  });

  it('has no checksums without the room for them', () => {
    const path = createDatabase(folder('app.db'));
    const before = readFileSync(path);
    assert.equal(checkDatabase(path, { access: 'private' }).status, 'ok');
    assert.deepEqual(readFileSync(path), before);
  });
});
