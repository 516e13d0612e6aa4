import assert from 'node:assert/strict';
import {
  appendFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import type { Manifest } from '../../src/core/manifest/manifest.ts';
import { readManifestOf } from '../../src/core/manifest/manifestFile.ts';
import type { Verdict } from '../../src/core/verify/verdict.ts';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import {
  createDatabase,
  flipValue,
  overwrite,
  sha256,
  snapshot,
  withDatabase,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, kill } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const verdictOf = (path: string): Verdict => verifySnapshot(path, () => undefined);
const codesOf = (path: string): string[] => verdictOf(path).findings.map(({ code }) => code);

describe('verifying a snapshot', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let backup = '';

  beforeEach(async () => {
    const sql = `CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('a value'); CREATE TABLE u (b);
      INSERT INTO u VALUES (randomblob(40000))`;
    backup = (await snapshot(createDatabase(folder('app.db'), { sql }))).path;
  });

  const changeManifest = (change: (manifest: Manifest) => unknown): void => {
    const manifest = JSON.parse(readFileSync(`${backup}.json`, 'utf8')) as Manifest;
    change(manifest);
    writeFileSync(`${backup}.json`, JSON.stringify(manifest));
  };

  describe('calls damaged', () => {
    const damages: [what: string, damage: () => void, code: string][] = [
      ['one changed letter in a value', () => flipValue(backup, 'a value'), 'hash-mismatch'],
      ['one that was cut to nothing', () => truncateSync(backup), 'empty'],
      [
        'one that was cut to half',
        () => truncateSync(backup, statSync(backup).size / 2),
        'size-mismatch',
      ],
      [
        'one that lost its last byte',
        () => truncateSync(backup, statSync(backup).size - 1),
        'size-mismatch',
      ],
      ['one with something at its end', () => appendFileSync(backup, 'x'), 'size-mismatch'],
      [
        'one whose header was overwritten',
        () => overwrite(backup, 0, Buffer.alloc(100)),
        'not-a-database',
      ],
      [
        'one whose last page was overwritten',
        () => overwrite(backup, statSync(backup).size - 4096, Buffer.alloc(4096, 0xa5)),
        'hash-mismatch',
      ],
      ['one that was replaced by text', () => writeFileSync(backup, 'text'), 'not-a-database'],
      [
        'one of which the manifest tells another size',
        () => changeManifest((m) => (m.sizeBytes += 1)),
        'size-mismatch',
      ],
      [
        'one of which the manifest tells another hash',
        () => changeManifest((m) => (m.sha256 = 'c'.repeat(64))),
        'hash-mismatch',
      ],
      [
        'one of which the manifest tells another schema',
        () => changeManifest((m) => (m.facts.schemaFingerprint = 'c'.repeat(64))),
        'facts-differ',
      ],
      [
        'one of which the manifest tells other facts',
        () => changeManifest((m) => (m.facts.userVersion = 9)),
        'facts-differ',
      ],
    ];
    for (const [what, damage, code] of damages) {
      it(what, () => {
        damage();
        assert.equal(verdictOf(backup).status, 'damaged');
        assert.ok(codesOf(backup).includes(code), codesOf(backup).join());
      });
    }

    it('a page of garbage even where there is no manifest to compare with', () => {
      rmSync(`${backup}.json`);
      overwrite(backup, 4096, Buffer.alloc(4096, 0xa5));
      assert.equal(verdictOf(backup).status, 'damaged');
    });

    it('one that was replaced by another database', () => {
      rmSync(backup);
      createDatabase(backup, { rows: 3 });
      assert.equal(verdictOf(backup).status, 'damaged');
    });
  });

  describe('has no verdict on', () => {
    it('what is no file: a folder, a missing file, no path', () => {
      rmSync(backup);
      for (const [path, code] of [
        [backup, 'source-missing'],
        [folder(), 'not-a-database'],
        [folder('missing'), 'source-missing'],
        ['', 'bad-name'],
        ['a\0b', 'bad-name'],
      ] as const)
        assert.deepEqual([verdictOf(path).status, codesOf(path)], ['unchecked', [code]]);
    });
  });

  describe('calls partial', () => {
    const gaps: [what: string, make: () => void, code: string][] = [
      ['a good file without a manifest', () => rmSync(`${backup}.json`), 'no-manifest'],
      ['one whose manifest is text', () => writeFileSync(`${backup}.json`, 'text'), 'bad-manifest'],
      ['one whose manifest is empty', () => writeFileSync(`${backup}.json`, ''), 'bad-manifest'],
      [
        'one whose manifest is huge',
        () => truncateSync(`${backup}.json`, 9 * 1024 * 1024),
        'bad-manifest',
      ],
      [
        'one whose manifest is of another tool',
        () => changeManifest((m) => Object.assign(m.tool, { name: 'x' })),
        'bad-manifest',
      ],
      [
        'one whose manifest is newer',
        () => changeManifest((m) => Object.assign(m, { format: 2 })),
        'newer-format',
      ],
      [
        'one whose manifest is a link to nowhere',
        () => {
          rmSync(`${backup}.json`);
          symlinkSync(folder('nowhere'), `${backup}.json`);
        },
        'no-manifest',
      ],
    ];
    for (const [what, make, code] of gaps) {
      it(what, () => {
        make();
        assert.deepEqual([verdictOf(backup).status, codesOf(backup)], ['partial', [code]]);
      });
    }
  });

  it('calls a good one ok, and finds nothing', () => {
    assert.deepEqual(verdictOf(backup), { path: backup, status: 'ok', findings: [] });
  });

  it('calls a good one ok through a link, and names the file itself', () => {
    symlinkSync(backup, folder('link.db'));
    symlinkSync(`${backup}.json`, folder('link.db.json'));
    assert.deepEqual(verdictOf(folder('link.db')), { path: backup, status: 'ok', findings: [] });
  });

  it('reads a manifest only as far as it can be one', () => {
    truncateSync(`${backup}.json`, 100 * 1024 * 1024);
    assert.equal(readManifestOf(backup)?.kind, 'foreign');
  });

  for (const suffix of ['-wal', '-journal']) {
    it(`judges the file itself when a stale ${suffix} lies beside it, mentions it, and leaves it`, () => {
      writeFileSync(backup + suffix, 'stale');
      const before = sha256(backup);
      const { status, findings } = verdictOf(backup);
      assert.notEqual(status, 'damaged');
      assert.equal(sha256(backup), before);
      assert.equal(readFileSync(backup + suffix, 'utf8'), 'stale');
      assert.ok(
        findings.some(({ message }) => message.includes(suffix)),
        `opened under its name, SQLite would read the ${suffix} as well: that has to be said`,
      );
    });
  }

  it('is not deceived by a WAL beside it that would change what is read', async () => {
    const live = createDatabase(folder('live.db'), { journalMode: 'wal' });
    const owner = await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items');
    writeFileSync(`${backup}-wal`, readFileSync(`${live}-wal`));
    await kill(owner);
    const names = readdirSync(folder('backups'));
    assert.notEqual(verdictOf(backup).status, 'damaged');
    assert.deepEqual(readdirSync(folder('backups')), names);
  });

  const kinds: [what: string, make: (path: string) => void][] = [
    ['of ours', () => undefined],
    ['in WAL mode', (path) => withDatabase(path, (db) => db.pragma('journal_mode = wal'))],
    ['with a stale WAL', (path) => writeFileSync(`${path}-wal`, 'x')],
    ['that is damaged', (path) => overwrite(path, 4096, Buffer.alloc(4096, 0xa5))],
  ];
  for (const [what, make] of kinds) {
    it(`writes nothing beside a file ${what}, nor leaves anything in the folder for temporary files`, () => {
      make(backup);
      const before = [readdirSync(folder('backups')), sha256(backup)];
      const ours = (): string[] =>
        readdirSync(tmpdir()).filter(
          (name) => name.includes(`sqlite-backup-`) && name.includes(`-${process.pid}-`),
        );
      verdictOf(backup);
      assert.deepEqual([readdirSync(folder('backups')), sha256(backup)], before);
      assert.deepEqual(ours(), []);
    });
  }

  it('tells its phases', () => {
    const phases: string[] = [];
    verifySnapshot(backup, ({ phase }) => phases.push(phase));
    assert.deepEqual([...new Set(phases)], ['hash', 'check']);
  });
});
