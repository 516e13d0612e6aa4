import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makePrivateFolder } from '../../src/core/files/workplace.ts';
import type { Progress } from '../../src/core/job.ts';
import { parseManifest } from '../../src/core/manifest/manifest.ts';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import {
  bytesOf,
  contentOf,
  createDatabase,
  createLarge,
  createForeign,
  createWithForeignCollation,
  features,
  flipValue,
  itemsSql,
  overwrite,
  pagesOf,
  requestFor,
  sha256,
  siblingsBeside,
  snapshot,
  valueOf,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, kill, start, workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const journalModeInHeader = (path: string): number => readFileSync(path).readUInt8(18);

describe('a snapshot', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const backups = (): string[] =>
    existsSync(folder('backups')) ? readdirSync(folder('backups')) : [];

  describe('of what cannot be backed up', () => {
    const refused: [what: string, code: string, make: (path: string) => unknown][] = [
      ['a missing file', 'source-missing', () => undefined],
      ['a folder', 'not-a-database', (path) => mkdirSync(path)],
      ['an empty file', 'not-a-database', (path) => writeFileSync(path, '')],
      ['text', 'not-a-database', (path) => writeFileSync(path, 'text\n'.repeat(1000))],
      [
        'a file whose name ends in a blank',
        'bad-name',
        (path) => renameSync(createDatabase(path), `${path} `),
      ],
    ];
    for (const [what, code, make] of refused) {
      it(`fails with ${code} for ${what}, and creates nothing`, async () => {
        make(folder('app.db'));
        const before = readdirSync(folder());
        const path = existsSync(folder('app.db ')) ? folder('app.db ') : folder('app.db');
        await assert.rejects(snapshot(path), { name: 'BackupError', code });
        assert.deepEqual(readdirSync(folder()), before);
      });
    }

    it('keeps only a suspect copy of a database with a garbage page, and says which', async () => {
      const path = createDatabase(folder('app.db'), { rows: 500 });
      overwrite(path, 10 * 4096, Buffer.alloc(4096, 0xa5));
      const before = bytesOf(path);
      await assert.rejects(snapshot(path), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'corrupt');
        assert.match(error.message, /no backup.*app_.*Z\.db\.suspect/);
        return true;
      });
      const [suspect = '', manifest = '', ...rest] = backups().sort();
      assert.match(suspect, /^app_\d{8}_\d{6}Z\.db\.suspect$/);
      assert.equal(manifest, `${suspect}.json`);
      assert.deepEqual(rest, []);
      assert.equal(verifySnapshot(folder('backups', suspect), () => undefined).status, 'damaged');
      assert.deepEqual(bytesOf(path), before);
    });

    it('keeps the suspect copy of a damaged database with the longest of names, too', async () => {
      const path = createDatabase(folder(`${'n'.repeat(235)}.db`), { rows: 500 });
      overwrite(path, 10 * 4096, Buffer.alloc(4096, 0xa5));
      await assert.rejects(snapshot(path), { code: 'corrupt' });
      assert.equal(backups().filter((name) => name.endsWith('.suspect')).length, 1);
    });

    it('fails when the target is a file, or a link to nowhere, before the database is opened', async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
      writeFileSync(folder('file'), 'x');
      symlinkSync(folder('nowhere'), folder('link'));
      for (const name of ['file', 'file/below', 'link']) {
        await assert.rejects(snapshot(path, { folder: folder(name) }), { code: 'access' });
      }
      assert.deepEqual(siblingsBeside(path), []);
    });
  });

  describe('of any kind of database', () => {
    const unchanged = async (path: string): Promise<void> => {
      const before = bytesOf(path);
      const { path: copy, manifest } = await snapshot(path);
      assert.equal(manifest.verdict.status, 'ok', JSON.stringify(manifest.verdict));
      assert.deepEqual(contentOf(copy), contentOf(path));
      assert.deepEqual(
        { ...bytesOf(path), '-wal': undefined },
        { ...before, '-wal': undefined },
        'the database itself is as it was',
      );
      assert.equal(verifySnapshot(copy, () => undefined).status, 'ok');
    };

    for (const pageSize of [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]) {
      it(`is exact with pages of ${pageSize} bytes`, async () => {
        const path = createDatabase(folder('app.db'), { pragmas: [`page_size = ${pageSize}`] });
        await unchanged(path);
        const [copy = ''] = backups().filter((name) => name.endsWith('.db'));
        assert.equal(pagesOf(folder('backups', copy)), pagesOf(path), 'byte for byte');
      });
    }

    for (const encoding of ['UTF-8', 'UTF-16le', 'UTF-16be']) {
      for (const autoVacuum of [0, 1, 2]) {
        it(`is exact in ${encoding} with auto_vacuum ${autoVacuum}`, async () => {
          const pragmas = [`encoding = '${encoding}'`, `auto_vacuum = ${autoVacuum}`];
          await unchanged(createDatabase(folder('app.db'), { pragmas }));
          const [copy = ''] = backups();
          assert.equal(valueOf(folder('backups', copy), 'PRAGMA encoding'), encoding);
          assert.equal(valueOf(folder('backups', copy), 'PRAGMA auto_vacuum'), autoVacuum);
        });
      }
    }

    for (const [what, sql] of features) {
      it(`is exact with ${what}`, async () => {
        const path = createDatabase(folder('app.db'), { sql });
        const before = sha256(path);
        const { path: copy, manifest } = await snapshot(path);
        assert.equal(manifest.verdict.status, 'ok', JSON.stringify(manifest.verdict));
        assert.equal(pagesOf(copy), pagesOf(path));
        assert.equal(sha256(path), before);
      });
    }

    it('keeps user_version, application_id, implicit rowids and deleted content', async () => {
      const path = createDatabase(folder('app.db'), {
        pragmas: ['user_version = -7', 'application_id = 1196444487'],
        sql: `CREATE TABLE t (a); INSERT INTO t (rowid, a) VALUES (5, 'x'), (900, 'a deleted secret');
          DELETE FROM t WHERE rowid = 900`,
      });
      const { path: copy, manifest } = await snapshot(path);
      assert.deepEqual(
        [manifest.facts.userVersion, manifest.facts.applicationId],
        [-7, 1196444487],
      );
      assert.equal(valueOf(copy, 'SELECT rowid FROM t'), 5);
      assert.ok(readFileSync(copy).includes('deleted secret'));
    });

    it('takes exactly the pages and not what follows them', async () => {
      const path = createDatabase(folder('app.db'));
      const sizeBytes = statSync(path).size;
      appendFileSync(path, 'trailing garbage');
      const { path: copy, manifest } = await snapshot(path);
      assert.deepEqual([statSync(copy).size, manifest.sizeBytes], [sizeBytes, sizeBytes]);
      assert.equal(verifySnapshot(copy, () => undefined).status, 'ok');
    });

    it('does not run what the schema of a hostile database would run', async () => {
      const path = createDatabase(folder('app.db'), {
        sql: `CREATE TABLE t (a); CREATE VIEW forever AS
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n`,
      });
      assert.equal((await snapshot(path)).manifest.verdict.status, 'ok');
    });
  });

  describe('of a database that needs what only its application has', () => {
    const partial: [what: string, make: (path: string) => string, reason: RegExp][] = [
      ['a collation', (path) => createWithForeignCollation(path), /app_order/],
      [
        'a function',
        (path) =>
          createForeign(
            path,
            'CREATE TABLE f (a, CHECK (app_function(a) > 0)); CREATE INDEX g ON f (app_function(a)); INSERT INTO f VALUES (1)',
            '',
            '',
          ),
        /app_function/,
      ],
      [
        'an FTS3 tokenizer',
        (path) =>
          createForeign(
            path,
            `CREATE VIRTUAL TABLE f USING fts3(a); INSERT INTO f VALUES ('x')`,
            'f',
            'CREATE VIRTUAL TABLE f USING fts3(a, tokenize=icu)',
          ),
        /icu/,
      ],
      [
        'an FTS5 tokenizer',
        (path) =>
          createForeign(
            path,
            `CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('x')`,
            'f',
            'CREATE VIRTUAL TABLE f USING fts5(a, tokenize=app_words)',
          ),
        /./,
      ],
      [
        'a virtual table module',
        (path) =>
          createForeign(
            path,
            `CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('x')`,
            'f',
            'CREATE VIRTUAL TABLE f USING app_module(a)',
          ),
        /app_module/,
      ],
    ];
    for (const [what, make, reason] of partial) {
      it(`is a backup, called partial, when ${what} is missing`, async () => {
        const path = make(folder('app.db'));
        const { path: copy, manifest } = await snapshot(path);
        assert.equal(pagesOf(copy), pagesOf(path));
        assert.equal(manifest.verdict.status, 'partial');
        assert.match(JSON.stringify(manifest.verdict.findings), reason);
        assert.equal(verifySnapshot(copy, () => undefined).status, 'partial');
      });
    }

    it('finds the damage of other tables all the same', async () => {
      const path = createForeign(
        folder('app.db'),
        `${itemsSql(500)}; CREATE TABLE s (name TEXT); CREATE INDEX sorted ON s (name)`,
        'sorted',
        'CREATE INDEX sorted ON s (name COLLATE app_order)',
      );
      overwrite(path, 10 * 4096, Buffer.alloc(4096, 0xa5));
      await assert.rejects(snapshot(path), { code: 'corrupt' });
      assert.ok(backups().every((name) => name.includes('.suspect')));
    });

    it('finds a garbage page in the very table that cannot be checked', async () => {
      const path = createWithForeignCollation(folder('app.db'), 500);
      overwrite(path, 10 * 4096, Buffer.alloc(4096, 0xa5));
      await assert.rejects(snapshot(path), { code: 'corrupt' });
    });

    it('has a manifest that can be read again, however long the names are', async () => {
      const name = 'n'.repeat(5000);
      const path = createForeign(
        folder('app.db'),
        `CREATE TABLE "${name}" (a TEXT); CREATE INDEX sorted ON "${name}" (a)`,
        'sorted',
        `CREATE INDEX sorted ON "${name}" (a COLLATE "${name}")`,
      );
      const { path: copy, manifestPath } = await snapshot(path);
      assert.equal(parseManifest(readFileSync(manifestPath, 'utf8')).kind, 'manifest');
      const codes = verifySnapshot(copy, () => undefined).findings.map(({ code }) => code);
      assert.ok(!codes.includes('bad-manifest'), codes.join());
    });
  });

  describe('of a database in WAL mode', () => {
    it('holds what is in the WAL, stands alone in rollback mode, and changes nothing at the source', async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
      const owner = await holdOpen(
        path,
        'PRAGMA wal_autocheckpoint = 0',
        'DELETE FROM items WHERE id > 7',
      );
      const before = bytesOf(path);
      assert.ok(statSync(`${path}-wal`).size > 0);
      const { path: copy, manifest } = await snapshot(path);
      assert.deepEqual(bytesOf(path), before);
      await kill(owner);
      assert.equal(valueOf(copy, 'SELECT count(*) FROM items'), 7);
      assert.deepEqual(siblingsBeside(copy), []);
      assert.equal(journalModeInHeader(copy), 1);
      assert.equal(manifest.facts.journalMode, 'wal');
    });

    it('has the rows of a writer that was killed, and leaves its files as they are', async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
      await kill(
        await holdOpen(
          path,
          'PRAGMA wal_autocheckpoint = 0',
          `INSERT INTO items (id, name) VALUES (777, 'the last one')`,
        ),
      );
      const before = bytesOf(path);
      const { path: copy } = await snapshot(path);
      assert.deepEqual(bytesOf(path), before);
      assert.equal(valueOf(copy, 'SELECT name FROM items WHERE id = 777'), 'the last one');
    });

    it('is taken through a symbolic link with the WAL of the file that the link leads to', async () => {
      mkdirSync(folder('real'));
      const path = createDatabase(folder('real/app.db'), { journalMode: 'wal' });
      await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
      symlinkSync(path, folder('link.db'));
      const { path: copy, database } = await snapshot(folder('link.db'));
      assert.equal(database, path);
      assert.match(basename(copy), /^app_/);
      assert.equal(valueOf(copy, 'SELECT count(*) FROM items'), 7);
      assert.deepEqual(siblingsBeside(folder('link.db')), []);
    });

    it('is refused through a hard link, beside which the WAL is not', async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
      await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
      linkSync(path, folder('other.db'));
      await assert.rejects(snapshot(folder('other.db')), {
        code: 'incomplete',
        message: /hard link/,
      });
      assert.deepEqual([siblingsBeside(folder('other.db')), backups()], [[], []]);
    });

    it('is refused through a hard link beside which an earlier reader left an empty WAL', async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
      await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
      linkSync(path, folder('other.db'));
      writeFileSync(folder('other.db-wal'), '');
      await assert.rejects(snapshot(folder('other.db')), {
        code: 'incomplete',
        message: /hard link/,
      });
    });

    it('is taken under the name that the application uses, although there are other hard links', async () => {
      const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
      await holdOpen(path, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7');
      linkSync(path, folder('other.db'));
      const { path: copy } = await snapshot(path);
      assert.equal(valueOf(copy, 'SELECT count(*) FROM items'), 7);
    });
  });

  describe('of a database that others hold', () => {
    for (const journalMode of ['delete', 'wal'] as const) {
      it(`is the committed state while a transaction is open (${journalMode})`, async () => {
        const path = createDatabase(folder('app.db'), { journalMode });
        await holdOpen(path, 'BEGIN IMMEDIATE', 'DELETE FROM items');
        const before = bytesOf(path);
        const { path: copy } = await snapshot(path);
        assert.equal(valueOf(copy, 'SELECT count(*) FROM items'), 100);
        assert.deepEqual(bytesOf(path), before);
      });
    }

    const lockers: [what: string, journalMode: 'delete' | 'wal', sql: string[]][] = [
      ['an exclusive transaction', 'delete', ['BEGIN EXCLUSIVE']],
      [
        'locking_mode = EXCLUSIVE in WAL mode',
        'wal',
        ['PRAGMA locking_mode = EXCLUSIVE', 'UPDATE items SET name = 1 WHERE id = 1'],
      ],
      [
        'locking_mode = EXCLUSIVE in rollback mode',
        'delete',
        ['PRAGMA locking_mode = EXCLUSIVE', 'UPDATE items SET name = 1 WHERE id = 1'],
      ],
    ];
    for (const [what, journalMode, sql] of lockers) {
      it(`fails as busy under ${what}, and names the program and its number`, async () => {
        const path = createDatabase(folder('app.db'), { journalMode });
        const locker = await holdOpen(path, ...sql);
        const before = bytesOf(path);
        await assert.rejects(snapshot(path), (error: Error & { code?: string; facts?: object }) => {
          assert.equal(error.code, 'source-busy');
          assert.ok(error.message.includes(`pid ${locker.pid}`), error.message);
          assert.deepEqual(error.facts, {
            program: basename(process.execPath),
            pid: locker.pid,
          });
          return true;
        });
        assert.deepEqual(bytesOf(path), before);
        assert.ok(!existsSync(folder('backups')), 'no backups folder either');
      });
    }

    it('waits for a lock as long as it was told, and then succeeds', async () => {
      const path = createDatabase(folder('app.db'));
      const locker = await holdOpen(path, 'BEGIN EXCLUSIVE');
      const takenAway = new Promise((resolve) => setTimeout(resolve, 300)).then(() => {
        locker.kill('SIGKILL');
      });
      // In a process of its own: waiting for a lock blocks the one that waits.
      const worker = new WorkerClient({ entry: workerEntry });
      const { manifest } = await worker.call('backUp', requestFor(path, { busyTimeoutMs: 10_000 }));
      await takenAway;
      assert.equal(manifest.verdict.status, 'ok');
    });

    it('fails with hot-journal where a writer died in the middle of a transaction, and repairs nothing', async () => {
      const path = createDatabase(folder('app.db'), { rows: 2000 });
      const writer = (await start('hotJournal.ts', path)).child;
      await kill(writer);
      assert.ok(statSync(`${path}-journal`).size > 0);
      assert.ok(readFileSync(path).includes('torn '), 'changed pages are in the file');
      const before = bytesOf(path);
      await assert.rejects(snapshot(path), { code: 'hot-journal' });
      assert.deepEqual(bytesOf(path), before);
      assert.ok(!existsSync(folder('backups')));
    });
  });

  describe('during which the database changes', () => {
    it('is of the old file when another takes its name, and says so', async () => {
      const path = createDatabase(folder('app.db'), { rows: 100 });
      createDatabase(folder('new.db'), { rows: 5 });
      const { path: copy, manifest } = await snapshot(
        path,
        {},
        {
          onProgress: ({ phase }) => {
            if (phase === 'copy' && existsSync(folder('new.db')))
              renameSync(folder('new.db'), path);
          },
        },
      );
      assert.equal(valueOf(copy, 'SELECT count(*) FROM items'), 100);
      assert.deepEqual(
        manifest.warnings?.map(({ code }) => code),
        ['source-replaced'],
      );
    });

    it('never is a mixture when the file is cut off meanwhile', async () => {
      const path = createDatabase(folder('app.db'), { rows: 60_000 });
      let cut = false;
      const taken = snapshot(
        path,
        {},
        {
          onProgress: ({ phase }) => {
            if (phase === 'copy' && !cut) truncateSync(path, 4096 * 100);
            cut = true;
          },
        },
      );
      await assert.rejects(taken, { name: 'BackupError' });
      assert.deepEqual(
        backups().filter((name) => !name.includes('.suspect')),
        [],
      );
    });
  });

  describe('that is ended before it is done', () => {
    for (const phase of ['copy', 'check', 'hash'] as const) {
      it(`leaves nothing when stopped in the phase ${phase}`, async () => {
        const path = createDatabase(folder('app.db'));
        const stopped = snapshot(
          path,
          {},
          {
            onProgress: (progress) => {
              if (progress.phase === phase) throw new Error('stop');
            },
          },
        );
        await assert.rejects(stopped);
        assert.ok(!existsSync(folder('backups')));
      });
    }

    it('leaves nothing when it may not publish', async () => {
      const path = createDatabase(folder('app.db'));
      const hooks = { beforePublish: () => Promise.reject(new Error('no')) };
      await assert.rejects(snapshot(path, {}, hooks), /no/);
      assert.ok(!existsSync(folder('backups')));
    });

    it('has nothing under a final name until it is all proved', async () => {
      const path = createDatabase(folder('app.db'));
      const seen: string[] = [];
      await snapshot(
        path,
        {},
        {
          beforePublish: () => {
            seen.push(...readdirSync(folder('backups')));
            return Promise.resolve();
          },
        },
      );
      assert.match(seen.join(), /^\.tmp-sqlite-backup-[^,]+$/);
    });
  });

  it('writes a manifest of exactly what it found', async () => {
    const path = createDatabase(folder('app.db'), { journalMode: 'wal' });
    const {
      path: copy,
      manifestPath,
      manifest,
    } = await snapshot(path, { recordAs: { path: 'data/app.db', workspace: 'shop' } });
    assert.equal(manifestPath, `${copy}.json`);
    assert.deepEqual(parseManifest(readFileSync(manifestPath, 'utf8')), {
      kind: 'manifest',
      manifest,
    });
    const { sizeBytes, facts } = manifest;
    assert.equal(manifest.sha256, sha256(copy));
    assert.equal(sizeBytes, statSync(copy).size);
    assert.equal(sizeBytes, facts.pageCount * facts.pageSize);
    const { id, ...named } = manifest.source;
    assert.match(id ?? '', /^[0-9a-f]{32}$/);
    assert.deepEqual(named, { path: 'data/app.db', workspace: 'shop' });
    const digits = manifest.createdAt.replace(/[-:]/g, '').replace('T', '_').slice(0, 15);
    assert.equal(basename(copy), `app_${digits}Z.db`);
  });

  it('says unchecked when it was told not to check', async () => {
    const { manifest } = await snapshot(createDatabase(folder('app.db')), { verify: false });
    assert.deepEqual(manifest.verdict, { status: 'unchecked', findings: [] });
  });

  it('reports its phases in order, each with bytes that only grow', async () => {
    const path = createLarge(folder('app.db'), 27);
    const seen: Progress[] = [];
    await snapshot(path, {}, { onProgress: (progress) => seen.push(progress) });
    const phases = seen.map(({ phase }) => phase);
    assert.deepEqual([...new Set(phases)], ['copy', 'check', 'hash', 'publish']);
    for (const [index, { phase, doneBytes, totalBytes }] of seen.entries()) {
      const before = seen[index - 1];
      if (before?.phase === phase) assert.ok(doneBytes >= before.doneBytes);
      assert.equal(totalBytes, statSync(path).size);
    }
    assert.ok(phases.filter((phase) => phase === 'copy').length > 2, 'several steps');
  });

  it('sweeps what an interrupted one left, and says so where it cannot', async () => {
    const path = createDatabase(folder('app.db'));
    mkdirSync(folder('backups'));
    const left = makePrivateFolder(folder('backups')).path;
    const dead = left.replace(`-${process.pid}-`, '-4194305-');
    renameSync(left, dead);
    writeFileSync(join(dead, 'copy.db-journal'), 'x');
    await snapshot(path);
    assert.equal(backups().length, 2);
  });

  it('may lie in the folder of the database, and be of a backup', async () => {
    const path = createDatabase(folder('app.db'));
    const first = await snapshot(path, { folder: folder() });
    const second = await snapshot(first.path, { folder: folder() });
    assert.equal(dirname(second.path), folder());
    assert.notEqual(second.path, first.path);
    assert.equal(pagesOf(second.path), pagesOf(path));
  });

  it('is told apart from a second one of the same second', async () => {
    const path = createDatabase(folder('app.db'));
    const names: string[] = [];
    for (let n = 0; n < 3; n++) names.push((await snapshot(path)).path);
    assert.equal(new Set(names).size, 3);
    for (const name of names) assert.equal(verifySnapshot(name, () => undefined).status, 'ok');
  });

  it('of an old time is of the same content: the clock of files decides nothing', async () => {
    const path = createDatabase(folder('app.db'));
    utimesSync(path, 0, 0);
    assert.equal(pagesOf((await snapshot(path)).path), pagesOf(path));
  });

  for (const name of [
    'two words.db',
    'it\'s "quoted".db',
    'line\nbreak.db',
    'naïve 数据 🦆.db',
    'file:app.db',
    'file:app.db?mode=memory',
    ':memory:',
    '-dash.db',
    '%41.db',
    'CON.db',
    '.db',
    'no extension',
    `${'n'.repeat(235)}.db`,
  ]) {
    it(`is good of a file called ${JSON.stringify(name.slice(0, 30))}`, async () => {
      const path = folder(name);
      renameSync(createDatabase(folder('plain'), { journalMode: 'wal' }), path);
      const { path: copy } = await snapshot(path);
      assert.deepEqual(
        verifySnapshot(copy, () => undefined),
        { path: copy, status: 'ok', findings: [] },
      );
      assert.deepEqual(backups().sort(), [basename(copy), `${basename(copy)}.json`]);
    });
  }

  it('cannot know that a value was changed behind SQLite’s back, and is what the file is', async () => {
    const path = createDatabase(folder('app.db'), {
      sql: `CREATE TABLE t (a); INSERT INTO t VALUES ('a value')`,
    });
    flipValue(path, 'a value');
    assert.equal(pagesOf((await snapshot(path)).path), pagesOf(path));
  });
});
