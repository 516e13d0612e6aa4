import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { isOwnBackup, listAll, listBackups } from '../../src/core/catalog/catalog.ts';
import { makePrivateFolder } from '../../src/core/files/workplace.ts';
import type { Manifest } from '../../src/core/manifest/manifest.ts';
import { readManifestOf, updateManifest } from '../../src/core/manifest/manifestFile.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the list of backups', () => {
  const folder = useTempFolder();
  const listed = (): string[] => listBackups(folder('backups')).map(({ path }) => basename(path));
  let backup = '';

  beforeEach(async () => {
    backup = (await snapshot(createDatabase(folder('app.db')))).path;
  });

  it('of a missing folder is empty', () => {
    assert.deepEqual(listBackups(folder('missing')), []);
  });

  it('of a file is refused, in words that say so', () => {
    assert.throws(() => listBackups(folder('app.db')), {
      name: 'BackupError',
      message: /not a folder/,
    });
  });

  it('tells of ours what the manifest says', () => {
    const [entry, ...rest] = listBackups(folder('backups'));
    assert.deepEqual(rest, []);
    const parsed = readManifestOf(backup);
    assert.ok(parsed?.kind === 'manifest');
    const { createdAt, sizeBytes, sha256, verdict, source } = parsed.manifest;
    const { stamp, ...shown } = entry ?? { stamp: '' };
    assert.notEqual(stamp, '');
    assert.deepEqual(shown, {
      path: backup,
      kind: 'snapshot',
      database: 'app.db',
      createdAt,
      sizeBytes,
      verified: 'ok',
      foreign: false,
      kept: {
        method: 'exact',
        trigger: 'cli',
        sha256,
        pinned: false,
        checkedAt: verdict.checkedAt,
      },
      group: source.id,
    });
  });

  it('reads again only what has changed, manifests included', async () => {
    const stem = basename(backup, '.db');
    const other = folder(`backups/${stem}-2.db`);
    copyFileSync(backup, other);
    copyFileSync(`${backup}.json`, `${other}.json`);
    const first = await listAll(folder('backups'));
    const known = Object.fromEntries(first.entries.map(({ path, stamp }) => [path, stamp]));
    const again = await listAll(folder('backups'), { known });
    assert.deepEqual(again.entries, []);
    assert.deepEqual(again.unchanged.toSorted(), [other, backup].toSorted());
    updateManifest(other, { pinned: true });
    const second = await listAll(folder('backups'), { known });
    assert.deepEqual(second.unchanged, [backup]);
    assert.deepEqual(
      second.entries.map(({ path, kept }) => [path, kept?.pinned]),
      [[other, true]],
    );
    truncateSync(backup, 100);
    const third = await listAll(folder('backups'), { known });
    assert.equal(third.entries.find(({ path }) => path === backup)?.verified, 'damaged');
    rmSync(other);
    const fourth = await listAll(folder('backups'), { known });
    assert.deepEqual([...fourth.unchanged, ...fourth.entries.map(({ path }) => path)], [backup]);
  });

  it('is the newest first, and of one second the last first', () => {
    const stem = basename(backup, '.db');
    for (const suffix of ['-2', '-10', '-9']) {
      copyFileSync(backup, folder(`backups/${stem}${suffix}.db`));
      copyFileSync(`${backup}.json`, folder(`backups/${stem}${suffix}.db.json`));
    }
    const older = JSON.parse(readFileSync(`${backup}.json`, 'utf8')) as Manifest;
    copyFileSync(backup, folder('backups/zzz.db'));
    writeFileSync(
      folder('backups/zzz.db.json'),
      JSON.stringify({ ...older, createdAt: '2020-01-01T00:00:00.000Z' }),
    );
    assert.deepEqual(listed(), [
      `${stem}-10.db`,
      `${stem}-9.db`,
      `${stem}-2.db`,
      `${stem}.db`,
      'zzz.db',
    ]);
  });

  it('has databases of others as foreign, by the time they were written', () => {
    createDatabase(folder('backups/theirs.sqlite'));
    utimesSync(folder('backups/theirs.sqlite'), 1_000_000, 1_000_000);
    const entry = listBackups(folder('backups')).find(({ foreign }) => foreign);
    assert.equal(basename(entry?.path ?? ''), 'theirs.sqlite');
    assert.deepEqual(
      [entry?.verified, entry?.createdAt, entry?.kept],
      ['unchecked', '1970-01-12T13:46:40.000Z', undefined],
    );
  });

  it('leaves out what is no backup: text, halves, siblings, folders, pipes, links to nowhere, private folders', () => {
    const inside = (name: string): string => folder('backups', name);
    writeFileSync(inside('readme.txt'), 'text');
    writeFileSync(inside('empty.db'), '');
    writeFileSync(inside('orphan.db.json'), readFileSync(`${backup}.json`));
    for (const suffix of ['-wal', '-shm', '-journal']) writeFileSync(backup + suffix, 'its own');
    mkdirSync(inside('app_20200101_000000Z.db'));
    symlinkSync(folder('nowhere'), inside('app_20200102_000000Z.db'));
    spawnSync('mkfifo', [inside('app_20200103_000000Z.db')]);
    copyFileSync(backup, `${makePrivateFolder(folder('backups')).path}/copy.db`);
    assert.deepEqual(listed(), [basename(backup)]);
  });

  it('shows a backup that cannot be read now, and why, and looks at it again the next time', async () => {
    const [before] = listBackups(folder('backups'));
    const json = readFileSync(`${backup}.json`);
    rmSync(`${backup}.json`);
    symlinkSync(`${backup}.json`, `${backup}.json`);
    const { entries } = await listAll(folder('backups'), {
      known: { [backup]: before?.stamp ?? '' },
    });
    const [entry, ...rest] = entries;
    assert.deepEqual(rest, []);
    assert.equal(entry?.verified, 'unchecked');
    assert.match(entry.unreadable ?? '', /symbolic link that leads to itself/);
    assert.equal(entry.createdAt, before?.createdAt.replace(/\.\d+Z$/, '.000Z'));

    const known = { [backup]: entry.stamp };
    assert.deepEqual((await listAll(folder('backups'), { known })).unchanged, []);
    rmSync(`${backup}.json`);
    writeFileSync(`${backup}.json`, json);
    const again = await listAll(folder('backups'), { known });
    assert.deepEqual([again.unchanged, again.entries[0]?.verified], [[], 'ok']);
  });

  it('believes no manifest that is forged, huge, or a folder: such a file is foreign', () => {
    const forged: [name: string, make: (path: string) => void][] = [
      ['forged.db', (path) => writeFileSync(path, '{"format":1,"tool":{"name":"sqlite-backup"}}')],
      [
        'huge.db',
        (path) => (
          writeFileSync(path, readFileSync(`${backup}.json`)),
          truncateSync(path, 9_000_000)
        ),
      ],
      ['folder.db', (path) => mkdirSync(path)],
    ];
    for (const [name, make] of forged) {
      copyFileSync(backup, folder('backups', name));
      make(folder('backups', `${name}.json`));
    }
    const foreign = listBackups(folder('backups')).filter((entry) => entry.foreign);
    assert.deepEqual(foreign.map(({ path }) => basename(path)).sort(), [
      'folder.db',
      'forged.db',
      'huge.db',
    ]);
  });

  it('has one of a newer format as ours, unchecked', () => {
    writeFileSync(`${backup}.json`, '{"format":7,"tool":{"name":"sqlite-backup"}}');
    const [entry] = listBackups(folder('backups'));
    assert.deepEqual(
      [entry?.foreign, entry?.verified, entry?.kept],
      [false, 'unchecked', undefined],
    );
  });

  it('has one whose size has changed as damaged, even when nothing is left of it', () => {
    for (const sizeBytes of [4096, 0]) {
      truncateSync(backup, sizeBytes);
      assert.deepEqual(
        listBackups(folder('backups')).map(({ verified }) => verified),
        ['damaged'],
      );
    }
  });

  it('tells a backup of ours from any other file', () => {
    assert.deepEqual([isOwnBackup(backup), isOwnBackup(folder('app.db'))], [true, false]);
    writeFileSync(folder('app.db.json'), '{"settings":true}');
    assert.equal(isOwnBackup(folder('app.db')), false);
    rmSync(`${backup}.json`);
    assert.equal(isOwnBackup(backup), false);
  });
});
