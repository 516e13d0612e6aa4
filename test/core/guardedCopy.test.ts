import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { isBackupError } from '../../src/core/errors.ts';
import {
  copyGuarded,
  makeReadableCopy,
  withReadableCopy,
} from '../../src/core/sqlite/guardedCopy.ts';
import {
  bytesOf,
  createDatabase,
  siblingsBeside,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, kill, start } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const busy = (error: unknown): boolean => isBackupError(error) && error.code === 'source-busy';

describe('a guarded private copy', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const countOf = (path: string): unknown => valueOf(path, 'SELECT count(*) FROM items');

  it('refuses a database beside which something else has the name of a sibling', () => {
    const oddities: ((path: string) => unknown)[] = [
      (path) => execFileSync('mkfifo', [path]),
      (path) => mkdirSync(path),
      (path) => symlinkSync('/dev/zero', path),
      (path) => symlinkSync(folder('nowhere'), path),
    ];
    const database = createDatabase(folder('app.db'));
    for (const suffix of ['-wal', '-journal', '-shm']) {
      for (const make of oddities) {
        make(database + suffix);
        assert.throws(
          () => copyGuarded(database, folder('copy.db')),
          { code: 'not-a-database', path: database + suffix },
          suffix,
        );
        rmSync(database + suffix, { recursive: true });
      }
    }
    assert.deepEqual(readdirSync(folder()), ['app.db']);
  });

  it('says that a missing database does not exist', () => {
    assert.throws(() => copyGuarded(folder('none.db'), folder('copy.db')), {
      code: 'source-missing',
    });
  });

  it('of a database that changes all the time ends after a while, however long each try takes', () => {
    const database = createDatabase(folder('app.db'));
    const triesIn = (longestMs?: number): number => {
      let tries = 0;
      const afterPart = (): void => {
        tries++;
        withDatabase(database, (db) => db.pragma(`user_version = ${tries}`));
      };
      const options = { afterPart, ...(longestMs !== undefined && { longestMs }) };
      assert.throws(() => copyGuarded(database, folder('copy.db'), options), busy);
      assert.equal(existsSync(folder('copy.db')), false);
      return tries;
    };
    assert.deepEqual([triesIn(0), triesIn()], [2, 6]);
  });

  it('never overwrites the target', () => {
    const database = createDatabase(folder('app.db'));
    writeFileSync(folder('copy.db'), 'precious');
    assert.throws(() => copyGuarded(database, folder('copy.db')), { code: 'name-taken' });
  });

  it('has the transactions that are only in the -wal, and leaves nothing beside the database', async () => {
    const database = createDatabase(folder('app.db'), { journalMode: 'wal' });
    const writer = await holdOpen(database, 'DELETE FROM items WHERE id > 40');
    await kill(writer);
    rmSync(`${database}-shm`);
    const before = bytesOf(database);
    mkdirSync(folder('private'));
    const copy = makeReadableCopy(database, folder('private'));
    assert.deepEqual([countOf(copy), siblingsBeside(copy)], [40, ['-wal', '-shm']]);
    assert.deepEqual([bytesOf(database), siblingsBeside(database)], [before, ['-wal']]);
  });

  it('rolls an interrupted transaction back in the copy, and leaves the journal of the database', async () => {
    const database = createDatabase(folder('app.db'), { rows: 5000 });
    await kill((await start('hotJournal.ts', database)).child);
    const before = bytesOf(database);
    assert.ok('-journal' in before);
    assert.equal(withReadableCopy(database, countOf), 5000);
    assert.deepEqual(bytesOf(database), before);
  });

  const changes: [what: string, change: (path: string) => unknown][] = [
    ['a commit', (path) => withDatabase(path, (db) => db.exec('DELETE FROM items WHERE id = 1'))],
    ['a -wal that appears', (path) => writeFileSync(`${path}-wal`, '')],
    [
      'a replacement by a copy',
      (path) => execFileSync('sh', ['-c', 'cp -p "$0" "$0.n" && mv "$0.n" "$0"', path]),
    ],
  ];
  for (const [what, change] of changes) {
    it(`is made anew after ${what} while it is made`, () => {
      const database = createDatabase(folder('app.db'), { journalMode: 'wal' });
      let reads = 0;
      const copied = copyGuarded(database, folder('copy.db'), {
        afterPart: (suffix) => {
          if (suffix === '' && ++reads === 1) change(database);
        },
      });
      assert.equal(reads, 2);
      assert.ok(copied.includes(''));
      assert.equal(countOf(folder('copy.db')), countOf(database));
    });
  }

  it('is refused as busy, without a remainder, when the database changes each time', () => {
    const database = createDatabase(folder('app.db'));
    let id = 0;
    const change = (): void =>
      withDatabase(database, (db) => void db.prepare('DELETE FROM items WHERE id = ?').run(++id));
    assert.throws(() => copyGuarded(database, folder('copy.db'), { afterPart: change }), busy);
    assert.equal(existsSync(folder('copy.db')), false);
  });
});
