import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, copyFileSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { readHeader, requireDatabase } from '../../src/core/sqlite/header.ts';
import { createDatabase, overwrite, writeBytes } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, kill } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const magic = Buffer.from('SQLite format 3\0', 'latin1');
const text = Buffer.from('This is a readme, not a database.\n'.repeat(200));

/** A zip entry as zip tools write it. */
function zipOf(content: Buffer): Buffer {
  const local = Buffer.alloc(30);
  local.write('PK\x03\x04', 'latin1');
  return Buffer.concat([local, deflateRawSync(content)]);
}

describe('header', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  const refused: [what: string, bytes: () => Uint8Array | string, code: string][] = [
    ['an empty file', () => '', 'not-a-database'],
    ['one byte', () => 'S', 'not-a-database'],
    ['the magic alone', () => magic, 'not-a-database'],
    ['99 bytes of a header', () => Buffer.concat([magic, Buffer.alloc(83)]), 'not-a-database'],
    ['text', () => text, 'not-a-database'],
    ['a zip', () => zipOf(randomBytes(8162)).subarray(0, 8192), 'not-a-database'],
    ['a gzip', () => gzipSync(randomBytes(9000)).subarray(0, 8192), 'not-a-database'],
    [
      'a picture',
      () => Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), randomBytes(4088)]),
      'not-a-database',
    ],
    ['noise of odd length', () => randomBytes(4000), 'not-a-database'],
    ['zeros', () => Buffer.alloc(4096), 'not-a-database'],
    ['what an encrypted database looks like', () => randomBytes(8192), 'encrypted-or-not-sqlite'],
  ];
  for (const [what, bytes, code] of refused) {
    it(`refuses ${what} as ${code}`, () => {
      const path = writeBytes(folder('app.db'), bytes());
      assert.throws(() => requireDatabase(path), { code, path });
    });
  }

  it('refuses every cut of a database within its header', () => {
    const whole = readFileSync(createDatabase(folder('whole.db')));
    for (let length = 0; length < 100; length++) {
      const path = writeBytes(folder('app.db'), whole.subarray(0, length));
      assert.throws(() => requireDatabase(path), { code: 'not-a-database' }, `${length} bytes`);
    }
  });

  const invalid: [what: string, offset: number, bytes: number[], code: string][] = [
    ['a read version of 3', 19, [3], 'newer-format'],
    ['a read version of 0', 19, [0], 'corrupt'],
    ['a page size of 0', 16, [0, 0], 'corrupt'],
    ['a page size of 256', 16, [1, 0], 'corrupt'],
    ['a page size of 1000', 16, [3, 0xe8], 'corrupt'],
    ['other payload fractions', 21, [0x41], 'corrupt'],
    ['a page count far beyond the file', 28, [0x7f, 0xff, 0xff, 0xff], 'corrupt'],
  ];
  for (const [what, offset, bytes, code] of invalid) {
    it(`refuses ${what} as ${code}`, () => {
      const path = createDatabase(folder('app.db'));
      overwrite(path, offset, Uint8Array.from(bytes));
      assert.throws(() => requireDatabase(path), { code });
    });
  }

  it('refuses a file that lost its last page, or the half of one', () => {
    for (const missing of [4096, 2048, 1]) {
      const path = createDatabase(folder(`${missing}.db`));
      truncateSync(path, statSync(path).size - missing);
      assert.throws(() => requireDatabase(path), { code: 'corrupt', message: /cut off/ });
    }
  });

  it('passes a file that is shorter than its header says while its WAL completes it', async () => {
    const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
    await kill(
      await holdOpen(
        path,
        'PRAGMA wal_autocheckpoint = 0',
        'INSERT INTO items SELECT NULL, name, randomblob(900) FROM items',
        'PRAGMA wal_checkpoint(PASSIVE)',
        'INSERT INTO items (name) VALUES (1)',
      ),
    );
    truncateSync(path, statSync(path).size - 4096);
    assert.equal(requireDatabase(path).journalMode, 'wal');
  });

  it('tells journal mode, page size and page count', () => {
    const rollback = createDatabase(folder('a.db'), { pragmas: ['page_size = 1024'] });
    const size = statSync(rollback).size;
    assert.deepEqual(readHeader(rollback), {
      kind: 'sqlite',
      journalMode: 'rollback',
      pageSize: 1024,
      reservedBytes: 0,
      pageCount: size / 1024,
      sizeBytes: size,
    });
    const wal = readHeader(
      createDatabase(folder('b.db'), { journalMode: 'wal', pragmas: ['page_size = 65536'] }),
    );
    assert.ok(wal.kind === 'sqlite' && wal.journalMode === 'wal' && wal.pageSize === 65536);
  });

  it('does not trust a page count that an old SQLite left behind', () => {
    const path = createDatabase(folder('app.db'));
    overwrite(path, 92, Uint8Array.of(0, 0, 0, 0));
    const header = readHeader(path);
    assert.ok(header.kind === 'sqlite' && header.pageCount === undefined);
  });

  it('passes over what follows the last page', () => {
    const path = createDatabase(folder('app.db'));
    copyFileSync(path, folder('b.db'));
    appendFileSync(folder('b.db'), 'garbage');
    assert.equal(requireDatabase(folder('b.db')).pageCount, requireDatabase(path).pageCount);
  });

  it('explains what the system says', () => {
    assert.throws(() => readHeader(folder('missing.db')), { code: 'source-missing' });
    assert.throws(() => readHeader(folder()), { name: 'BackupError' });
  });
});
