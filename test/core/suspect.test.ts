import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import type { BackupError } from '../../src/core/errors.ts';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import {
  createDatabase,
  manifestOf,
  overwrite,
  sha256,
  snapshot,
  withDatabase,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, kill } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a database that SQLite cannot open because it is damaged', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const live = (): string => folder('app.db');
  const suspects = (): string[] =>
    existsSync(folder('backups'))
      ? readdirSync(folder('backups')).filter((name) => name.endsWith('.suspect'))
      : [];
  const refusal = async (code: string): Promise<BackupError> => {
    let refused: BackupError | undefined;
    await assert.rejects(snapshot(live()), (error: BackupError) => {
      refused = error;
      return true;
    });
    assert.equal(refused?.code, code);
    return refused;
  };

  const damages: [what: string, damage: () => void][] = [
    ['cut off', () => truncateSync(live(), 8192)],
    ['cut off in the middle of a page', () => truncateSync(live(), 9000)],
    ['with garbage for a schema', () => overwrite(live(), 100, Buffer.alloc(3000, 0xa5))],
    ['with an impossible header', () => overwrite(live(), 16, Buffer.from([3, 3]))],
  ];
  for (const [what, damage] of damages) {
    it(`(${what}) is kept as it is, as .suspect, and never taken for a backup`, async () => {
      createDatabase(live());
      damage();
      const bytes = sha256(live());
      const { message, hint, facts } = await refusal('corrupt');
      const [name = '', ...more] = suspects();
      assert.deepEqual(more, []);
      assert.match(message, new RegExp(`kept as ${name}`));
      assert.match(hint ?? '', /\.recover/);
      const suspect = folder('backups', name);
      assert.equal(facts?.['suspect'], suspect);
      assert.equal(sha256(suspect), bytes);
      assert.equal(sha256(live()), bytes);
      const { verdict, sizeBytes } = manifestOf(suspect);
      assert.deepEqual([verdict.status, sizeBytes], ['damaged', statSync(live()).size]);
      assert.equal(verifySnapshot(suspect, () => undefined).status, 'damaged');
      assert.deepEqual(
        listBackups(folder('backups')).map(({ verified }) => verified),
        ['damaged'],
      );
    });
  }

  it('is kept with its -wal', async () => {
    createDatabase(live(), { journalMode: 'wal' });
    await kill(await holdOpen(live(), 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items'));
    overwrite(live(), 16, Buffer.from([3, 3]));
    await refusal('corrupt');
    const [name = ''] = suspects();
    assert.equal(sha256(folder('backups', `${name}-wal`)), sha256(`${live()}-wal`));
    assert.equal(listBackups(folder('backups')).length, 1);
  });

  it('has at most two suspect copies, however often a schedule tries', async () => {
    createDatabase(live());
    truncateSync(live(), 8192);
    for (let n = 0; n < 4; n++) await refusal('corrupt');
    assert.equal(suspects().length, 2);
  });

  it('is refused with the name of its newest good backup', async () => {
    createDatabase(live());
    await snapshot(live());
    const { path } = await snapshot(live());
    truncateSync(live(), 8192);
    const { hint, facts } = await refusal('corrupt');
    assert.equal(facts?.['backup'], path);
    assert.match(hint ?? '', new RegExp(`^Restore its newest good backup, app_.*\\.db of 20`));
  });

  for (const [what, damage, isKept] of [
    ['whose first page is zeros', () => overwrite(live(), 0, Buffer.alloc(4096)), true],
    ['that is empty', () => truncateSync(live(), 0), false],
    ['that a text has replaced', () => writeFileSync(live(), 'text\n'.repeat(99)), true],
  ] as const) {
    it(`and ${what} is only known by its backups: the error offers them`, async () => {
      createDatabase(live());
      const { path } = await snapshot(live());
      damage();
      const { facts } = await refusal('not-a-database');
      assert.equal(facts?.['backup'], path);
      assert.equal(suspects().length, isKept ? 1 : 0);
    });
  }

  it('has backups of an older version, too, which know only its name', async () => {
    createDatabase(live());
    const { path } = await snapshot(live());
    const manifest = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as {
      source: { id?: string };
    };
    delete manifest.source.id;
    rmSync(`${path}.json`);
    writeFileSync(`${path}.json`, JSON.stringify(manifest));
    overwrite(live(), 0, Buffer.alloc(4096));
    assert.equal((await refusal('not-a-database')).facts?.['backup'], path);
  });

  it('is a text that was never backed up: nothing is kept, and nothing is offered', async () => {
    const other = createDatabase(folder('other.db'));
    await snapshot(other);
    writeFileSync(live(), 'text');
    assert.equal((await refusal('not-a-database')).facts?.['backup'], undefined);
    assert.deepEqual(suspects(), []);
  });

  it('is refused all the same when the damaged file cannot be kept, and that is said', async () => {
    createDatabase(live());
    truncateSync(live(), 8192);
    copyFileSync(live(), folder('original'));
    await assert.rejects(
      snapshot(live(), { folder: folder('original') }),
      ({ code, message }: BackupError) => {
        assert.equal(code, 'corrupt');
        assert.match(message, /The damaged file was not kept: .*is not a folder/);
        return true;
      },
    );
  });

  it('keeps its good backups when it is damaged', async () => {
    createDatabase(live());
    const { path } = await snapshot(live());
    withDatabase(live(), (db) => db.exec('DELETE FROM items WHERE id = 1'));
    truncateSync(live(), 8192);
    await refusal('corrupt');
    assert.equal(verifySnapshot(path, () => undefined).status, 'ok');
  });
});
